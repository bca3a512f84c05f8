//! The shared libraries of this machine that programs and extension modules need.
//!
//! The dynamic loader is asked, because only it knows where it looks. What belongs to the C library
//! stays with the machine on which the executable runs, and so does what belongs to its graphics.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use goblin::elf::Elf;

use crate::native::needed_libraries;

use super::super::error::BuildError;
use super::super::tree::Tree;
use super::{StandaloneError, native_files};

/// What the names of libraries begin with that are not taken along, up to a dot or a dash: those of the
/// C library, and those that have to fit a machine's display and its drivers.
const OF_THE_MACHINE: [&str; 31] = [
    "ld",
    "ld-linux",
    "libBrokenLocale",
    "libEGL",
    "libGL",
    "libGLX",
    "libGLdispatch",
    "libICE",
    "libOpenGL",
    "libSM",
    "libX11",
    "libXext",
    "libXft",
    "libXrender",
    "libXss",
    "libanl",
    "libc",
    "libdl",
    "libdrm",
    "libm",
    "libmvec",
    "libnss_compat",
    "libnss_dns",
    "libnss_files",
    "libpthread",
    "libresolv",
    "librt",
    "libtcl8",
    "libthread_db",
    "libtk8",
    "libutil",
];

/// A library of this machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Library {
    /// The name by which others need it: `libssl.so.3`.
    pub(super) name: String,
    /// Its file.
    pub(super) path: PathBuf,
}

/// The dynamic loader.
#[derive(Debug)]
pub(super) struct Loader {
    path: PathBuf,
}

impl Loader {
    /// The one that starts `program`.
    ///
    /// # Errors
    /// [`StandaloneError::Loader`], [`BuildError::Read`].
    pub(super) fn of_program(program: &Path) -> Result<Self, BuildError> {
        let data = fs::read(program).map_err(BuildError::read(program))?;
        let interpreter = Elf::parse(&data).ok().and_then(|elf| elf.interpreter.map(PathBuf::from));
        let path = interpreter.ok_or_else(|| StandaloneError::Loader {
            file: program.to_owned(),
            found: "it is no program that a dynamic loader starts".into(),
        })?;
        Ok(Self { path })
    }

    /// The libraries that the ELF file at `path` needs, directly or not, and that are taken along; and
    /// the names of those that are nowhere.
    ///
    /// # Errors
    /// [`StandaloneError::Loader`]
    pub(super) fn libraries(
        &self,
        path: &Path,
    ) -> Result<(Vec<Library>, Vec<String>), StandaloneError> {
        let failed = |found: String| StandaloneError::Loader { file: path.to_owned(), found };
        let output = Command::new(&self.path)
            .arg("--list")
            .arg(path)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| failed(format!("starting `{}`: {error}", self.path.display())))?;
        let listing = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() && !listing.contains("not found") {
            // Nothing is needed by what is linked statically.
            let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return if told.contains("statically linked") {
                Ok((Vec::new(), Vec::new()))
            } else {
                Err(failed(told))
            };
        }
        Ok(parse(&listing))
    }

    /// The libraries that extension modules and shared libraries in `tree` need and `tree` has not.
    ///
    /// # Errors
    /// [`StandaloneError::Loader`], [`BuildError::Read`].
    pub(super) fn libraries_of(
        &self,
        tree: &Tree,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Library>, BuildError> {
        let own: HashSet<PathBuf> =
            native_files(tree).filter_map(|(_, path)| fs::canonicalize(path).ok()).collect();
        let mut found = BTreeMap::new();
        for (name, path) in native_files(tree) {
            if !needs_more(path)? {
                continue;
            }
            let (libraries, missing) = self.libraries(path)?;
            for Library { name, path } in libraries {
                let is_own = fs::canonicalize(&path).is_ok_and(|path| own.contains(&path));
                if !is_own {
                    found.entry(name).or_insert(path);
                }
            }
            if !missing.is_empty() {
                warnings.push(format!(
                    "`{name}` needs {}, which this machine has not",
                    missing.join(", ")
                ));
            }
        }
        Ok(found.into_iter().map(|(name, path)| Library { name, path }).collect())
    }
}

/// Whether an ELF file needs any library that is not every machine's.
fn needs_more(path: &Path) -> Result<bool, BuildError> {
    let data = fs::read(path).map_err(BuildError::read(path))?;
    // What is no ELF file, or a damaged one, is taken as it is.
    Ok(needed_libraries(&data).is_some_and(|needed| needed.iter().any(|name| !stays(name))))
}

/// What the loader lists: lines `NAME => PATH (ADDRESS)`, or `NAME => not found`.
fn parse(listing: &str) -> (Vec<Library>, Vec<String>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for (name, place) in listing.lines().filter_map(|line| line.trim().split_once(" => ")) {
        if stays(name) {
            continue;
        }
        match place.rsplit_once(" (") {
            Some((path, _)) => found.push(Library { name: name.to_owned(), path: path.into() }),
            None => missing.push(name.to_owned()),
        }
    }
    (found, missing)
}

/// Whether a library is the machine's own wherever the executable runs.
fn stays(name: &str) -> bool {
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name);
    let stem = name.split(".so").next().unwrap_or(name);
    let stem = stem.split('.').next().unwrap_or(stem);
    OF_THE_MACHINE.contains(&stem) || stem.starts_with("ld-linux") || stem.starts_with("linux-vdso")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_lists_is_read() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                       \tlibssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007f)\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                       \tlibnone.so.1 => not found\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let (found, missing) = parse(listing);
        let expected = Library {
            name: "libssl.so.3".into(),
            path: "/lib/x86_64-linux-gnu/libssl.so.3".into(),
        };
        assert_eq!((found, missing), (vec![expected], vec!["libnone.so.1".to_owned()]));
    }

    #[test]
    fn only_what_every_machine_has_stays() {
        for name in ["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libGL.so.1", "libtk8.6.so"]
        {
            assert!(stays(name), "{name}");
        }
        for name in ["libcrypt.so.1", "libcrypto.so.3", "libgcc_s.so.1", "libmpdec.so.3"] {
            assert!(!stays(name), "{name}");
        }
    }
}
