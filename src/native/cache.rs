//! Keeping house in the store: counting, pruning, clearing and verifying what is below a root.
//!
//! A tree is in use as long as a process holds its lock (see [`super::directory`]) or has its bundle
//! or one of its files mapped; such a tree is left alone. Everything else can be made again from the
//! bundle.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde::Serialize;

use crate::bundle::{Bundle, Suffixes};

use super::content::CONTENTS;
use super::directory::{IN_USE, PACKAGES, TREES, recorded_bundle};
use super::tree::key_of;

/// What is being written is younger than this.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// Files and the room that they take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// How many files, hard links to the same one counted once.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Usage {
    /// Counts the files below `directory`; those in `seen`, by device and number, were counted
    /// before.
    pub fn below(directory: &Path, seen: &mut BTreeSet<(u64, u64)>) -> Self {
        let mut usage = Self::default();
        for entry in walkdir::WalkDir::new(directory).into_iter().filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() && seen.insert((metadata.dev(), metadata.ino())) {
                usage.files += 1;
                usage.bytes += metadata.len();
            }
        }
        usage
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// What has become of the bundle that something in the cache was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BundleState {
    /// It is there.
    Present,
    /// Another bundle is in its place.
    Replaced,
    /// Nothing is in its place, or no bundle.
    Gone,
}

/// The tree of a bundle's materialized packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedTree {
    /// The tree's directory.
    pub path: PathBuf,
    /// The bundle that it was made for.
    pub bundle: Option<PathBuf>,
    /// What has become of that.
    pub state: BundleState,
    /// Whether a running program uses it.
    pub in_use: bool,
    /// Its files, and what they take beyond the trees before it.
    pub usage: Usage,
}

/// Files that processes of this user have mapped, as far as that can be seen.
#[must_use]
pub fn mapped_files() -> BTreeSet<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let maps = processes.filter_map(|process| fs::read_to_string(process.path().join("maps")).ok());
    let mut files = BTreeSet::new();
    for map in maps {
        // Five columns, then the path: `FROM-TO rwxp OFFSET DEVICE NUMBER   /path with spaces`.
        let paths = map.lines().filter_map(|line| Some(&line[line.find('/')?..]));
        files.extend(paths.map(|path| PathBuf::from(path.trim_end_matches(" (deleted)"))));
    }
    files
}

/// Whether a process has the file at `path` mapped, by whatever links that path leads to it.
#[must_use]
pub fn is_mapped(path: &Path, mapped: &BTreeSet<PathBuf>) -> bool {
    mapped.contains(path) || path.canonicalize().is_ok_and(|path| mapped.contains(&path))
}

/// The trees below `root`. `seen` holds files that were counted before.
#[must_use]
pub fn cached_trees(
    root: &Path,
    mapped: &BTreeSet<PathBuf>,
    seen: &mut BTreeSet<(u64, u64)>,
) -> Vec<CachedTree> {
    let mut trees: Vec<CachedTree> = directories_in(&root.join(TREES))
        .filter(|path| !is_hidden(path))
        .map(|path| {
            let bundle = recorded_bundle(&path);
            CachedTree {
                state: bundle.as_deref().map_or(BundleState::Gone, |bundle| state(bundle, &path)),
                in_use: is_in_use(&path, bundle.as_deref(), mapped),
                usage: Usage::below(&path, seen),
                bundle,
                path,
            }
        })
        .collect();
    trees.sort_by(|left, right| left.bundle.cmp(&right.bundle));
    trees
}

/// Removes a tree, unless a program has come to use it; says whether it did.
///
/// # Errors
/// What the operating system says.
pub fn remove_tree(tree: &Path) -> io::Result<bool> {
    let lock = match File::open(tree.join(IN_USE)) {
        Ok(lock) => Some(lock),
        // Nobody has ever used it: what is left of one that was being made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(lock) = &lock
        && flock(lock, FlockOperation::NonBlockingLockExclusive).is_err()
    {
        return Ok(false);
    }
    // Out of the way first, so that a program which starts now makes its own.
    let aside = tree.with_file_name(format!(
        ".removed-{}-{}",
        tree.file_name().unwrap_or_default().to_string_lossy(),
        std::process::id()
    ));
    fs::rename(tree, &aside)?;
    remove_directory(&aside)?;
    Ok(true)
}

/// Removes what killed processes have left below `root`, layouts of other versions, and contents
/// that no tree has any more.
///
/// # Errors
/// What the operating system says.
pub fn sweep(root: &Path) -> io::Result<()> {
    for directory in directories_in(root) {
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("trees-v") && name != TREES
            || name.starts_with("contents-v") && name != CONTENTS
        {
            remove_directory(&directory)?;
        }
    }
    // Trees, environments, and what is in trees.
    for directory in directories_in(root).flat_map(|layout| directories_in(&layout)) {
        for directory in [directory.clone()].into_iter().chain(directories_in(&directory)) {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let is_temporary = name.starts_with(".staging-") || name.starts_with(".removed-");
            if is_temporary && is_old(&directory) {
                remove_directory(&directory)?;
            }
        }
    }
    for entry in walkdir::WalkDir::new(root.join(CONTENTS)).into_iter().filter_map(Result::ok) {
        let Ok(metadata) = entry.metadata() else { continue };
        // A process that is about to link it finds it gone, and writes it.
        if metadata.is_file() && metadata.nlink() == 1 {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Directories in `directory`, hidden ones included.
pub fn directories_in(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
}

/// Removes a directory and what is in it, read-only directories included.
///
/// # Errors
/// What the operating system says.
pub fn remove_directory(directory: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(directory).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_dir() {
            fs::set_permissions(entry.path(), Permissions::from_mode(0o700))?;
        }
    }
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Whether a path's last name begins with a dot, as those of what is not complete do.
#[must_use]
pub fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_old(path: &Path) -> bool {
    let modified = path.symlink_metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LEFT_BEHIND))
}

fn state(bundle: &Path, tree: &Path) -> BundleState {
    // Modules do not matter here, so any suffixes do.
    match Bundle::open(bundle, Suffixes::new([""; 0], "", 0)) {
        Err(_) => BundleState::Gone,
        Ok(bundle) if tree.ends_with(key_of(&bundle)) => BundleState::Present,
        Ok(_) => BundleState::Replaced,
    }
}

fn is_in_use(tree: &Path, bundle: Option<&Path>, mapped: &BTreeSet<PathBuf>) -> bool {
    let is_locked = || {
        let Ok(lock) = File::open(tree.join(IN_USE)) else { return false };
        flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err()
    };
    let packages = tree.join(PACKAGES);
    bundle.is_some_and(|bundle| is_mapped(bundle, mapped))
        || mapped.iter().any(|path| path.starts_with(&packages))
        || is_locked()
}
