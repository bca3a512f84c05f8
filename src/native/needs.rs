//! Which libraries inside the bundle an extension module or shared library needs.
//!
//! The dynamic section of an ELF file names libraries (`DT_NEEDED`) and directories to look in
//! (`DT_RUNPATH`, else `DT_RPATH`); `$ORIGIN` stands for the file's own directory. What resolves to
//! an entry of the bundle has to be brought out too. Everything else is the system's.

use crate::bundle::{Bundle, join_place};

/// Names of entries that the shared library `data`, itself the entry `name`, needs at a place
/// relative to its own. Empty for what is no ELF file.
pub(super) fn needed_entries(bundle: &Bundle, name: &str, data: &[u8]) -> Vec<String> {
    let Ok(elf) = goblin::elf::Elf::parse(data) else { return Vec::new() };
    let search = if elf.runpaths.is_empty() { &elf.rpaths } else { &elf.runpaths };
    let origin = name.rsplit_once('/').map_or("", |(directory, _)| directory);
    let directories: Vec<String> = search
        .iter()
        .flat_map(|paths| paths.split(':'))
        .filter_map(|path| resolve(origin, path))
        .collect();
    let mut entries = Vec::new();
    for library in &elf.libraries {
        for directory in &directories {
            let Some(candidate) = join_place(directory, library) else { continue };
            if matches!(bundle.entry(&candidate), Ok(Some(_))) {
                entries.push(candidate);
                break;
            }
        }
    }
    entries
}

/// `path` of a dynamic section as a directory of the bundle, or `None` where it leads elsewhere.
fn resolve(origin: &str, path: &str) -> Option<String> {
    let rest = path.strip_prefix("$ORIGIN").or_else(|| path.strip_prefix("${ORIGIN}"))?;
    join_place(origin, rest)
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn origin_is_followed_inside_the_bundle_only() {
        let cases = [
            ("numpy/core", "$ORIGIN/../../numpy.libs", Some("numpy.libs")),
            ("numpy/core", "${ORIGIN}", Some("numpy/core")),
            ("numpy/core", "$ORIGIN/./lib//x/", Some("numpy/core/lib/x")),
            ("", "$ORIGIN/a.libs", Some("a.libs")),
            ("numpy", "$ORIGIN/../../outside", None),
            ("numpy", "/usr/lib", None),
        ];
        for (origin, path, expected) in cases {
            assert_eq!(resolve(origin, path).as_deref(), expected, "{origin} {path}");
        }
    }
}
