//! The directory of one bundle's tree below one root, and its locks.
//!
//! ```text
//! ROOT/trees-v2/KEY/site-packages/…   materialized units, at their paths in the bundle
//! ROOT/trees-v2/KEY/needs/HASH        libraries that a unit needs, with their seals
//! ROOT/trees-v2/KEY/bundle            path of the bundle that the tree was made for
//! ROOT/trees-v2/KEY/in-use            locked, shared, by every process that uses the tree
//! ROOT/trees-v2/KEY/writing           locked by the process that is bringing something out
//! ```
//!
//! Who removes a tree holds `in-use` exclusively until nothing is left, so a process that got its
//! lock on a file which has no name any more knows that it came too late. Both locks go with their
//! process, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::{create_private, is_own_directory};

/// The version of the layout; a change gets a new directory, so versions never meet.
pub(super) const TREES: &str = "trees-v2";
/// Where units are. The name by which tools tell installed packages from a program's own.
pub(super) const PACKAGES: &str = "site-packages";
const NEEDS: &str = "needs";
const BUNDLE: &str = "bundle";
pub(super) const IN_USE: &str = "in-use";
const WRITING: &str = "writing";

/// How long a process waits for one that is bringing files out, before it does so too: writing
/// twice is a waste, but safe.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it sleeps in between.
const NAP: Duration = Duration::from_millis(3);

/// One bundle's tree below one root, in use by this process until it ends.
#[derive(Debug)]
pub(super) struct TreeDirectory {
    root: PathBuf,
    directory: PathBuf,
    packages: PathBuf,
    _in_use: File,
}

impl TreeDirectory {
    /// The tree at `directory`, if it is there.
    pub(super) fn existing(root: &Path, directory: &Path) -> Option<Self> {
        // Somebody may be removing it; then it is gone with the second try.
        for _ in 0..2 {
            let in_use = OpenOptions::new().read(true).open(directory.join(IN_USE)).ok()?;
            // A file system without locks is no reason not to use the tree.
            let _ = flock(&in_use, FlockOperation::LockShared);
            if in_use.metadata().ok()?.nlink() > 0 {
                return is_own_directory(root).then(|| Self::of(root, directory, in_use));
            }
        }
        None
    }

    /// The tree at `directory`, made when it is not there.
    pub(super) fn make(root: &Path, directory: &Path, bundle: &Path) -> io::Result<Self> {
        create_private(root)?;
        if !is_own_directory(root) {
            return Err(io::Error::other("belongs to somebody else, or everybody may write to it"));
        }
        for _ in 0..16 {
            create_private(&directory.join(PACKAGES))?;
            let record = directory.join(BUNDLE);
            if !record.exists() {
                fs::write(record, bundle.as_os_str().as_bytes())?;
            }
            let in_use = open_lock(&directory.join(IN_USE))?;
            let _ = flock(&in_use, FlockOperation::LockShared);
            if in_use.metadata()?.nlink() > 0 && directory.join(PACKAGES).is_dir() {
                // Shows a read-only file system now rather than in the middle of a package.
                tempfile::Builder::new().prefix(".probe-").tempfile_in(directory)?;
                return Ok(Self::of(root, directory, in_use));
            }
        }
        Err(io::Error::other("is being removed again and again"))
    }

    fn of(root: &Path, directory: &Path, in_use: File) -> Self {
        let packages = directory.join(PACKAGES);
        Self { root: root.to_owned(), directory: directory.to_owned(), packages, _in_use: in_use }
    }

    /// The root that the tree is below.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The directory below which units have their paths of the bundle.
    pub(super) fn packages(&self) -> &Path {
        &self.packages
    }

    /// Whether the unit is there.
    pub(super) fn has(&self, unit: &str) -> bool {
        self.packages.join(unit).symlink_metadata().is_ok()
    }

    /// Where the libraries that a unit needs are recorded.
    pub(super) fn needs(&self, unit: &str) -> PathBuf {
        // A unit is a path, and may be longer than a file's name.
        self.directory.join(NEEDS).join(&blake3::hash(unit.as_bytes()).to_hex().as_str()[..32])
    }

    /// A directory for what is being written; it goes with what is returned.
    pub(super) fn staging(&self) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(".staging-").tempdir_in(&self.directory)
    }

    /// Waits until no other process is bringing files out, or `is_done` says that there is nothing
    /// left to do. `None` stands for a lock that could not be had: writing is safe without.
    pub(super) fn lock_for_writing(&self, is_done: impl Fn() -> bool) -> Option<WritingLock> {
        let file = open_lock(&self.directory.join(WRITING)).ok()?;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(WritingLock { file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
            if is_done() {
                return None;
            }
            std::thread::sleep(NAP);
        }
        None
    }
}

/// Held by the process that is bringing files out.
#[derive(Debug)]
pub(super) struct WritingLock {
    file: File,
}

impl Drop for WritingLock {
    fn drop(&mut self) {
        // Said, rather than left to closing: a child that was forked meanwhile has the file open.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

/// Opens a file to be locked; nothing is ever written to it.
fn open_lock(path: &Path) -> io::Result<File> {
    match OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
    {
        // A read-only store: shared locks do not need more.
        Err(_) if path.exists() => File::open(path),
        opened => opened,
    }
}

/// The path of the bundle that the tree at `directory` was made for.
pub(super) fn recorded_bundle(directory: &Path) -> Option<PathBuf> {
    let bytes = fs::read(directory.join(BUNDLE)).ok()?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(&bytes)))
}
