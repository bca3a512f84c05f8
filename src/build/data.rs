//! Directories that wheels install below `sys.prefix` (`share`, `etc`) rather than beside the
//! packages: the data scheme.
//!
//! Installers put them beside the packages of a target directory. pip leaves rows such as
//! `../../share/x` in `RECORD`, which say so; uv does not, so there a directory that a distribution
//! lists and in which nothing can be imported counts too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::collect::is_executable;
use super::error::BuildError;
use super::names;
use super::record::{Record, paths_in};
use super::tree::{Content, Item, Tree};

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

/// Adds to `tree` the files below the prefix of the virtual environment `venv` that distributions in
/// its `site_packages` list in their `RECORD`. The tree has what is in `site_packages`.
///
/// # Errors
///
/// [`BuildError::Read`], [`BuildError::Conflict`].
pub(super) fn collect_data(
    venv: &Path,
    site_packages: &Path,
    origin: &Arc<str>,
    tree: &mut Tree,
) -> Result<(), BuildError> {
    let prefix = fs::canonicalize(venv).map_err(BuildError::read(venv))?;
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for record in Record::names(tree) {
        let Some(item) = tree.get(record) else { continue };
        for path in paths_in(&item.content.read()?).filter(|path| path.starts_with("../")) {
            // What is there, and still below the prefix when links have been followed.
            let Ok(path) = fs::canonicalize(site_packages.join(path)) else { continue };
            let Ok(below) = path.strip_prefix(&prefix) else { continue };
            let parts: Option<Vec<&str>> = below.components().map(text_of).collect();
            match parts.as_deref() {
                Some([directory, _, ..]) if *directory != SCRIPTS && path.is_file() => {
                    found.insert(parts.unwrap_or_default().join("/"), path);
                }
                _ => {}
            }
        }
    }
    for (name, path) in found.into_iter().filter(|(_, path)| !path.starts_with(site_packages)) {
        let metadata = path.metadata().map_err(BuildError::read(&path))?;
        let item = Item {
            size: metadata.len(),
            executable: is_executable(&metadata),
            origin: Arc::clone(origin),
            content: Content::File(Arc::from(path)),
        };
        tree.add(name, item)?;
    }
    Ok(())
}

fn text_of(component: Component<'_>) -> Option<&str> {
    component.as_os_str().to_str()
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
    fn data_of_a_virtual_environment_is_collected() {
        let venv = tempfile::tempdir().unwrap();
        let site_packages = venv.path().join("lib/python3.11/site-packages");
        let record = "a.py,,\n../../../share/a/a.txt,,\n../../../bin/a,,\n../../../etc/gone,,\n\
                      ../../../../outside/secret,,\n../../../share/link,,\n";
        for (name, text) in [
            ("share/a/a.txt", "a"),
            ("share/other", "nobody's"),
            ("bin/a", ""),
            ("lib/python3.11/site-packages/a.py", ""),
            ("lib/python3.11/site-packages/a-1.dist-info/RECORD", record),
        ] {
            let path = venv.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        std::os::unix::fs::symlink("/etc/passwd", venv.path().join("share/link")).unwrap();
        let mut tree = Tree::default();
        tree.set("a.py", Vec::new());
        tree.set("a-1.dist-info/RECORD", record.into());
        collect_data(venv.path(), &site_packages, &Arc::from("venv"), &mut tree).unwrap();
        let names: Vec<&str> = tree.names().collect();
        assert_eq!(names, ["a-1.dist-info/RECORD", "a.py", "share/a/a.txt"]);
        assert_eq!(data_directories(&tree, &Record::all(&tree).unwrap()), ["share"]);
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
