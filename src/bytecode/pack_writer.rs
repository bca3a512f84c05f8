//! Writing packs: one process appends to its own file, which is locked until the process ends.
//!
//! Each code object is appended by one `write` as soon as it is compiled, so a process that is killed
//! loses at most the one that it was writing. Nobody else writes to the file, and the lock goes with the
//! process: whoever gets it knows that the writer is gone.
//!
//! Nothing is flushed to the disk. After a loss of power a pack may be short, or have zeros in places;
//! both are found by the checks, and cost compiling again. Flushing would cost every first start
//! milliseconds to protect what can be made again.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::native::out_of_the_way;

use super::key::Key;
use super::pack::{HEADER, index_of};
use super::record::Record;

/// What the names of packs begin with that a process is adding to, or was when it was killed.
pub(super) const WRITING: &str = "writing-";
/// What the names of sealed packs begin with.
pub(super) const SEALED: &str = "pack-";
/// What the names of packs begin with that are being made of others.
pub(super) const MERGING: &str = "merging-";
/// How long a pack can be empty before its writer is taken for gone.
const EMPTY: Duration = Duration::from_secs(60);

/// A pack that this process is writing.
#[derive(Debug)]
pub(super) struct PackWriter {
    file: File,
    path: PathBuf,
    /// The process that writes: a child has the file open too, but it is not the child's.
    process: u32,
    length: u64,
    /// Key, place and time of last use of each record.
    records: Vec<(Key, u64, u32)>,
    buffer: Vec<u8>,
}

impl PackWriter {
    /// Makes a pack in `directory`, whose name begins with `prefix`.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn create(directory: &Path, prefix: &str) -> io::Result<Self> {
        let process = std::process::id();
        let nanoseconds = std::time::SystemTime::now()
            .duration_since(std::time::SystemTime::UNIX_EPOCH)
            .map_or(0, |since_epoch| since_epoch.as_nanos());
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true).mode(0o600);
        let mut number = 0;
        let (file, path) = loop {
            let path = directory.join(format!("{prefix}{process}-{:x}", nanoseconds + number));
            match options.open(&path) {
                Ok(file) => break (file, path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number < 16 => {
                    number += 1;
                }
                Err(error) => return Err(error),
            }
        };
        let mut file = out_of_the_way(file);
        // A file system without locks: then nobody can tell that it is being written, and whoever
        // tidies up may take it for left behind. Nothing but this process's part is lost.
        let _ = flock(&file, FlockOperation::NonBlockingLockExclusive);
        if let Err(error) = file.write_all(HEADER) {
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let length = HEADER.len() as u64;
        Ok(Self { file, path, process, length, records: Vec::new(), buffer: Vec::new() })
    }

    /// Whether this process made it.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its size in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The keys in it.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.records.iter().map(|(key, ..)| key)
    }

    /// Appends a record that was last used at `used`.
    ///
    /// # Errors
    /// What the operating system says. What was appended before stays.
    pub(super) fn append(&mut self, record: &Record, used: u32) -> io::Result<()> {
        self.buffer.clear();
        if record.write(&mut self.buffer).is_none() {
            return Err(io::Error::other("code object of more than 4 GiB"));
        }
        self.file.write_all(&self.buffer).inspect_err(|_| {
            // Half a record ends those that are read, so nothing may come behind it.
            let _ = self.file.set_len(self.length);
        })?;
        self.records.push((record.key, self.length, used));
        self.length += self.buffer.len() as u64;
        Ok(())
    }

    /// Reads what was appended before: `length` bytes from `offset` on.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn read_back(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let mut data = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut data, offset)?;
        Ok(data)
    }

    /// Adds the index and gives the pack its name. Without records it is removed.
    ///
    /// # Errors
    /// What the operating system says; the pack stays as it was.
    pub(super) fn seal(mut self) -> io::Result<()> {
        if self.records.is_empty() {
            return fs::remove_file(&self.path);
        }
        let index = index_of(&mut self.records, self.length);
        self.file.write_all(&index).inspect_err(|_| {
            let _ = self.file.set_len(self.length);
        })?;
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.split_once('-').map_or(&*name, |(_, rest)| rest);
        // Under both names it may be read at any moment.
        fs::rename(&self.path, self.path.with_file_name(format!("{SEALED}{name}")))
    }

    /// Removes the pack.
    ///
    /// # Errors
    /// What the operating system says.
    pub(super) fn discard(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Whether the process that wrote the pack at `path`, which is not sealed, is gone, or it is none.
pub(super) fn is_left_behind(path: &Path) -> bool {
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return true;
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    file.is_ok_and(|file| {
        file.metadata().is_ok_and(|metadata| metadata.len() > 0 || is_old(&metadata))
            && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
    })
}

/// Whether a pack that is empty was not made just now: one that was is not locked yet.
fn is_old(metadata: &Metadata) -> bool {
    let modified = metadata.modified().ok();
    modified.and_then(|time| time.elapsed().ok()).is_some_and(|elapsed| elapsed > EMPTY)
}
