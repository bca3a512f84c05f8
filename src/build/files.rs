//! Which packages hold files besides Python's, and so must be brought out as real files.
//!
//! The unit is the topmost regular package on an entry's path (namespace packages are descended
//! through), an extension module outside of any package, or a directory outside of any package
//! that holds shared libraries. A unit carries files when any entry in it is not Python's alone.
//! Distributions' metadata never counts.

use std::collections::{BTreeMap, HashSet};

use crate::native::MaterializeRules;

use super::names;

/// File names that are kept to say why.
const EXAMPLES: usize = 3;

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileCarrierKind {
    /// A regular package.
    Package,
    /// An extension module outside of any package.
    ExtensionModule,
    /// A directory of shared libraries outside of any package.
    Libraries,
}

/// A unit that is brought out as real files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileCarrier {
    /// Its path in the bundle, as `google/cloud/storage`.
    pub path: String,
    /// Its dotted name, as `google.cloud.storage`; the path for a directory of libraries.
    pub name: String,
    /// What it is.
    pub kind: FileCarrierKind,
    /// How many files it holds besides Python's.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// The first of them, by path below the unit.
    pub examples: Vec<String>,
    /// Whether it holds extension modules or shared libraries.
    pub native: bool,
    /// Whether it was asked for, rather than found to be needed.
    pub requested: bool,
}

/// The units among `entries` (sorted names and sizes) that carry files, after the globs.
pub(super) fn file_carriers<'name>(
    entries: impl Iterator<Item = (&'name str, u64)> + Clone,
    extension_suffixes: &[String],
    rules: &MaterializeRules,
) -> Vec<FileCarrier> {
    let packages = regular_packages(entries.clone().map(|(name, _)| name), extension_suffixes);
    let mut units: BTreeMap<&str, FileCarrier> = BTreeMap::new();
    for (name, size) in entries {
        if names::is_metadata(name) {
            continue;
        }
        let Some((path, kind)) = unit_of(name, &packages, extension_suffixes) else {
            continue;
        };
        let unit = units.entry(path).or_insert_with(|| FileCarrier {
            path: path.to_owned(),
            name: unit_name(path, kind, extension_suffixes),
            kind,
            files: 0,
            bytes: 0,
            examples: Vec::new(),
            native: false,
            requested: false,
        });
        if names::is_python_only(name) {
            continue;
        }
        unit.files += 1;
        unit.bytes += size;
        unit.native |= names::is_native(name);
        if unit.examples.len() < EXAMPLES {
            let below =
                (name.strip_prefix(path)).and_then(|below| below.strip_prefix('/')).unwrap_or(name);
            unit.examples.push(below.to_owned());
        }
    }
    (units.into_values())
        .filter_map(|mut unit| {
            unit.requested = unit.files == 0;
            rules.decide(&unit.name, !unit.requested).then_some(unit)
        })
        .collect()
}

/// Directories that hold an `__init__`.
fn regular_packages<'name>(
    entries: impl Iterator<Item = &'name str>,
    extension_suffixes: &[String],
) -> HashSet<&'name str> {
    entries
        .filter(|name| {
            matches!(names::file_name(name), "__init__.py" | "__init__.pyc")
                || names::extension_module(name, extension_suffixes) == Some("__init__")
        })
        .map(names::parent)
        .filter(|parent| !parent.is_empty())
        .collect()
}

/// The unit that an entry belongs to.
fn unit_of<'name>(
    name: &'name str,
    packages: &HashSet<&str>,
    extension_suffixes: &[String],
) -> Option<(&'name str, FileCarrierKind)> {
    let package = (name.match_indices('/'))
        .map(|(slash, _)| &name[..slash])
        .find(|directory| packages.contains(directory));
    if let Some(package) = package {
        return Some((package, FileCarrierKind::Package));
    }
    let parent = names::parent(name);
    let importable = names::extension_module(name, extension_suffixes).is_some_and(names::is_word)
        && (parent.is_empty() || parent.split('/').all(names::is_word));
    if importable {
        return Some((name, FileCarrierKind::ExtensionModule));
    }
    let libraries = if parent.is_empty() { name } else { parent };
    names::is_native(name).then_some((libraries, FileCarrierKind::Libraries))
}

/// How the unit is called in messages and matched by globs.
fn unit_name(path: &str, kind: FileCarrierKind, extension_suffixes: &[String]) -> String {
    match kind {
        FileCarrierKind::Package => path.replace('/', "."),
        FileCarrierKind::Libraries => path.to_owned(),
        FileCarrierKind::ExtensionModule => {
            let module = names::extension_module(path, extension_suffixes).unwrap_or(path);
            let parent = names::parent(path).replace('/', ".");
            if parent.is_empty() { module.to_owned() } else { format!("{parent}.{module}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [(&str, u64); 13] = [
        ("85ca__mypyc.cpython-311-x86_64-linux-gnu.so", 10),
        ("black-1.dist-info/METADATA", 5),
        ("blib2to3/Grammar.txt", 7),
        ("blib2to3/__init__.py", 1),
        ("blib2to3/pgen2/__init__.py", 1),
        ("blib2to3/pgen2/data.bin", 2),
        ("google/cloud/storage/__init__.py", 1),
        ("google/cloud/storage/list.json", 3),
        ("numpy.libs/libblas-0a1b.so", 9),
        ("pure/__init__.py", 1),
        ("pure/__init__.pyi", 1),
        ("pure/py.typed", 0),
        ("six.py", 1),
    ];

    fn carriers(materialize: &[&str], no_materialize: &[&str]) -> Vec<FileCarrier> {
        let suffixes = [".cpython-311-x86_64-linux-gnu.so".to_owned(), ".so".to_owned()];
        let owned =
            |globs: &[&str]| globs.iter().map(|glob| (*glob).to_owned()).collect::<Vec<_>>();
        let rules = MaterializeRules::new(&owned(materialize), &owned(no_materialize)).unwrap();
        file_carriers(ENTRIES.iter().copied(), &suffixes, &rules)
    }

    #[test]
    fn the_topmost_regular_package_carries() {
        let found = carriers(&[], &[]);
        let names: Vec<&str> = found.iter().map(|carrier| carrier.name.as_str()).collect();
        assert_eq!(names, ["85ca__mypyc", "blib2to3", "google.cloud.storage", "numpy.libs"]);
        assert_eq!((found[1].files, found[1].bytes), (2, 9));
        assert_eq!(found[1].examples, ["Grammar.txt", "pgen2/data.bin"]);
        assert!(found[0].native && found[3].native && !found[1].native);
    }

    #[test]
    fn globs_add_and_take_away() {
        let found = carriers(&["pure"], &["google.*", "85ca*"]);
        let names: Vec<&str> = found.iter().map(|carrier| carrier.name.as_str()).collect();
        assert_eq!(names, ["blib2to3", "numpy.libs", "pure"]);
        assert!(found[2].requested);
    }
}
