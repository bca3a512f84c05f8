//! The store of code objects that this process looks into and adds to.
//!
//! ```text
//! ROOT/bytecode-v1/cpython-311/pack-…        sealed packs, which never change but for their stamps
//! ROOT/bytecode-v1/cpython-311/writing-…     one for each process that is compiling
//! ROOT/bytecode-v1/cpython-311.opt-1/…
//! ROOT/bytecode-v1/tidying                   locked by the process that is tidying up
//! ```
//!
//! - Two processes that compile the same source each append to their own pack; the one that ends later
//!   finds all its keys in the other's and removes its own. Nobody ever waits for anybody.
//! - A process that is killed leaves a pack that is not sealed; readers use what is whole of it, and
//!   the next that tidies up puts it together with others.
//! - A store that cannot be used, or belongs to somebody else, costs one line in the log. So does a
//!   damaged entry, which is compiled again and dropped when the process ends.
//! - No lock is held while Python runs: packs are shared by reference count, and what is read of them
//!   is read in place.

use std::collections::HashMap;
use std::error::Error as _;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use crate::native::{create_private, is_own_directory};

use super::housekeeping::{are_many, drop_if_elsewhere, is_unsealed, tidy, write_stamps};
use super::key::{Key, Target};
use super::pack::{Pack, PackError};
use super::pack_writer::{PackWriter, SEALED, WRITING};
use super::record::Record;

/// The version of the layout; a change gets a new directory, so versions never meet.
pub(super) const LAYOUT: &str = "bytecode-v1";
/// How long, at least, between two looks at what other processes have added.
const PATIENCE: Duration = Duration::from_millis(250);
/// Stamps are renewed when they are older than this, in seconds.
const STAMP_AGE: u32 = 3600;

/// Code objects by key, on disk.
#[derive(Debug)]
pub struct BytecodeStore {
    root: PathBuf,
    directory: PathBuf,
    /// How much all targets together may take, in bytes.
    limit: u64,
    may_write: AtomicBool,
    known: RwLock<Arc<Known>>,
    writing: Mutex<Writing>,
    /// Packs and the numbers of entries in them that were used and have old stamps.
    used: Mutex<Vec<(Arc<Pack>, usize)>>,
    is_damaged: AtomicBool,
    opened: u32,
}

/// The packs that this process has found.
#[derive(Debug, Default)]
struct Known {
    packs: Vec<Arc<Pack>>,
    /// The directory's modification time when it was listed.
    modified: Option<SystemTime>,
    listed: Option<Instant>,
}

#[derive(Debug, Default)]
struct Writing {
    pack: Option<PackWriter>,
    /// What was written: where each record begins in the pack, and its length.
    keys: HashMap<Key, (u64, u64)>,
    /// Nothing more is written.
    is_over: bool,
}

/// Seconds since the epoch.
pub(super) fn now() -> u32 {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what is wrong with the cache: the first thing in a line for everybody, and what follows from it,
/// or is found again, to those who want to know all.
fn report(trouble: fmt::Arguments) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if IS_SAID.swap(true, Ordering::Relaxed) {
        tracing::debug!(target: "mmport::bytecode", "{trouble}");
    } else {
        tracing::warn!(target: "mmport::bytecode", "{trouble}");
    }
}

impl BytecodeStore {
    /// The store below `root` for `target`, which all targets together may fill with `limit` bytes.
    /// Without `may_write` it is only looked into. Nothing is made before it is needed.
    #[must_use]
    pub fn open(root: &Path, target: &Target, limit: u64, may_write: bool) -> Self {
        Self {
            root: root.to_owned(),
            directory: root.join(LAYOUT).join(target.directory()),
            limit,
            may_write: AtomicBool::new(may_write),
            known: RwLock::default(),
            writing: Mutex::default(),
            used: Mutex::default(),
            is_damaged: AtomicBool::new(false),
            opened: now(),
        }
    }

    /// Writes from now on, though at first that was not to be.
    pub fn allow_writing(&self) {
        self.may_write.store(true, Ordering::Relaxed);
    }

    /// Whether nothing is in the way of adding more.
    #[must_use]
    pub fn is_added_to(&self) -> bool {
        self.may_write.load(Ordering::Relaxed) && !lock(&self.writing).is_over
    }

    /// Runs `read` on the code under `key`, in place, if there is any and it is what was written.
    pub fn find<T>(&self, key: &Key, read: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let mut read = Some(read);
        let known = self.known();
        if let Some(found) = self.find_in(&known.packs, key, &mut read) {
            return Some(found);
        }
        // Reloaded, or the same source once more.
        if let Some(data) = self.written(key) {
            let record = Record::read(&data).map(|(record, _)| record);
            let code = record.filter(|record| record.key == *key && record.is_sound())?.code;
            return read.take().map(|read| read(code));
        }
        let renewed = self.renewed(&known)?;
        self.find_in(&renewed.packs, key, &mut read)
    }

    /// The record that this process has written under `key`.
    fn written(&self, key: &Key) -> Option<Vec<u8>> {
        let writing = lock(&self.writing);
        let (offset, length) = *writing.keys.get(key)?;
        writing.pack.as_ref()?.read_back(offset, length).ok()
    }

    fn find_in<T>(
        &self,
        packs: &[Arc<Pack>],
        key: &Key,
        read: &mut Option<impl FnOnce(&[u8]) -> T>,
    ) -> Option<T> {
        for pack in packs {
            let mut stale = None;
            let found = pack.read(key, |place, code| {
                stale = place
                    .stamp
                    .filter(|(_, stamp)| self.opened.saturating_sub(*stamp) > STAMP_AGE)
                    .map(|(number, _)| number);
                read.take().map(|read| read(code))
            });
            match found {
                None => {}
                Some(Ok(value)) => {
                    if let Some(number) = stale {
                        lock(&self.used).push((Arc::clone(pack), number));
                    }
                    return value;
                }
                Some(Err(_)) => {
                    self.is_damaged.store(true, Ordering::Relaxed);
                    report(format_args!(
                        "damaged code object in `{}`: compiled again",
                        pack.path().display()
                    ));
                }
            }
        }
        None
    }

    /// Adds the code object of the module `module`, whose source is at `origin`.
    pub fn insert(&self, key: &Key, module: &str, origin: &str, code: &[u8]) {
        if !self.may_write.load(Ordering::Relaxed) {
            return;
        }
        let mut writing = lock(&self.writing);
        if writing.pack.as_ref().is_some_and(|pack| !pack.is_of_this_process()) {
            // The parent's, from before a fork.
            *writing = Writing::default();
        }
        if writing.is_over || writing.keys.contains_key(key) {
            return;
        }
        let time = now();
        let record = Record::new(*key, time, module, origin, code);
        match self.append(&mut writing.pack, &record, time) {
            Ok(place) => {
                writing.keys.insert(*key, place);
            }
            Err(error) => {
                writing.is_over = true;
                report(format_args!(
                    "compiled code objects are not kept in `{}`: {error}",
                    self.directory.display()
                ));
            }
        }
    }

    /// Writes a record; returns where it begins, and its length.
    fn append(
        &self,
        pack: &mut Option<PackWriter>,
        record: &Record,
        used: u32,
    ) -> io::Result<(u64, u64)> {
        let pack = match pack {
            Some(pack) => pack,
            None => pack.insert(self.new_pack()?),
        };
        let offset = pack.length();
        pack.append(record, used)?;
        Ok((offset, pack.length() - offset))
    }

    fn new_pack(&self) -> io::Result<PackWriter> {
        create_private(&self.directory)?;
        if let Some(foreign) = self.foreign_directory() {
            return Err(io::Error::other(format!(
                "`{}` belongs to somebody else, or others may write to it",
                foreign.display()
            )));
        }
        PackWriter::create(&self.directory, WRITING)
    }

    /// The first directory on the way that somebody else could put code into.
    fn foreign_directory(&self) -> Option<&Path> {
        let layout = self.directory.parent().unwrap_or(&self.root);
        [&*self.root, layout, &*self.directory].into_iter().find(|path| !is_own_directory(path))
    }

    fn known(&self) -> Arc<Known> {
        let known = Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        if known.listed.is_some() {
            return known;
        }
        self.list(&known)
    }

    /// What there is by now, where that may be more than `known`.
    fn renewed(&self, known: &Known) -> Option<Arc<Known>> {
        let is_due = known.listed.is_none_or(|listed| listed.elapsed() >= PATIENCE);
        (is_due && modified(&self.directory) != known.modified).then(|| self.list(known))
    }

    fn list(&self, former: &Known) -> Arc<Known> {
        let listed = Some(Instant::now());
        let modified = modified(&self.directory);
        let mut packs = Vec::new();
        if modified.is_some() {
            if let Some(foreign) = self.foreign_directory() {
                report(format_args!(
                    "`{}` belongs to somebody else, or others may write to it: not used as a cache",
                    foreign.display()
                ));
                lock(&self.writing).is_over = true;
            } else {
                packs = self.open_packs(former);
            }
        }
        let known = Arc::new(Known { packs, modified, listed });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&known);
        known
    }

    fn open_packs(&self, former: &Known) -> Vec<Arc<Pack>> {
        let mut packs: Vec<Arc<Pack>> = pack_paths(&self.directory)
            .filter_map(|path| {
                let known =
                    former.packs.iter().find(|pack| pack.path() == path && pack.is_sealed());
                known.map_or_else(|| open_pack(&path), |pack| Some(Arc::clone(pack)))
            })
            .collect();
        // What is asked for is most likely in the largest.
        packs.sort_by_key(|pack| std::cmp::Reverse(pack.size()));
        packs
    }

    /// Completes what this process has written, and tidies up where that is due. Nothing is inserted
    /// any more.
    pub fn finish(&self) {
        let pack = {
            let mut writing = lock(&self.writing);
            writing.is_over = true;
            writing.pack.take().filter(PackWriter::is_of_this_process)
        };
        if !self.may_write.load(Ordering::Relaxed) {
            return;
        }
        let has_written = pack.is_some();
        if let Err(error) = self.complete(pack) {
            tracing::debug!(target: "mmport::bytecode", %error, "the pack stays unsealed");
        }
        let known = Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner));
        let used = std::mem::take(&mut *lock(&self.used));
        write_stamps(&used, self.opened);
        let is_damaged = self.is_damaged.load(Ordering::Relaxed);
        let has_unsealed =
            known.packs.iter().any(|pack| !pack.is_sealed() || is_unsealed(pack.path()));
        if has_written || is_damaged || has_unsealed || are_many(&known.packs) {
            let tidied = tidy(&self.root, &self.directory, self.limit, is_damaged);
            if let Err(error) = tidied {
                tracing::debug!(target: "mmport::bytecode", %error, "not tidied up");
            }
        }
    }

    fn complete(&self, pack: Option<PackWriter>) -> io::Result<()> {
        match pack.map(|pack| drop_if_elsewhere(pack, &self.directory)).transpose()?.flatten() {
            Some(pack) => pack.seal(),
            None => Ok(()),
        }
    }
}

fn modified(directory: &Path) -> Option<SystemTime> {
    directory.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// The packs in `directory`, sealed or not.
pub(super) fn pack_paths(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        [SEALED, WRITING].iter().any(|prefix| name.starts_with(prefix.as_bytes()))
    })
}

/// Opens a pack; one that cannot be used is logged and left out.
pub(super) fn open_pack(path: &Path) -> Option<Arc<Pack>> {
    match Pack::open(path) {
        Ok(pack) => Some(Arc::new(pack)),
        // It was put together with others meanwhile, or is being made.
        Err(PackError::File(_)) if !path.exists() => None,
        Err(PackError::NotAPack(_)) if path.metadata().is_ok_and(|found| found.len() == 0) => None,
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            report(format_args!("not used: {error}{cause}"));
            None
        }
    }
}
