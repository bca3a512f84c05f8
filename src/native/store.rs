//! The tree of one bundle's materialized units.
//!
//! See the module's documentation for layout and invariants. A unit that is in a tree is never
//! looked into again: one `lstat` per unit and process is all that a start costs.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

use dashmap::DashMap;

use crate::bundle::{Bundle, BundleError, Entry, is_shared_library};

use super::needs::needed_entries;
use super::{StoreError, Units, create_private, is_own_directory, store_roots};

/// The version of the layout; a change gets a new directory, so versions never meet.
const LAYOUT: &str = "trees-v1";

/// More threads than this gain nothing: writing small files is bound by the file system.
const WRITERS: usize = 8;

/// The materialized part of one bundle.
#[derive(Debug)]
pub struct Tree {
    units: Units,
    roots: Vec<PathBuf>,
    location: OnceLock<PathBuf>,
    present: DashMap<Box<str>, ()>,
}

impl Tree {
    /// The tree of a bundle, in the first of the [`store_roots`] that serves.
    #[must_use]
    pub fn new(units: Units) -> Self {
        Self::in_roots(units, store_roots())
    }

    /// The tree of a bundle, in the first of `roots` that serves.
    #[must_use]
    pub fn in_roots(units: Units, roots: Vec<PathBuf>) -> Self {
        Self { units, roots, location: OnceLock::new(), present: DashMap::new() }
    }

    /// The units of the bundle.
    #[must_use]
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// The directory in which units are, once one has been asked for.
    #[must_use]
    pub fn location(&self) -> Option<&Path> {
        self.location.get().map(PathBuf::as_path)
    }

    /// The tree's directory, chosen and made ahead of the first unit; `None` where no root serves,
    /// which is an error only when something has to be brought out.
    pub fn prepare(&self, bundle: &Bundle) -> Option<&Path> {
        self.locate(bundle, "").ok()
    }

    fn locate(&self, bundle: &Bundle, unit: &str) -> Result<&Path, StoreError> {
        if let Some(location) = self.location.get() {
            return Ok(location);
        }
        let found = self.find_location(bundle, unit)?;
        Ok(self.location.get_or_init(|| found))
    }

    /// Makes sure that `unit` and the libraries that it needs exist as files; returns the tree's
    /// directory, below which the unit has its path of the bundle.
    ///
    /// # Errors
    /// [`StoreError`], naming what could not be written or read.
    pub fn materialize(&self, bundle: &Bundle, unit: &str) -> Result<&Path, StoreError> {
        let location = self.locate(bundle, unit)?;
        self.bring_out(bundle, location, unit, &mut Vec::new())?;
        Ok(location)
    }

    /// The first root whose tree already has the unit, else the first that can be written.
    fn find_location(&self, bundle: &Bundle, unit: &str) -> Result<PathBuf, StoreError> {
        let key = blake3::hash(bundle.directory_bytes()).to_hex();
        let trees: Vec<PathBuf> =
            self.roots.iter().map(|root| root.join(LAYOUT).join(&key.as_str()[..32])).collect();
        let usable = |index: &usize| is_own_directory(&self.roots[*index]);
        if let Some(index) =
            (0..trees.len()).filter(usable).find(|index| trees[*index].join(unit).exists())
        {
            return Ok(trees[index].clone());
        }
        let mut tried = Vec::new();
        for (root, tree) in self.roots.iter().zip(trees) {
            match make_tree(root, &tree) {
                Ok(()) => return Ok(tree),
                Err(error) => tried.push(format!("{}: {error}", root.display())),
            }
        }
        Err(StoreError::NoRoot {
            bundle: bundle.path().to_owned(),
            unit: unit.to_owned(),
            tried: if tried.is_empty() { "none is known".into() } else { tried.join("; ") },
        })
    }

    /// Brings out one unit unless it is there, with what it needs first, so that a unit which is
    /// there can be loaded. `visiting` holds the units whose needs are being looked at: libraries
    /// may need each other.
    fn bring_out(
        &self,
        bundle: &Bundle,
        location: &Path,
        unit: &str,
        visiting: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        if self.present.contains_key(unit) || visiting.iter().any(|other| other == unit) {
            return Ok(());
        }
        let destination = location.join(unit);
        if destination.symlink_metadata().is_err() {
            visiting.push(unit.to_owned());
            self.write(bundle, location, unit, &destination, visiting)?;
        }
        self.present.insert(unit.into(), ());
        Ok(())
    }

    fn write(
        &self,
        bundle: &Bundle,
        location: &Path,
        unit: &str,
        destination: &Path,
        visiting: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let read_error = |source| StoreError::Read { unit: unit.to_owned(), source };
        let is_directory = bundle.is_directory(unit);
        let entries = if is_directory {
            bundle.files_below(&format!("{unit}/")).map_err(read_error)?
        } else {
            bundle.entry(unit).map_err(read_error)?.into_iter().collect()
        };
        check_size(bundle, unit, &entries)?;
        for entry in entries.iter().filter(|entry| is_library(entry)) {
            let data = entry.read().map_err(read_error)?;
            for needed in needed_entries(bundle, &entry.name(), &data) {
                for needed in libraries_beside(bundle, &needed).map_err(read_error)? {
                    let other = self.units.holding_file(bundle, &needed);
                    if other != unit {
                        self.bring_out(bundle, location, other, visiting)?;
                    }
                }
            }
        }

        let write_error = |path: &Path, source| StoreError::Write {
            unit: unit.to_owned(),
            path: path.to_owned(),
            source,
        };
        let staging = tempfile::Builder::new()
            .prefix(".staging-")
            .tempdir_in(location)
            .map_err(|source| write_error(location, source))?;
        let staged = staging.path().join("unit");
        if is_directory {
            write_entries(&entries, unit, &staged)?;
        } else if let Some(entry) = entries.first() {
            write_entry(entry, unit, &staged)?;
        }
        if let Some(parent) = destination.parent() {
            fs::create_dir_all(parent).map_err(|source| write_error(parent, source))?;
        }
        match fs::rename(&staged, destination) {
            Ok(()) => {
                tracing::debug!(
                    target: "mmport::store",
                    unit,
                    path = %destination.display(),
                    files = entries.len(),
                    "materialized"
                );
                Ok(())
            }
            // Another process was first: its copy has the same content, for it has the same key.
            Err(_) if destination.symlink_metadata().is_ok() => Ok(()),
            Err(source) => Err(write_error(destination, source)),
        }
    }
}

/// All libraries in the folder of the library `name`, itself included: those that it opens by name
/// are in no header.
fn libraries_beside(bundle: &Bundle, name: &str) -> Result<Vec<String>, BundleError> {
    let Some((folder, _)) = name.rsplit_once('/') else { return Ok(vec![name.to_owned()]) };
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
    let expected = bundle.bytes().len() as u64;
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

fn is_library(entry: &Entry) -> bool {
    let name = entry.name_bytes();
    let base = name.iter().rposition(|byte| *byte == b'/').map_or(name, |at| &name[at + 1..]);
    is_shared_library(base)
}

/// Writes the entries of the directory `unit` below `staged`, several at a time.
fn write_entries(entries: &[Entry], unit: &str, staged: &Path) -> Result<(), StoreError> {
    let write_error = |path: &Path, source| StoreError::Write {
        unit: unit.to_owned(),
        path: path.to_owned(),
        source,
    };
    let relative = |entry: &Entry| staged.join(entry.name()[unit.len()..].trim_matches('/'));
    let mut directories: Vec<PathBuf> = entries
        .iter()
        .filter_map(|entry| {
            let path = relative(entry);
            if entry.is_directory() { Some(path) } else { path.parent().map(Path::to_owned) }
        })
        .collect();
    directories.sort();
    directories.dedup();
    fs::create_dir(staged).map_err(|source| write_error(staged, source))?;
    // Sorted, so parents mostly come first and one call makes each directory.
    for directory in directories.iter().filter(|directory| **directory != staged) {
        let made = match fs::create_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir_all(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome,
        };
        made.map_err(|source| write_error(directory, source))?;
    }

    let files: Vec<&Entry> = entries.iter().filter(|entry| !entry.is_directory()).collect();
    let next = AtomicUsize::new(0);
    let failure: Mutex<Option<StoreError>> = Mutex::new(None);
    let work = || {
        while let Some(entry) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = write_entry(entry, unit, &relative(entry)) {
                next.store(files.len(), Ordering::Relaxed);
                if let Ok(mut failure) = failure.lock() {
                    failure.get_or_insert(error);
                }
            }
        }
    };
    // Scoped threads, not a pool: a thread that outlives this would make Python 3.12 and later
    // warn about every `os.fork`.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 1..processors.min(WRITERS).min(files.len().div_ceil(16)) {
            scope.spawn(work);
        }
        work();
    });
    failure.into_inner().unwrap_or_default().map_or(Ok(()), Err)
}

/// Writes one entry to `path`, read-only.
fn write_entry(entry: &Entry, unit: &str, path: &Path) -> Result<(), StoreError> {
    let data = entry.read().map_err(|source| StoreError::Read { unit: unit.to_owned(), source })?;
    let executable = entry.is_executable() || is_library(entry);
    let write = || -> io::Result<()> {
        let mode = if executable { 0o555 } else { 0o444 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(&data)
    };
    write().map_err(|source| StoreError::Write {
        unit: unit.to_owned(),
        path: path.to_owned(),
        source,
    })
}

/// Makes the directory of a tree.
fn make_tree(root: &Path, tree: &Path) -> io::Result<()> {
    create_private(root)?;
    if !is_own_directory(root) {
        return Err(io::Error::other("belongs to somebody else, or everybody may write to it"));
    }
    create_private(tree)?;
    // Shows a read-only file system now rather than in the middle of a package.
    tempfile::Builder::new().prefix(".probe-").tempfile_in(tree).map(drop)
}
