//! Where mmport keeps what it writes: the user's cache, and what stands in for it.
//!
//! Order: `MMPORT_ROOT`; `XDG_CACHE_HOME/mmport` or `~/.cache/mmport`; then, for the store of
//! materialized packages only, a directory of this user's in `XDG_RUNTIME_DIR`, `TMPDIR` (`/tmp`)
//! or `/dev/shm`. Where `MMPORT_ROOT` is set nothing else is tried.

use std::env;
use std::fs::{DirBuilder, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

// No crate here: the head of standalone executables is compiled with this file and without any.
unsafe extern "C" {
    safe fn geteuid() -> u32;
    safe fn getegid() -> u32;
}

/// The directory for caches that may be lost, or `None` where there is no home.
#[must_use]
pub fn cache_root() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    if let Some(root) = env::var_os("MMPORT_ROOT").filter(|root| !root.is_empty()) {
        return std::path::absolute(root).ok();
    }
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .map(|cache| cache.join("mmport"))
}

/// Directories for the store, in the order in which they are tried.
#[must_use]
pub fn store_roots() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = cache_root().into_iter().collect();
    if env::var_os("MMPORT_ROOT").is_some_and(|root| !root.is_empty()) {
        return roots;
    }
    let user = geteuid();
    let temporary = env::temp_dir();
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    for directory in runtime.into_iter().chain([temporary, PathBuf::from("/dev/shm")]) {
        if directory.is_absolute() {
            roots.push(directory.join(format!("mmport-{user}")));
        }
    }
    roots
}

/// Makes a directory and those above it, for this user alone.
///
/// # Errors
/// What the operating system says.
pub fn create_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Whether `path` is a directory that belongs to this user, or to root (a store that came with a
/// container's image), and that nobody else can write to: who can would choose the code that we
/// load. Writing by this user's own group is how many systems set users up. A link to the directory
/// has to be this user's or root's, too.
#[must_use]
pub fn is_own_directory(path: &Path) -> bool {
    let group = getegid();
    let is_own_place = path.metadata().is_ok_and(|metadata| {
        let mode = metadata.mode();
        metadata.is_dir()
            && is_own(&metadata)
            && mode & 0o002 == 0
            && (mode & 0o020 == 0 || metadata.gid() == group)
    });
    is_own_place && path.symlink_metadata().is_ok_and(|metadata| is_own(&metadata))
}

/// Whether a file belongs to this user or to root.
pub(super) fn is_own(metadata: &Metadata) -> bool {
    let user = geteuid();
    metadata.uid() == user || metadata.uid() == 0
}

/// Whether a file belongs to this user or to root, and nobody else may write to it.
#[must_use]
pub fn is_own_file(metadata: &Metadata) -> bool {
    is_own(metadata) && metadata.mode() & 0o022 == 0
}
