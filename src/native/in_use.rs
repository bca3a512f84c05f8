//! Locks that say that a directory of the cache is in use by running programs.
//!
//! Each process that uses a directory holds a shared lock on the file `in-use` in it until it ends,
//! however it ends. Who removes the directory holds the lock alone until nothing is left, so a process
//! that gets its lock on a file which has no name any more knows that it came too late. A file system
//! without locks is no reason not to use a directory; it is never taken for one in use.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use super::root::is_own;

/// The file that is locked.
const IN_USE: &str = "in-use";
/// The least number of a descriptor that is kept; lower ones are for programs.
const HIGH: i32 = 64;
/// The one behind the standard streams, where fewer may be open than that.
const FIRST_FREE: i32 = 3;

/// A directory that is in use as long as this lives.
#[derive(Debug)]
pub struct InUse {
    _file: File,
}

impl InUse {
    /// Uses the directory, if it is there and not being removed, and its file is this user's.
    #[must_use]
    pub fn existing(directory: &Path) -> Option<Self> {
        // Somebody may be removing it; then it is gone with the second try.
        (0..2).find_map(|_| Self::lock(open(directory, false).ok()?).ok().flatten())
    }

    /// Uses the directory, which has to be there; `None` when it is being removed.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn make(directory: &Path) -> io::Result<Option<Self>> {
        Self::lock(open(directory, true)?)
    }

    fn lock(file: File) -> io::Result<Option<Self>> {
        // Before waiting for anything: it may be somebody else's file.
        if !is_own(&file.metadata()?) {
            return Err(io::Error::other("belongs to somebody else"));
        }
        let _ = flock(&file, FlockOperation::LockShared);
        Ok((file.metadata()?.nlink() > 0).then(|| Self { _file: out_of_the_way(file) }))
    }
}

/// The same open file under a number that no program expects anything of: it stays open, and in a
/// process without standard streams it would be taken for one of them.
#[must_use]
pub fn out_of_the_way(file: File) -> File {
    let moved =
        fcntl_dupfd_cloexec(&file, HIGH).or_else(|_| fcntl_dupfd_cloexec(&file, FIRST_FREE));
    moved.map_or(file, File::from)
}

/// Whether a process uses the directory.
#[must_use]
pub fn is_in_use(directory: &Path) -> bool {
    open(directory, false).is_ok_and(|file| {
        flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    })
}

/// Removes a directory that may be in use, unless it is; says whether it is gone.
///
/// # Errors
/// What the operating system says.
pub fn remove_unless_in_use(directory: &Path) -> io::Result<bool> {
    let file = open(directory, false).ok();
    if let Some(file) = &file
        && flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    {
        return Ok(false);
    }
    // Out of the way first, so that a program which starts now makes its own.
    let name = directory.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    let aside = directory.with_file_name(format!(".removed-{name}-{}", std::process::id()));
    match fs::rename(directory, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
        Ok(()) => remove_directory(&aside).map(|()| true),
    }
}

/// Removes a directory and what is in it, read-only directories included. That another process has
/// removed it, or a part of it, is no error.
///
/// # Errors
/// What the operating system says.
pub fn remove_directory(directory: &Path) -> io::Result<()> {
    for entry in walkdir::WalkDir::new(directory).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_dir() {
            unless_gone(fs::set_permissions(entry.path(), Permissions::from_mode(0o700)))?;
        }
    }
    unless_gone(fs::remove_dir_all(directory))
}

/// What is gone need not be removed.
pub(super) fn unless_gone(outcome: io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

fn open(directory: &Path, create: bool) -> io::Result<File> {
    // Neither a link nor something that makes who opens it wait.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let path = directory.join(IN_USE);
    match OpenOptions::new().read(true).custom_flags(flags).open(&path) {
        Err(error) if create && error.kind() == io::ErrorKind::NotFound => OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(flags)
            .open(&path),
        opened => opened,
    }
}
