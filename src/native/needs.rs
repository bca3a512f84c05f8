//! Which libraries inside the bundle an extension module or shared library needs.
//!
//! `DT_NEEDED` names libraries, `DT_RUNPATH` or `DT_RPATH` directories to look in; `$ORIGIN` stands
//! for the file's own directory. What resolves to an entry of the bundle has to be brought out too.
//! In a standalone executable, a library of the machine that built it comes next. Everything else is the
//! system's.

use crate::bundle::{Bundle, LIBRARY_DIRECTORY, join_place};

use super::elf::DynamicSection;

/// Names of entries that the shared library with this dynamic section, itself the entry `name`,
/// needs at a place relative to its own, or as a library that the bundle brings.
pub(super) fn needed_entries(bundle: &Bundle, name: &str, section: &DynamicSection) -> Vec<String> {
    let directories: Vec<String> = search_directories(name, section).flatten().collect();
    let in_bundle = |library: &String| {
        (directories.iter().map(String::as_str))
            .chain([LIBRARY_DIRECTORY])
            .filter_map(|directory| join_place(directory, library))
            .find(|candidate| matches!(bundle.entry(candidate), Ok(Some(_))))
    };
    section.needed.iter().filter_map(in_bundle).collect()
}

/// The directories that the dynamic section of the entry `name` names, as directories of the
/// bundle; `None` for those outside of it.
pub(super) fn search_directories<'section>(
    name: &str,
    section: &'section DynamicSection,
) -> impl Iterator<Item = Option<String>> + use<'section> {
    let origin = name.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
    section.search.iter().map(move |path| resolve(&origin, path))
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
