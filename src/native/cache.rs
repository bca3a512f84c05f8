//! Keeping house in the store: counting, pruning, clearing and verifying what is below a root.
//!
//! A tree is in use as long as a process holds its lock (see [`super::directory`]) or has its bundle
//! or one of its files mapped; such a tree is left alone. Everything else can be made again from the
//! bundle.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::bundle::{Bundle, Suffixes};

use super::content::CONTENTS;
use super::directory::{PACKAGES, TREES, recorded_bundle};
use super::in_use::{is_in_use, remove_directory, remove_unless_in_use, unless_gone};
use super::tree::tree_key;

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
    #[serde(serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// The bundle that it was made for.
    #[serde(serialize_with = "optional_path_as_text")]
    pub bundle: Option<PathBuf>,
    /// What has become of that.
    pub state: BundleState,
    /// Whether a running program uses it.
    pub in_use: bool,
    /// Its files, and what they take beyond the trees before it.
    pub usage: Usage,
}

/// Serializes a path with replacement characters for what is not UTF-8.
///
/// # Errors
/// Those of the serializer.
pub fn path_as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// As [`path_as_text`], for a path that may be absent.
///
/// # Errors
/// Those of the serializer.
pub fn optional_path_as_text<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
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
                in_use: is_used(&path, bundle.as_deref(), mapped),
                usage: Usage::below(&path, seen),
                bundle,
                path,
            }
        })
        .collect();
    trees.sort_by(|left, right| left.bundle.cmp(&right.bundle));
    trees
}

/// Removes what killed processes have left below `root`, layouts of other versions, and contents
/// that no tree has any more.
///
/// # Errors
/// What the operating system says.
pub fn sweep(root: &Path) -> io::Result<()> {
    for (layout, trees) in former_layouts(root, TREES) {
        for tree in directories_in(&trees) {
            remove_unless_in_use(&tree)?;
        }
        // Contents of that time are linked to by trees that are left.
        if unless_gone(fs::remove_dir(&trees)).is_err() {
            tracing::debug!(target: "mmport::store", layout, "trees of a former layout are in use");
            return Ok(());
        }
    }
    for (_, contents) in former_layouts(root, CONTENTS) {
        remove_directory(&contents)?;
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
            unless_gone(fs::remove_file(entry.path()))?;
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

/// Directories in `root` of layouts before `current`, a name that ends in a version. Those of later
/// ones are a newer mmport's.
fn former_layouts(root: &Path, current: &str) -> impl Iterator<Item = (u32, PathBuf)> {
    let number = |name: &str| name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok();
    let kind = current.trim_end_matches(|character: char| character.is_ascii_digit());
    let version: Option<u32> = number(current);
    directories_in(root).filter_map(move |path| {
        let layout = number(path.file_name()?.to_str()?.strip_prefix(kind)?)?;
        (Some(layout) < version).then_some((layout, path))
    })
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
        Ok(bundle) if tree.ends_with(tree_key(&bundle)) => BundleState::Present,
        Ok(_) => BundleState::Replaced,
    }
}

fn is_used(tree: &Path, bundle: Option<&Path>, mapped: &BTreeSet<PathBuf>) -> bool {
    let packages = tree.join(PACKAGES);
    bundle.is_some_and(|bundle| is_mapped(bundle, mapped))
        || mapped.iter().any(|path| path.starts_with(&packages))
        || is_in_use(tree)
}
