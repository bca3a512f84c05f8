//! Under which licences the parts of a standalone executable are that are no distributions.
//!
//! SPDX expressions; what is not in the table is listed without one.

use crate::bundle::Component;

use super::shared_libraries::Library;

/// Libraries that Python's extension modules use, by the beginning of their names, with their licences.
const LIBRARIES: [(&str, &str); 30] = [
    ("libb2", "CC0-1.0"),
    ("libbz2", "bzip2-1.0.6"),
    ("libcom_err", "MIT"),
    ("libcrypt.", "LGPL-2.1-or-later"),
    ("libcrypto.so.1", "OpenSSL"),
    ("libcrypto", "Apache-2.0"),
    ("libdb-", "Sleepycat"),
    ("libedit", "BSD-3-Clause"),
    ("libexpat", "MIT"),
    ("libffi", "MIT"),
    ("libgcc_s", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("libgdbm", "GPL-3.0-or-later"),
    ("libgssapi_krb5", "MIT"),
    ("libk5crypto", "MIT"),
    ("libkeyutils", "LGPL-2.1-or-later"),
    ("libkrb5", "MIT"),
    ("liblzma", "0BSD"),
    ("libmpdec", "BSD-2-Clause"),
    ("libncurses", "X11-distribute-modifications-variant"),
    ("libnsl", "LGPL-2.1-only"),
    ("libpanel", "X11-distribute-modifications-variant"),
    ("libreadline", "GPL-3.0-or-later"),
    ("libsqlite3", "blessing"),
    ("libssl.so.1", "OpenSSL"),
    ("libssl", "Apache-2.0"),
    ("libstdc++", "GPL-3.0-or-later WITH GCC-exception-3.1"),
    ("libtinfo", "X11-distribute-modifications-variant"),
    ("libtirpc", "BSD-3-Clause"),
    ("libuuid", "BSD-3-Clause"),
    ("libz.", "Zlib"),
];

/// Python itself, with its standard library.
pub(super) fn python(version: &str) -> Component {
    Component { name: format!("CPython {version}"), license: Some("PSF-2.0".into()) }
}

/// This program.
pub(super) fn mmport() -> Component {
    Component {
        name: concat!("mmport ", env!("CARGO_PKG_VERSION")).into(),
        license: Some(env!("CARGO_PKG_LICENSE").into()),
    }
}

/// The crates in this program, a line each: name, version, a tab, licence. What `cargo tree` lists; a test
/// compares.
const CRATES: &str = include_str!("crates.txt");

/// The libraries of Rust in this program.
pub(super) fn crates() -> impl Iterator<Item = Component> {
    let standard_library = ("Rust's standard library", "MIT OR Apache-2.0");
    let crates = CRATES.lines().filter_map(|line| line.split_once('\t'));
    [standard_library].into_iter().chain(crates).map(|(name, license)| Component {
        name: format!("in mmport: {name}"),
        license: Some(license.to_owned()).filter(|license| !license.is_empty()),
    })
}

/// Libraries, without libpython.
pub(super) fn of_libraries(libraries: &[&Library]) -> Vec<Component> {
    let others = libraries.iter().filter(|library| !library.name.starts_with("libpython"));
    others
        .map(|library| Component { name: library.name.clone(), license: licence(&library.name) })
        .collect()
}

fn licence(library: &str) -> Option<String> {
    let known = LIBRARIES.iter().find(|(beginning, _)| library.starts_with(beginning));
    known.map(|(_, licence)| (*licence).to_owned())
}

/// What whoever gives the executable to others should know about a part of it.
pub(super) fn warning(component: &Component) -> Option<String> {
    let licence = component.license.as_deref()?;
    let is_copyleft = licence.starts_with("GPL") && !licence.contains("WITH");
    is_copyleft.then(|| {
        format!(
            "{} is under {licence}: whoever gives the executable to others has to comply with it",
            component.name
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_are_told_by_name() {
        assert_eq!(licence("libssl.so.3").as_deref(), Some("Apache-2.0"));
        assert_eq!(licence("libssl.so.1.1").as_deref(), Some("OpenSSL"));
        assert_eq!(licence("libcrypt.so.1").as_deref(), Some("LGPL-2.1-or-later"));
        assert_eq!(licence("libsomething.so"), None);
        let component = |name: &str| Component { name: name.into(), license: licence(name) };
        assert!(warning(&component("libreadline.so.8")).is_some());
        assert!(warning(&component("libgcc_s.so.1")).is_none());
    }
}
