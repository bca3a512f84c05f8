//! Bringing out one unit: its files are written beside the tree and renamed into it together.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::bundle::{Bundle, BundleError, Entry, LIBRARY_DIRECTORY, is_shared_library};

use super::StoreError;
use super::content::{ContentStore, Use};
use super::elf::DynamicSection;
use super::needs::needed_entries;
use super::progress::Progress;
use super::seal::Seal;

/// More threads than this gain nothing: writing small files is bound by the file system.
const WRITERS: usize = 8;
/// Files for which a further thread is worth its start.
const FILES_PER_WRITER: usize = 16;
/// Files of a unit that is complete, and its directories, are read-only.
const DIRECTORY_MODE: u32 = 0o555;

/// The entries of a unit on their way to files.
pub(super) struct UnitWriter<'bundle> {
    bundle: &'bundle Bundle,
    contents: &'bundle ContentStore,
    unit: &'bundle str,
    is_directory: bool,
    entries: Vec<Entry<'bundle>>,
}

impl<'bundle> UnitWriter<'bundle> {
    /// Lists the unit's entries.
    ///
    /// # Errors
    /// [`StoreError::Read`] and [`StoreError::TooLarge`].
    pub(super) fn new(
        bundle: &'bundle Bundle,
        contents: &'bundle ContentStore,
        unit: &'bundle str,
    ) -> Result<Self, StoreError> {
        let read_error = |source| StoreError::Read { unit: unit.to_owned(), source };
        let is_directory = bundle.is_directory(unit);
        let entries = if is_directory {
            bundle.files_below(&format!("{unit}/")).map_err(read_error)?
        } else {
            bundle.entry(unit).map_err(read_error)?.into_iter().collect()
        };
        check_size(bundle, unit, &entries)?;
        Ok(Self { bundle, contents, unit, is_directory, entries })
    }

    /// How many entries the unit has.
    pub(super) fn count(&self) -> usize {
        self.entries.len()
    }

    /// The unit's files.
    pub(super) fn files(&self) -> impl Iterator<Item = &Entry<'bundle>> {
        self.entries.iter().filter(|entry| !entry.is_directory())
    }

    /// Writes the unit at `staged`, several files at a time. Returns the entries of libraries that
    /// its own libraries need, inside and outside of the unit.
    ///
    /// # Errors
    /// [`StoreError`], naming what could not be written or read.
    pub(super) fn stage(&self, staged: &Path) -> Result<BTreeSet<String>, StoreError> {
        if !self.is_directory {
            let Some(entry) = self.entries.first() else { return Ok(BTreeSet::new()) };
            return Ok(self.write_entry(entry, staged)?.into_iter().collect());
        }
        for directory in self.directories(staged) {
            fs::create_dir(&directory).map_err(|source| self.write_error(&directory, source))?;
        }
        self.write_files(staged)
    }

    /// Makes the directories of the unit, now at `place`, read-only: last, because what is
    /// read-only can neither be filled nor moved.
    pub(super) fn close_directories(&self, place: &Path) {
        if self.is_directory {
            for directory in self.directories(place) {
                let _ = fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE));
            }
        }
    }

    /// The unit's directories, when it is at `place`: parents before what is in them.
    fn directories(&self, place: &Path) -> BTreeSet<PathBuf> {
        let mut directories = BTreeSet::from([place.to_owned()]);
        for entry in &self.entries {
            let path = self.path_in(place, entry);
            let mut directory = if entry.is_directory() { Some(&*path) } else { path.parent() };
            while let Some(new) = directory.filter(|directory| !directories.contains(*directory)) {
                directories.insert(new.to_owned());
                directory = new.parent();
            }
        }
        directories
    }

    fn path_in(&self, place: &Path, entry: &Entry) -> PathBuf {
        match entry.name()[self.unit.len()..].trim_matches('/') {
            "" => place.to_owned(),
            rest => place.join(rest),
        }
    }

    fn write_files(&self, staged: &Path) -> Result<BTreeSet<String>, StoreError> {
        let files: Vec<&Entry> = self.files().collect();
        let next = AtomicUsize::new(0);
        let outcome: Mutex<Result<BTreeSet<String>, StoreError>> = Mutex::new(Ok(BTreeSet::new()));
        let bytes = files.iter().map(|entry| entry.size()).sum();
        let progress = Progress::new(self.unit, files.len(), bytes);
        let work = || {
            while let Some(entry) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                let written = self.write_entry(entry, &self.path_in(staged, entry));
                progress.advance();
                let Ok(mut outcome) = outcome.lock() else { return };
                match (written, &mut *outcome) {
                    (Ok(found), Ok(needed)) => needed.extend(found),
                    (Err(error), Ok(_)) => {
                        next.store(files.len(), Ordering::Relaxed);
                        *outcome = Err(error);
                    }
                    (_, Err(_)) => return,
                }
            }
        };
        // Scoped threads, not a pool: a thread that outlives this would make Python 3.12 and later
        // warn about every `os.fork`.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let writers = processors.min(WRITERS).min(files.len().div_ceil(FILES_PER_WRITER));
        std::thread::scope(|scope| {
            let display = progress.is_shown().then(|| scope.spawn(|| progress.show()));
            let others: Vec<_> = (1..writers).map(|_| scope.spawn(work)).collect();
            work();
            for other in others {
                let _ = other.join();
            }
            if let Some(display) = display {
                progress.finish(display.thread());
            }
        });
        outcome.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Writes one entry to `path`; returns what it needs if it is a library.
    fn write_entry(&self, entry: &Entry<'bundle>, path: &Path) -> Result<Vec<String>, StoreError> {
        let data = self.read(entry)?;
        self.place(entry, &data, path).map_err(|source| self.write_error(path, source))?;
        if !is_library(entry) {
            return Ok(Vec::new());
        }
        let section = DynamicSection::parse(&data);
        Ok(section
            .map(|section| needed_entries(self.bundle, &entry.name(), &section))
            .unwrap_or_default())
    }

    /// The data of one of the unit's entries.
    pub(super) fn read(&self, entry: &Entry<'bundle>) -> Result<Vec<u8>, StoreError> {
        entry.read().map_err(|source| StoreError::Read { unit: self.unit.to_owned(), source })
    }

    /// Makes `path` a file with the entry's `data`.
    pub(super) fn place(&self, entry: &Entry, data: &[u8], path: &Path) -> io::Result<()> {
        self.contents.place(data, Seal::of_entry(entry), use_of(entry), path)
    }

    /// Where the content of an entry is stored.
    pub(super) fn content_of(&self, entry: &Entry, data: &[u8]) -> PathBuf {
        self.contents.path_of(data, use_of(entry))
    }

    pub(super) fn write_error(&self, path: &Path, source: io::Error) -> StoreError {
        StoreError::Write { unit: self.unit.to_owned(), path: path.to_owned(), source }
    }
}

/// All libraries in the folder of the library `name`, itself included: those that it opens by name
/// are in no header.
pub(super) fn libraries_beside(bundle: &Bundle, name: &str) -> Result<Vec<String>, BundleError> {
    let Some((folder, _)) = name.rsplit_once('/') else { return Ok(vec![name.to_owned()]) };
    if folder == LIBRARY_DIRECTORY {
        return Ok(vec![name.to_owned()]); // Libraries that have nothing to do with each other.
    }
    let prefix = format!("{folder}/");
    Ok(bundle
        .files_below(&prefix)?
        .iter()
        .filter(|entry| is_library(entry))
        .map(|entry| entry.name().into_owned())
        .filter(|name| !name[prefix.len()..].contains('/'))
        .collect())
}

/// Refuses entries whose compressed sizes add up to more than the bundle: they overlap.
fn check_size(bundle: &Bundle, unit: &str, entries: &[Entry]) -> Result<(), StoreError> {
    let found =
        entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.compressed_size()));
    let expected = bundle.size() as u64;
    if found <= expected {
        return Ok(());
    }
    Err(StoreError::TooLarge {
        bundle: bundle.path().to_owned(),
        unit: unit.to_owned(),
        expected,
        found,
    })
}

fn use_of<'entry>(entry: &Entry<'entry>) -> Use<'entry> {
    match (is_library(entry), entry.is_executable()) {
        (true, _) => Use::Load(entry.name_bytes()),
        (false, true) => Use::Execute,
        (false, false) => Use::Read,
    }
}

fn is_library(entry: &Entry) -> bool {
    let name = entry.name_bytes();
    let base = name.iter().rposition(|byte| *byte == b'/').map_or(name, |at| &name[at + 1..]);
    is_shared_library(base)
}
