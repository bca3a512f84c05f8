//! Directories that wheels install below `sys.prefix` (`share`, `etc`) rather than beside the
//! packages: the data scheme.
//!
//! Installers put them beside the packages of a target directory. pip leaves rows such as
//! `../../share/x` in `RECORD`, which say so; uv does not, so there a directory that a distribution
//! lists and in which nothing can be imported counts too.

use std::collections::{BTreeMap, BTreeSet};

use super::names;
use super::record::Record;
use super::tree::Tree;

/// Where installers put scripts, which are made anew from entry points.
const SCRIPTS: &str = "bin";

/// The directories at the root of the bundle that belong below `sys.prefix`, sorted.
pub(super) fn data_directories(tree: &Tree, records: &[Record]) -> Vec<String> {
    let mut found: BTreeSet<&str> =
        records.iter().flat_map(|record| &record.outside).map(String::as_str).collect();
    let mut nothing_to_import: BTreeMap<&str, bool> = BTreeMap::new();
    for name in tree.names().filter(|name| !names::is_metadata(name)) {
        if let Some((directory, _)) = name.split_once('/') {
            *nothing_to_import.entry(directory).or_insert(true) &=
                !names::is_python_only(name) && !names::is_native(name);
        }
    }
    let listed: BTreeSet<&str> = (records.iter())
        .flat_map(Record::entries)
        .filter_map(|entry| Some(entry.split_once('/')?.0))
        .collect();
    found.extend(
        (nothing_to_import.iter())
            .filter(|(directory, nothing)| **nothing && listed.contains(*directory))
            .map(|(directory, _)| *directory),
    );
    found.remove(SCRIPTS);
    found.into_iter().filter(|name| tree.contains_directory(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut tree = Tree::default();
        for (name, text) in files {
            tree.set(name, text.as_bytes().to_vec());
        }
        data_directories(&tree, &Record::all(&tree).unwrap())
    }

    #[test]
    fn rows_that_lead_out_of_the_packages_say_so() {
        let record = "a/__init__.py,,\n../../share/man/a.1,,\n../../share/x.py,,\n../../bin/a,,\n";
        let files = [
            ("a/__init__.py", ""),
            ("share/man/a.1", ""),
            ("share/x.py", ""),
            ("bin/a", ""),
            ("a-1.dist-info/RECORD", record),
        ];
        assert_eq!(found(&files), ["share"]);
    }

    #[test]
    fn listed_directories_without_anything_to_import_count() {
        let record = "a/__init__.py,,\netc/a.conf,,\nspace/b.py,,\na.libs/liba.so.1,,\n";
        let files = [
            ("a/__init__.py", ""),
            ("etc/a.conf", ""),
            ("space/b.py", ""),
            ("space/data.txt", ""),
            ("a.libs/liba.so.1", ""),
            ("own/data.txt", "of a project's own, listed nowhere"),
            ("a-1.dist-info/RECORD", record),
        ];
        assert_eq!(found(&files), ["etc"]);
    }
}
