//! The memory map of a bundle file: the only place where mmport maps a file.
//!
//! Invariant: the map is read-only and private, its length is the file's length when it was
//! opened, and it lives as long as anything borrows from it (everything that does holds an `Arc`
//! of its [`Bundle`](super::Bundle)).

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::BundleError;

/// A bundle file, mapped.
#[derive(Debug)]
pub struct Mapping {
    path: PathBuf,
    map: memmap2::Mmap,
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
        // SAFETY: the map is private and read-only, so nothing in this process writes through
        // it. What remains is the hazard that every reader of mapped files shares: another
        // process that truncates or rewrites the file in place while it is mapped. `mmport
        // build` never does (it writes beside the file and renames), a rename or an unlink
        // leaves this map as it was, and all bytes read from the map are bounds-checked and
        // treated as untrusted.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(open_error)?;
        Ok(Self { path: path.to_owned(), map })
    }

    /// The path that was opened, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}
