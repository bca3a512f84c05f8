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
//! Both locks go with their process, however it ends. See [`super::in_use`] for the first.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::in_use::InUse;
use super::{create_private, is_own_directory};

/// The version of the layout; a change gets a new directory, so versions never meet.
pub(super) const TREES: &str = "trees-v2";
/// Where units are. The name by which tools tell installed packages from a program's own.
pub(super) const PACKAGES: &str = "site-packages";
const NEEDS: &str = "needs";
const BUNDLE: &str = "bundle";
const WRITING: &str = "writing";

/// How often a tree is made that somebody removes.
const ATTEMPTS: usize = 16;
/// How long a process waits, in all, for others that are bringing files out, before it does so too:
/// writing twice is a waste, but safe.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it sleeps in between.
const NAP: Duration = Duration::from_millis(3);

/// One bundle's tree below one root, in use by this process until it ends.
#[derive(Debug)]
pub(super) struct TreeDirectory {
    root: PathBuf,
    directory: PathBuf,
    packages: PathBuf,
    _in_use: InUse,
}

impl TreeDirectory {
    /// The tree at `directory`, if it is there.
    pub(super) fn existing(root: &Path, directory: &Path) -> Option<Self> {
        if root.to_str().is_none() || !is_own_directory(root) {
            return None;
        }
        Some(Self::of(root, directory, InUse::existing(directory)?))
    }

    /// The tree at `directory`, made when it is not there.
    pub(super) fn make(root: &Path, directory: &Path, bundle: &Path) -> io::Result<Self> {
        if root.to_str().is_none() {
            return Err(io::Error::other("expected a path in UTF-8"));
        }
        create_private(root)?;
        if !is_own_directory(root) {
            return Err(io::Error::other(
                "belongs to somebody else, or others or everybody may write to it",
            ));
        }
        for _ in 0..ATTEMPTS {
            match Self::try_to_make(root, directory, bundle) {
                // It is being removed.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(Some(tree)) => return Ok(tree),
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("is being removed again and again"))
    }

    fn try_to_make(root: &Path, directory: &Path, bundle: &Path) -> io::Result<Option<Self>> {
        create_private(&directory.join(PACKAGES))?;
        let record = directory.join(BUNDLE);
        if !record.exists() {
            fs::write(record, bundle.as_os_str().as_bytes())?;
        }
        let Some(in_use) = InUse::make(directory)? else { return Ok(None) };
        if !directory.join(PACKAGES).is_dir() {
            return Ok(None);
        }
        // Shows a read-only file system now rather than in the middle of a package.
        tempfile::Builder::new().prefix(".probe-").tempfile_in(directory)?;
        Ok(Some(Self::of(root, directory, in_use)))
    }

    fn of(root: &Path, directory: &Path, in_use: InUse) -> Self {
        Self {
            root: root.to_owned(),
            directory: directory.to_owned(),
            packages: directory.join(PACKAGES),
            _in_use: in_use,
        }
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
        static WAITED: Mutex<Duration> = Mutex::new(Duration::ZERO);
        let file = open_lock(&self.directory.join(WRITING)).ok()?;
        let waited = || *WAITED.lock().unwrap_or_else(PoisonError::into_inner);
        while waited() < PATIENCE {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Some(WritingLock { file }),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
            if is_done() {
                return None;
            }
            std::thread::sleep(NAP);
            *WAITED.lock().unwrap_or_else(PoisonError::into_inner) += NAP;
        }
        tracing::warn!(
            target: "mmport::store",
            path = %self.directory.display(),
            "another process has been bringing files out for long; not waiting for it any more"
        );
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
        // A read-only store.
        Err(_) if path.exists() => File::open(path),
        opened => opened,
    }
}

/// The path of the bundle that the tree at `directory` was made for.
pub(super) fn recorded_bundle(directory: &Path) -> Option<PathBuf> {
    let bytes = fs::read(directory.join(BUNDLE)).ok()?;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(&bytes)))
}
