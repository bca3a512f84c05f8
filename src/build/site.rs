//! What `site` would do at start for installed distributions, settled when the bundle is built.
//!
//! A `.pth` file at the root of a directory of packages is a list of folders for `sys.path` and of
//! lines to execute. What stays inside the directory is left to the bundle's start and noted in
//! `mmport.json`. What leads outside is how editable installations work; the modules there are taken
//! into the bundle where an installed copy would have them, and the lines that led there go. What is
//! outside is followed for a virtual environment, which is the user's own; what comes from an index
//! leads nowhere but to projects that the user has named, because a distribution may say anything.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use crate::bundle::{SiteSetup, is_metadata_directory};

use super::editable::{Editable, Taker};
use super::error::BuildError;
use super::interpreter::Interpreter;
use super::names;
use super::record::{Record, paths_in};
use super::tree::Tree;

/// A directory of packages that was collected into a tree.
pub(super) struct SiteDirectory<'build> {
    /// The directory.
    pub root: &'build Path,
    /// What to call it in messages.
    pub origin: Arc<str>,
    /// The interpreter that the bundle is for.
    pub interpreter: &'build Interpreter,
    /// The bundle that is written.
    pub output: &'build Path,
    /// The only editable projects that are followed, as canonical paths; `None` follows everything.
    pub projects: Option<&'build [PathBuf]>,
}

/// What a line of a `.pth` file asks for.
#[derive(Debug, PartialEq, Eq)]
enum Line<'text> {
    /// Nothing.
    Comment,
    /// To be executed.
    Import(&'text str),
    /// To put a folder on `sys.path`: its absolute path.
    Folder(PathBuf),
}

impl<'text> Line<'text> {
    /// Reads a line as `site` does in the directory `root`.
    fn parse(line: &'text str, root: &Path) -> Self {
        if line.starts_with('#') || line.trim().is_empty() {
            Self::Comment
        } else if line.starts_with("import ") || line.starts_with("import\t") {
            Self::Import(line)
        } else {
            Self::Folder(normalized(&root.join(line.trim_end())))
        }
    }
}

impl SiteDirectory<'_> {
    /// Takes what the directory's `.pth` files refer to into `tree`, and notes in `setup` what is
    /// left to do at start.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`] and whatever else fails while folders are walked.
    pub(super) fn settle(
        &self,
        tree: &mut Tree,
        setup: &mut SiteSetup,
        warnings: &mut Vec<String>,
    ) -> Result<(), BuildError> {
        let root = fs::canonicalize(self.root).map_err(BuildError::read(self.root))?;
        let here: Vec<String> = (tree.names())
            .filter(|name| names::parent(name).is_empty() && root.join(name).is_file())
            .map(str::to_owned)
            .collect();
        let owners = owners(tree)?;
        let mut found: BTreeSet<String> = setup.path_files.drain(..).collect();
        for name in &here {
            // `pip` and `setuptools` leave the place of a project of this machine in such a file;
            // nothing reads it at run time.
            if name.ends_with(".egg-link") {
                tree.remove(name);
            }
            if !name.ends_with(".pth") {
                continue;
            }
            if name.starts_with('.') {
                warnings.push(format!("`{name}` is hidden, so it will not be executed at start"));
                continue;
            }
            let editable = match owners.get(name) {
                Some(metadata) => {
                    Editable::of(metadata, tree)?.filter(|it| it.is_one_of(self.projects))
                }
                None => None,
            };
            let follows = self.projects.is_none() || editable.is_some();
            let metadata = owners.get(name).map(String::as_str);
            let file = PathFile { name, root: &root, metadata, editable, follows };
            if file.settle(self, tree, warnings)? {
                found.insert(name.clone());
            }
        }
        setup.path_files.extend(found);
        setup.customize |= tree.contains("sitecustomize.py")
            || tree.contains("sitecustomize.pyc")
            || tree.contains("sitecustomize/__init__.py");
        Ok(())
    }
}

/// One `.pth` file.
struct PathFile<'build> {
    name: &'build str,
    root: &'build Path,
    /// The metadata directory of the distribution that brought it.
    metadata: Option<&'build str>,
    /// That distribution, if it is an editable installation.
    editable: Option<Editable>,
    /// Whether lines that lead outside are followed.
    follows: bool,
}

impl PathFile<'_> {
    /// Deals with the file's lines; says whether any is left for the start.
    fn settle(
        &self,
        directory: &SiteDirectory<'_>,
        tree: &mut Tree,
        warnings: &mut Vec<String>,
    ) -> Result<bool, BuildError> {
        let name = self.name;
        let Some(item) = tree.get(name) else { return Ok(false) };
        let bytes = item.content.read()?.into_owned();
        let Ok(text) = std::str::from_utf8(&bytes) else {
            warnings.push(format!("`{name}` is not in UTF-8, so it will not be executed at start"));
            return Ok(false);
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let text = &*text.replace("\r\n", "\n").replace('\r', "\n");
        let owned = self.owned(tree)?;
        let mut taker = Taker {
            tree,
            warnings,
            origin: Arc::clone(&directory.origin),
            interpreter: directory.interpreter,
            output: directory.output,
            taken: Vec::new(),
        };
        let (mut kept, mut runs, mut is_silent) = (String::new(), false, false);
        for line in text.lines() {
            let keep = match Line::parse(line, self.root) {
                Line::Comment => Some(line.to_owned()),
                Line::Import(line) => match &self.editable {
                    Some(editable) => {
                        is_silent |= !taker.take_hook(editable, line, self.root, &owned)?;
                        None
                    }
                    None => {
                        runs = true;
                        Some(line.to_owned())
                    }
                },
                Line::Folder(folder) => {
                    let inside = self.folder(&folder, &mut taker)?;
                    runs |= inside.is_some();
                    inside
                }
            };
            // Empty where a line went, so that errors name the lines that the file has.
            kept.push_str(&keep.unwrap_or_default());
            kept.push('\n');
        }
        // Some hooks only watch over modules that the file's other lines put on the path.
        if let Some(editable) =
            self.editable.as_ref().filter(|_| is_silent && taker.taken.is_empty())
        {
            taker.report_silent_hook(editable, name);
        }
        let taken = taker.taken;
        if let Some(metadata) = self.metadata {
            Record::extend(tree, metadata, &taken)?;
        }
        if !runs {
            tree.remove(name);
        } else if !text.lines().eq(kept.lines()) {
            tree.set(name, kept.into_bytes());
        }
        Ok(runs)
    }

    /// The files of the distribution that brought this one.
    fn owned(&self, tree: &Tree) -> Result<HashSet<String>, BuildError> {
        let record = self.metadata.and_then(|metadata| tree.get(&format!("{metadata}/RECORD")));
        let Some(record) = record else { return Ok(HashSet::new()) };
        Ok(paths_in(&record.content.read()?).collect())
    }

    /// Deals with a folder: returns the line for one inside, takes what is in one outside.
    fn folder(&self, folder: &Path, taker: &mut Taker<'_>) -> Result<Option<String>, BuildError> {
        let name = self.name;
        let shown = folder.display();
        if !folder.exists() {
            taker.warnings.push(format!(
                "`{name}` refers to `{shown}`, which does not exist; Python ignores that line too"
            ));
            return Ok(None);
        }
        if !folder.is_dir() {
            taker.warnings.push(format!(
                "`{name}` refers to `{shown}`, which is no folder and was left out; unpack it, or \
                 install what it holds in another way"
            ));
            return Ok(None);
        }
        // By either spelling: `site` does not follow links, and the root may be behind one.
        let real = fs::canonicalize(folder).map_err(BuildError::read(folder))?;
        if let Some(place) =
            [folder, &real].iter().find_map(|path| path.strip_prefix(self.root).ok())
        {
            let place: Vec<&str> =
                place.components().filter_map(|part| part.as_os_str().to_str()).collect();
            return Ok((!place.is_empty()).then(|| place.join("/")));
        }
        if !self.follows {
            taker.warnings.push(format!(
                "`{name}` refers to `{shown}`, outside of what was installed, and was not followed; \
                 what is needed from there can be given by --source or --project"
            ));
            return Ok(None);
        }
        taker.take_folder(self.editable.as_ref(), name, &real)?;
        Ok(None)
    }
}

/// The metadata directories of the distributions that brought `.pth` files, by those files' names.
fn owners(tree: &Tree) -> Result<BTreeMap<String, String>, BuildError> {
    let mut found = BTreeMap::new();
    for record in Record::names(tree) {
        let Some(item) = tree.get(record) else { continue };
        for path in paths_in(&item.content.read()?) {
            if path.ends_with(".pth") && names::parent(&path).is_empty() {
                found.insert(path, names::parent(record).to_owned());
            }
        }
    }
    Ok(found)
}

/// The files of the editable installations in `root` whose distributions `tree` has already, from a
/// project that was built and installed: that copy stands for them.
///
/// # Errors
///
/// [`BuildError::Read`].
pub(super) fn replaced(root: &Path, tree: &Tree) -> Result<HashSet<String>, BuildError> {
    let there: BTreeSet<String> = (tree.names())
        .filter_map(|name| Some(name.split_once('/')?.0))
        .filter(|directory| is_metadata_directory(directory))
        .map(names::distribution)
        .collect();
    let mut found = HashSet::new();
    if there.is_empty() {
        return Ok(found);
    }
    for entry in fs::read_dir(root).map_err(BuildError::read(root))?.filter_map(Result::ok) {
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str().filter(|name| is_metadata_directory(name)) else { continue };
        let Ok(origin) = fs::read(path.join("direct_url.json")) else { continue };
        if there.contains(&names::distribution(name)) && Editable::is_said_by(&origin) {
            let record = path.join("RECORD");
            found.extend(paths_in(&fs::read(&record).map_err(BuildError::read(&record))?));
            let files = fs::read_dir(&path).map_err(BuildError::read(&path))?;
            found.extend(
                (files.filter_map(Result::ok))
                    .filter_map(|file| Some(format!("{name}/{}", file.file_name().to_str()?))),
            );
        }
    }
    Ok(found)
}

/// An absolute path without `.` and `..`, as `os.path.abspath` has it.
fn normalized(path: &Path) -> PathBuf {
    let mut normalized = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normalized.pop();
            }
            component => normalized.push(component),
        }
    }
    normalized
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_as_site_does() {
        let root = Path::new("/site");
        for (line, expected) in [
            ("# import x", Line::Comment),
            ("  \t", Line::Comment),
            ("import x; x.y()", Line::Import("import x; x.y()")),
            ("import\tx", Line::Import("import\tx")),
            (" import x", Line::Folder("/site/ import x".into())),
            ("importable", Line::Folder("/site/importable".into())),
            ("./a/../b \t", Line::Folder("/site/b".into())),
            ("/elsewhere/src", Line::Folder("/elsewhere/src".into())),
            ("../../x", Line::Folder("/x".into())),
        ] {
            assert_eq!(Line::parse(line, root), expected, "{line:?}");
        }
    }
}
