//! What is in the store, for people: listing, checking and removing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::bundle::BundleError;
use crate::native::{directories_in, is_own_directory, path_as_text};

use super::housekeeping::{TidyingLock, evict, is_being_written, is_unsealed, remove, rewrite};
use super::key::Key;
use super::store::{LAYOUT, open_pack, pack_paths};

/// A code object in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CachedCode {
    /// What it was compiled for: `cpython-311`, `cpython-311.opt-1`.
    pub target: String,
    /// The first module that had its source.
    pub module: String,
    /// Where that module's source was.
    pub origin: String,
    /// Its key, in hexadecimal digits.
    pub key: String,
    /// The size of the marshalled code object in bytes.
    pub bytes: u64,
    /// When it was compiled, in seconds since the epoch.
    pub written: u32,
    /// When it was last used, to the hour, in seconds since the epoch.
    pub used: u32,
    /// The pack that it is in.
    #[serde(serialize_with = "path_as_text")]
    pub pack: PathBuf,
    /// Whether it is what was written.
    pub is_sound: bool,
}

/// The room that the store takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StoreUsage {
    /// How many packs there are.
    pub packs: u64,
    /// How many code objects, those in several packs counted more than once.
    pub code_objects: u64,
    /// The size of the packs in bytes.
    pub bytes: u64,
}

/// A pack in which something is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DamagedPack {
    /// Where it was.
    #[serde(serialize_with = "path_as_text")]
    pub path: PathBuf,
    /// How many code objects were lost.
    pub lost: u64,
}

fn directories(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    directories_in(&root.join(LAYOUT)).filter(|directory| is_own_directory(directory))
}

/// The directory of the store below a cache's root.
#[must_use]
pub fn bytecode_directory(root: &Path) -> PathBuf {
    root.join(LAYOUT)
}

/// All code objects below `root`, by target and module.
#[must_use]
pub fn cached_code(root: &Path) -> Vec<CachedCode> {
    let mut found = Vec::new();
    for directory in directories(root) {
        let target = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for pack in pack_paths(&directory).filter_map(|path| open_pack(&path)) {
            // Of a pack that becomes shorter meanwhile, what was there is listed.
            let _ = pack.each(|place, record| {
                found.push(CachedCode {
                    target: target.clone(),
                    module: String::from_utf8_lossy(record.module).into_owned(),
                    origin: String::from_utf8_lossy(record.origin).into_owned(),
                    key: record.key.to_string(),
                    bytes: record.code.len() as u64,
                    written: record.written,
                    used: place.stamp.map_or(record.written, |(_, stamp)| stamp),
                    pack: pack.path().to_owned(),
                    is_sound: record.is_sound(),
                });
            });
        }
    }
    found.sort_by(|left, right| {
        let order =
            |code: &CachedCode| (code.target.clone(), code.module.clone(), code.key.clone());
        order(left).cmp(&order(right))
    });
    found
}

/// The marshalled code object under `key` below `root`, if it is there and sound.
#[must_use]
pub fn marshalled_code(root: &Path, key: &Key) -> Option<Vec<u8>> {
    directories(root)
        .flat_map(|directory| pack_paths(&directory))
        .filter_map(|path| open_pack(&path))
        .find_map(|pack| pack.read(key, |_, code| code.to_vec())?.ok())
}

/// What the store below `root` takes.
#[must_use]
pub fn store_usage(root: &Path) -> StoreUsage {
    let mut usage = StoreUsage::default();
    for pack in directories(root).flat_map(|it| pack_paths(&it)).filter_map(|it| open_pack(&it)) {
        usage.packs += 1;
        usage.code_objects += pack.count() as u64;
        usage.bytes += pack.size() as u64;
    }
    usage
}

/// Checks all that nobody is writing, and drops what is not what was written. It is compiled again
/// when it is next needed. Returns how many code objects were looked at, and where some were lost.
///
/// # Errors
/// What the operating system says.
pub fn verify_store(root: &Path) -> io::Result<(usize, Vec<DamagedPack>)> {
    let mut looked_at = 0;
    let mut damaged = Vec::new();
    let Some(_lock) = lock(root)? else { return Ok((0, damaged)) };
    for directory in directories(root) {
        for path in pack_paths(&directory).filter(|path| !is_being_written(path)) {
            let Some(pack) = open_pack(&path) else {
                // Nothing is lost where its writer was killed before it wrote anything.
                let is_empty = is_unsealed(&path)
                    && path.symlink_metadata().is_ok_and(|found| found.len() == 0);
                remove(&path)?;
                if !is_empty {
                    damaged.push(DamagedPack { path, lost: 0 });
                }
                continue;
            };
            let mut lost = 0;
            let missing = pack.each(|_, record| {
                looked_at += 1;
                lost += u64::from(!record.is_sound());
            });
            lost += missing.map_or_else(|_: BundleError| pack.count() as u64, |count| count as u64);
            if lost > 0 || pack.has_lost_its_end() {
                rewrite(&directory, std::slice::from_ref(&pack), |_| true)?;
                damaged.push(DamagedPack { path, lost });
            }
        }
    }
    Ok((looked_at, damaged))
}

/// Makes the store below `root` at most `limit` bytes large, by dropping what was used least recently.
///
/// # Errors
/// What the operating system says.
pub fn prune_store(root: &Path, limit: u64) -> io::Result<()> {
    let Some(_lock) = lock(root)? else { return Ok(()) };
    evict(&root.join(LAYOUT), limit).map(drop)
}

/// Removes all that nobody is writing. Who reads goes on reading.
///
/// # Errors
/// What the operating system says.
pub fn clear_store(root: &Path) -> io::Result<()> {
    let layout = root.join(LAYOUT);
    // What is in the place of a store that can be used goes as a whole.
    if layout.symlink_metadata().is_ok() && !is_own_directory(&layout) {
        return remove(&layout);
    }
    let Some(_lock) = lock(root)? else { return Ok(()) };
    for directory in directories(root) {
        for path in pack_paths(&directory).filter(|path| !is_being_written(path)) {
            remove(&path)?;
        }
        // Not while somebody writes into it.
        let _ = fs::remove_dir(directory);
    }
    for directory in directories_in(&layout).filter(|directory| !is_own_directory(directory)) {
        remove(&directory)?;
    }
    Ok(())
}

/// `None` where there is no store, or somebody else is tidying up.
fn lock(root: &Path) -> io::Result<Option<TidyingLock>> {
    let layout = root.join(LAYOUT);
    if !layout.is_dir() {
        return Ok(None);
    }
    TidyingLock::take(&layout)
}
