//! Keeping the store small and in few files.
//!
//! There is no daemon. A process that has added something tidies up when it ends, if nobody else is
//! doing so: packs that were left behind are put together with other small ones, damaged entries are
//! dropped, and where all targets together take more than the limit, the entries that were used least
//! recently go. Packs are never changed in place but for their stamps, so whoever has one mapped goes on
//! reading it after its name is gone.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::native::{directories_in, is_own_directory};

use super::key::Key;
use super::pack::{IN_INDEX, Pack};
use super::pack_writer::{MERGING, PackWriter, WRITING, is_left_behind};
use super::store::{LAYOUT, open_pack, pack_paths};

/// Sealed packs of less than [`LARGE`] are put together when there are more than this.
const MANY: usize = 8;
/// No pack is put together with others that is at least this large, in bytes.
const LARGE: u64 = 64 << 20;
/// When the store is too large, it is made smaller than its limit by one part in this many, so that
/// not every process has to.
const SLACK: u64 = 8;
const LOCK: &str = "tidying";

/// Gives `pack` back unless all that is in it is in sealed packs too; then it is removed.
pub(super) fn drop_if_elsewhere(
    pack: PackWriter,
    directory: &Path,
) -> io::Result<Option<PackWriter>> {
    let others: Vec<Arc<Pack>> = pack_paths(directory)
        .filter(|path| path != pack.path())
        .filter_map(|path| open_pack(&path))
        .filter(|pack| pack.is_sealed())
        .collect();
    let is_elsewhere = pack.keys().all(|key| others.iter().any(|other| other.has(key)));
    if !others.is_empty() && is_elsewhere {
        return pack.discard().map(|()| None);
    }
    Ok(Some(pack))
}

/// Notes that entries, given by pack and number, were used at `now`.
pub(super) fn write_stamps(used: &[(Arc<Pack>, usize)], now: u32) {
    let mut by_pack: HashMap<&Path, (&Pack, Vec<usize>)> = HashMap::new();
    for (pack, number) in used {
        by_pack.entry(pack.path()).or_insert((pack, Vec::new())).1.push(*number);
    }
    for (path, (pack, numbers)) in by_pack {
        let Some((offset, stamps)) = pack.stamps(&numbers, now) else { continue };
        // Whatever becomes of this, only the order of eviction depends on it.
        let file = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path);
        let _ = file.and_then(|file| file.write_all_at(&stamps, offset));
    }
}

/// Whether some of `packs` are to be put together.
pub(super) fn are_many(packs: &[Arc<Pack>]) -> bool {
    packs.iter().filter(|pack| (pack.size() as u64) < LARGE).count() > MANY
}

/// Removes what is in place of a pack, whatever it is.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let is_directory = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    let removed = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        outcome => outcome,
    }
}

/// Puts small packs in `directory` together where there are many, or where `is_damaged` says that
/// something is to be dropped, and keeps the whole store within `limit` bytes. Does nothing while
/// another process does it.
pub(super) fn tidy(root: &Path, directory: &Path, limit: u64, is_damaged: bool) -> io::Result<()> {
    let layout = root.join(LAYOUT);
    let Some(_lock) = TidyingLock::take(&layout)? else { return Ok(()) };
    remove_half_merged(directory);
    let paths: Vec<PathBuf> = pack_paths(directory)
        .filter(|path| !is_being_written(path))
        .filter(|path| is_damaged || path.metadata().is_ok_and(|found| found.len() < LARGE))
        .collect();
    let has_left_behind = paths.iter().any(|path| is_unsealed(path));
    if paths.len() > MANY || has_left_behind || is_damaged {
        let packs: Vec<Arc<Pack>> = paths.iter().filter_map(|path| open_pack(path)).collect();
        rewrite(directory, &packs, |_| true)?;
        // What is no pack at all goes too.
        let is_open = |path: &PathBuf| packs.iter().any(|pack| pack.path() == path);
        for path in paths.iter().filter(|path| !is_open(path)) {
            let _ = remove(path);
        }
    }
    evict(&layout, limit).map(drop)
}

/// Makes the packs of all targets together at most `limit` bytes large, by dropping what was used
/// least recently. Returns how many bytes went.
///
/// # Errors
/// What the operating system says.
pub(super) fn evict(layout: &Path, limit: u64) -> io::Result<u64> {
    let paths: Vec<(PathBuf, PathBuf)> = directories_in(layout)
        .filter(|directory| is_own_directory(directory))
        .flat_map(|directory| pack_paths(&directory).map(move |path| (directory.clone(), path)))
        .collect();
    let size = |path: &Path| path.metadata().map_or(0, |metadata| metadata.len());
    let total: u64 = paths.iter().map(|(_, path)| size(path)).sum();
    if total <= limit {
        return Ok(0);
    }
    let packs: Vec<(&Path, Arc<Pack>)> = paths
        .iter()
        .filter(|(_, path)| !is_being_written(path))
        .filter_map(|(directory, path)| Some((&**directory, open_pack(path)?)))
        .collect();
    // When it was last used, its size, its pack's number, its key.
    let mut entries: Vec<(u32, u64, usize, Key)> = Vec::new();
    for (number, (_, pack)) in packs.iter().enumerate() {
        let _ = pack.each(|place, record| {
            let used = place.stamp.map_or(record.written, |(_, stamp)| stamp);
            let size = record.length() + IN_INDEX;
            entries.push((used, size as u64, number, record.key));
        });
    }
    entries.sort_unstable();
    let goal = limit - limit / SLACK;
    let mut dropped: HashMap<usize, HashSet<Key>> = HashMap::new();
    let mut left = total;
    for (_, size, number, key) in entries {
        if left <= goal {
            break;
        }
        left = left.saturating_sub(size);
        dropped.entry(number).or_default().insert(key);
    }
    for (number, keys) in dropped {
        let (directory, pack) = &packs[number];
        rewrite(directory, std::slice::from_ref(pack), |key| !keys.contains(key))?;
    }
    Ok(total - left)
}

/// Puts what is sound and to be kept of `packs` into new ones in their place.
pub(super) fn rewrite(
    directory: &Path,
    packs: &[Arc<Pack>],
    is_kept: impl Fn(&Key) -> bool,
) -> io::Result<()> {
    let mut used: HashMap<Key, u32> = HashMap::new();
    for pack in packs {
        let _ = pack.each(|place, record| {
            let stamp = place.stamp.map_or(record.written, |(_, stamp)| stamp);
            let newest = used.entry(record.key).or_default();
            *newest = stamp.max(*newest);
        });
    }
    let mut writer: Option<PackWriter> = None;
    let mut full = Vec::new();
    let mut outcome = Ok(());
    for pack in packs {
        // What a pack that has become shorter still had is kept; the rest is compiled again.
        let _ = pack.each(|_, record| {
            let is_wanted = outcome.is_ok() && is_kept(&record.key) && record.is_sound();
            let Some(stamp) = used.get(&record.key).copied().filter(|_| is_wanted) else { return };
            outcome = append(directory, &mut writer, &mut full, record, stamp);
            used.remove(&record.key);
        });
    }
    let writers = full.into_iter().chain(writer);
    if let Err(error) = outcome {
        writers.for_each(|writer| drop(writer.discard()));
        return Err(error);
    }
    for writer in writers {
        writer.seal()?;
    }
    for pack in packs {
        remove(pack.path())?;
    }
    Ok(())
}

/// Appends a record to the pack that is being made, or to a new one where that is large enough.
fn append(
    directory: &Path,
    writer: &mut Option<PackWriter>,
    full: &mut Vec<PackWriter>,
    record: &super::record::Record,
    stamp: u32,
) -> io::Result<()> {
    full.extend(writer.take_if(|writer| writer.length() >= LARGE));
    match writer {
        Some(writer) => writer.append(record, stamp),
        None => writer.insert(PackWriter::create(directory, MERGING)?).append(record, stamp),
    }
}

/// Whether a pack has the name of one that is being written.
pub(super) fn is_unsealed(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(WRITING.as_bytes()))
}

/// Whether a living process is adding to the pack at `path`.
pub(super) fn is_being_written(path: &Path) -> bool {
    is_unsealed(path) && !is_left_behind(path)
}

/// Removes what a process has left that was killed while it put packs together.
fn remove_half_merged(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok) {
        if entry.file_name().as_encoded_bytes().starts_with(MERGING.as_bytes()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Held by the process that tidies up; it goes with the process.
pub(super) struct TidyingLock {
    _file: File,
}

impl TidyingLock {
    /// `None` while another process has it.
    pub(super) fn take(layout: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(layout.join(LOCK))?;
        let is_taken = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok(is_taken.then_some(Self { _file: file }))
    }
}
