//! Walking what was installed, a virtual environment or a folder of sources into a [`Tree`].
//!
//! Left out: `__pycache__`, bytecode that has its source beside it (the bundle gets its own),
//! bytecode of another Python, version control's directories, and what an installer puts beside
//! packages that is of no use in a bundle (`bin/`, its caches' notes). Links to files are read
//! through; links to directories only within the tree, so that one link cannot bring in the
//! whole file system.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use walkdir::{DirEntry, WalkDir};

use super::error::BuildError;
use super::names;
use super::tree::{Content, Item, Tree};

/// What kind of directory is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An installer's target: packages, and `bin/` with scripts.
    Target,
    /// A virtual environment's `site-packages`.
    SitePackages,
    /// A folder of plain modules.
    Source,
}

/// A directory to be taken into the bundle.
#[derive(Debug)]
pub(super) struct Collection<'path> {
    /// The directory.
    pub root: &'path Path,
    /// What kind it is.
    pub kind: Kind,
    /// Where in the bundle its files go: empty, or ending in `/`.
    pub prefix: &'path str,
    /// Files that are left out, by their paths in the directory.
    pub leaves_out: &'path HashSet<String>,
    /// What to call it in messages.
    pub origin: Arc<str>,
    /// First four bytes of bytecode that fits the target.
    pub magic: [u8; 4],
    /// The bundle that is written, which may lie in the tree from an earlier build.
    pub output: &'path Path,
}

const VERSION_CONTROL: [&str; 5] = [".git", ".hg", ".svn", ".bzr", "CVS"];

impl Collection<'_> {
    /// Adds the directory's files to `tree`, and to `warnings` what was left out.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`], [`BuildError::NameNotUnicode`], [`BuildError::Conflict`].
    pub(super) fn collect(
        &self,
        tree: &mut Tree,
        warnings: &mut Vec<String>,
    ) -> Result<(), BuildError> {
        let root = fs::canonicalize(self.root).map_err(BuildError::read(self.root))?;
        let output = fs::canonicalize(self.output).ok();
        let mut skipped_links = Vec::new();
        let walk = WalkDir::new(&root)
            .min_depth(1)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| {
                if leaves_tree(entry, &root) {
                    skipped_links.push(entry.path().to_owned());
                    return false;
                }
                self.descends(entry, &root)
            });
        let mut unreadable_links = Vec::new();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    unreadable_links.push(link_or_error(error, &root)?);
                    continue;
                }
            };
            if output.as_deref().is_some_and(|output| is_file_at(&entry, output)) {
                continue;
            }
            self.add(&entry, &root, tree, warnings)?;
        }
        for path in skipped_links.into_iter().chain(unreadable_links) {
            warnings.push(format!(
                "`{}` was left out: it is a link that leads outside, nowhere or back",
                path.display()
            ));
        }
        Ok(())
    }

    /// Whether what lies at `entry` and below is taken.
    fn descends(&self, entry: &DirEntry, root: &Path) -> bool {
        let name = entry.file_name().to_string_lossy();
        if !entry.file_type().is_dir() {
            return true;
        }
        if name == "__pycache__" || VERSION_CONTROL.contains(&name.as_ref()) {
            return false;
        }
        match self.kind {
            // Programs for a shell; a package of that name is told by its `__init__.py`.
            Kind::Target if entry.depth() == 1 && name == "bin" => {
                root.join("bin/__init__.py").exists()
            }
            // Environments and caches mark themselves; neither is the application's.
            Kind::Source => {
                !["pyvenv.cfg", "CACHEDIR.TAG"].iter().any(|mark| entry.path().join(mark).exists())
            }
            _ => true,
        }
    }

    fn add(
        &self,
        entry: &DirEntry,
        root: &Path,
        tree: &mut Tree,
        warnings: &mut Vec<String>,
    ) -> Result<(), BuildError> {
        let path = entry.path();
        let name = entry_name(path, root)?;
        if self.leaves_out.contains(&name) {
            return Ok(());
        }
        let name = format!("{}{name}", self.prefix);
        if entry.file_type().is_dir() {
            let mut children = fs::read_dir(path).map_err(BuildError::read(path))?;
            if children.next().is_none() {
                tree.add_empty_directory(name);
            }
            return Ok(());
        }
        if !entry.file_type().is_file() {
            warnings.push(format!("`{}` was left out: it is no regular file", path.display()));
            return Ok(());
        }
        if is_cache_note(&name) || (self.kind == Kind::Target && name == ".lock") {
            return Ok(());
        }
        if names::is_bytecode(&name) {
            if path.with_extension("py").exists() {
                return Ok(());
            }
            if first_bytes(path)? != self.magic {
                warnings.push(format!(
                    "`{name}` was left out: it has no source and is another Python's bytecode"
                ));
                return Ok(());
            }
        }
        let metadata = entry
            .metadata()
            .map_err(|error| BuildError::Read { path: path.to_owned(), source: error.into() })?;
        let item = Item {
            content: Content::File(Arc::from(path)),
            size: metadata.len(),
            executable: is_executable(&metadata),
            origin: Arc::clone(&self.origin),
        };
        tree.add(name, item)
    }
}

/// The entry's name: the path below the root, with `/`.
fn entry_name(path: &Path, root: &Path) -> Result<String, BuildError> {
    let parts = (path.strip_prefix(root).unwrap_or(path).components())
        .map(|part| part.as_os_str().to_str())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| BuildError::NameNotUnicode { path: path.to_owned() })?;
    Ok(parts.join("/"))
}

/// Whether the entry is a link to a directory outside of the tree.
fn leaves_tree(entry: &DirEntry, root: &Path) -> bool {
    entry.path_is_symlink()
        && entry.file_type().is_dir()
        && !fs::canonicalize(entry.path()).is_ok_and(|target| target.starts_with(root))
}

/// The link that the walk failed at, or the error when it was something else.
fn link_or_error(error: walkdir::Error, root: &Path) -> Result<PathBuf, BuildError> {
    let path = error.path().unwrap_or(root).to_owned();
    if error.loop_ancestor().is_some() || path.is_symlink() {
        return Ok(path);
    }
    let source = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
    Err(BuildError::Read { path, source })
}

/// Whether the entry is the file at the canonical path `output`.
fn is_file_at(entry: &DirEntry, output: &Path) -> bool {
    Some(entry.file_name()) == output.file_name()
        && fs::canonicalize(entry.path()).is_ok_and(|path| path == output)
}

/// Whether the entry only serves an installer's cache; such notes hold times, which no two builds share.
fn is_cache_note(name: &str) -> bool {
    names::is_metadata(name) && matches!(names::file_name(name), "uv_cache.json" | "uv_build.json")
}

fn first_bytes(path: &Path) -> Result<[u8; 4], BuildError> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(4).read_to_end(&mut bytes))
        .map_err(BuildError::read(path))?;
    Ok(bytes.try_into().unwrap_or_default())
}

#[cfg(unix)]
pub(super) fn is_executable(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
pub(super) fn is_executable(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(root: &Path, kind: Kind) -> Result<(Tree, Vec<String>), BuildError> {
        let (mut tree, mut warnings) = (Tree::default(), Vec::new());
        Collection {
            root,
            kind,
            origin: Arc::from("the test"),
            prefix: "",
            leaves_out: &HashSet::new(),
            magic: *b"abcd",
            output: &root.join("out.pyz"),
        }
        .collect(&mut tree, &mut warnings)?;
        Ok((tree, warnings))
    }

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn caches_scripts_and_version_control_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "bin/tool", "#!python");
        write(root, "pkg/__init__.py", "");
        write(root, "pkg/__init__.pyc", "abcd");
        write(root, "pkg/__pycache__/x.pyc", "abcd");
        write(root, "pkg/only.pyc", "abcd1234");
        write(root, "pkg/other.pyc", "wxyz1234");
        write(root, "pkg/bin/tool.txt", "");
        write(root, "share/man/x.1", "");
        write(root, "p-1.dist-info/uv_cache.json", "{}");
        write(root, "out.pyz", "an earlier bundle");
        write(root, ".lock", "");
        fs::create_dir_all(root.join(".git/objects")).unwrap();
        fs::create_dir_all(root.join("pkg/empty")).unwrap();
        let (tree, warnings) = collect(root, Kind::Target).unwrap();
        assert_eq!(
            tree.names().collect::<Vec<_>>(),
            ["pkg/__init__.py", "pkg/bin/tool.txt", "pkg/only.pyc", "share/man/x.1"]
        );
        assert_eq!(tree.empty_directories().collect::<Vec<_>>(), ["pkg/empty"]);
        assert!(warnings.len() == 1 && warnings[0].contains("pkg/other.pyc"));
    }

    #[test]
    fn environments_inside_sources_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "app.py", "");
        write(folder.path(), "bin/helper.py", "");
        write(folder.path(), ".venv/pyvenv.cfg", "");
        write(folder.path(), ".venv/lib/x.py", "");
        let (tree, _) = collect(folder.path(), Kind::Source).unwrap();
        assert_eq!(tree.names().collect::<Vec<_>>(), ["app.py", "bin/helper.py"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_within_the_tree() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "real/data.txt", "x");
        symlink("real", root.join("alias")).unwrap();
        symlink("/", root.join("outside")).unwrap();
        symlink("gone", root.join("broken")).unwrap();
        symlink("..", root.join("real/loop")).unwrap();
        let (tree, warnings) = collect(root, Kind::Source).unwrap();
        let names: Vec<_> = tree.names().collect();
        assert!(names.contains(&"alias/data.txt") && names.contains(&"real/data.txt"));
        assert!(!names.iter().any(|name| name.starts_with("outside")));
        assert!(warnings.len() >= 3, "{warnings:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_unicode_are_refused() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"caf\xe9.txt");
        fs::write(folder.path().join(name), "").unwrap();
        assert!(matches!(
            collect(folder.path(), Kind::Source),
            Err(BuildError::NameNotUnicode { .. })
        ));
    }
}
