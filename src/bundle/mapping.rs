//! The memory map of a bundle file: the only place where mmport maps a file.
//!
//! Invariant: the map is read-only and private, and its length is the file's length when it was
//! opened. Its bytes are only seen through [`Mapping::read`], which notices when the file was cut
//! off; whoever reads checks them against what was known when the file was opened.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::BundleError;
use super::guard::read_guarded;

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A bundle file, mapped.
#[derive(Debug)]
pub struct Mapping {
    path: PathBuf,
    map: memmap2::Mmap,
    identity: Identity,
    /// How many pages of the file were missing when they were read; there are zeros now.
    losses: AtomicUsize,
}

impl Mapping {
    /// Opens and maps `path` read-only.
    ///
    /// # Errors
    /// [`BundleError::Open`] when the file cannot be opened or mapped, and
    /// [`BundleError::NotAFile`] when the path names a directory, a device or a pipe.
    pub fn open(path: &Path) -> Result<Self, BundleError> {
        let open_error = |source| BundleError::Open { path: path.to_owned(), source };
        // Before the file is opened: opening a pipe would wait for somebody to write to it.
        let metadata = path.metadata().map_err(open_error)?;
        if !metadata.is_file() {
            return Err(BundleError::NotAFile {
                path: path.to_owned(),
                found: if metadata.is_dir() { "a directory" } else { "a device or a pipe" },
            });
        }
        let file = File::open(path).map_err(open_error)?;
        let identity = Identity::of(&file.metadata().map_err(open_error)?);
        // SAFETY: the map is private and read-only, so nothing in this process writes through
        // it. What remains is the hazard that every reader of mapped files shares: another
        // process that truncates or rewrites the file in place while it is mapped. `mmport
        // build` never does (it writes beside the file and renames), and a rename or an unlink
        // leaves this map as it was. `read` survives a truncation, and no decision that safety
        // depends on is made by looking at mapped bytes twice.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(open_error)?;
        Ok(Self { path: path.to_owned(), map, identity, losses: AtomicUsize::new(0) })
    }

    /// The path that was opened, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the file when it was opened, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.map.len()
    }

    /// Whether there is another file at the path by now, or other content in this one.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.path.metadata().is_ok_and(|metadata| Identity::of(&metadata) != self.identity)
    }

    /// Whether every page that was read was there. If not, `read` shows zeros in their places.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.losses.load(Ordering::SeqCst) == 0
    }

    /// The error for a file that has become shorter.
    pub(super) fn cut_off(&self) -> BundleError {
        BundleError::CutOff { path: self.path.clone(), expected: self.map.len() }
    }

    /// Runs `read` on the whole file.
    ///
    /// # Errors
    /// [`BundleError::CutOff`] when the file became shorter meanwhile than what somebody reads; the
    /// result of `read` is dropped.
    pub fn read<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T, BundleError> {
        let before = self.losses.load(Ordering::SeqCst);
        let outcome = read_guarded(&self.map, &self.losses, read);
        if self.losses.load(Ordering::SeqCst) == before { Ok(outcome) } else { Err(self.cut_off()) }
    }
}
