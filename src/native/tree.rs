//! The tree of one bundle's materialized units.
//!
//! See the module's documentation for layout and invariants. A unit that is in a tree is not looked
//! into again: a start pays one `lstat` for each unit that it imports from, and one for each
//! extension module that it loads, whose [`Seal`] must hold.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use dashmap::DashMap;

use crate::bundle::{Bundle, Entry, LIBRARY_DIRECTORY};
use crate::shared_map::shared_map;

use super::content::ContentStore;
use super::directory::{TREES, TreeDirectory};
use super::error::is_about_names;
use super::execution::allows_execution;
use super::seal::Seal;
use super::write::{UnitWriter, libraries_beside};
use super::{StoreError, Units, store_roots};

/// The materialized part of one bundle.
#[derive(Debug)]
pub struct Tree {
    units: Units,
    places: Vec<Place>,
    key: OnceLock<String>,
    /// Units that have been asked for: the index of the place that they are in, or what was tried
    /// where no place takes them.
    asked_for: DashMap<Box<str>, Result<usize, String>>,
    /// Units whose needed libraries have been looked at.
    checked: DashMap<Box<str>, ()>,
}

/// A root and, once it is used, the tree's directory below it.
#[derive(Debug)]
struct Place {
    root: PathBuf,
    directory: OnceLock<TreeDirectory>,
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
        let place = |root| Place { root, directory: OnceLock::new() };
        Self {
            units,
            places: roots.into_iter().map(place).collect(),
            key: OnceLock::new(),
            asked_for: shared_map(),
            checked: shared_map(),
        }
    }

    /// The units of the bundle.
    #[must_use]
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// The directories in which units are, as far as they have been asked for.
    pub fn locations(&self) -> impl Iterator<Item = &Path> {
        self.places.iter().filter_map(|place| Some(place.directory.get()?.packages()))
    }

    /// The directory that units are brought out to, chosen and made ahead of the first one; `None`
    /// where no root serves, which is an error only when something has to be brought out.
    pub fn prepare(&self, bundle: &Bundle) -> Option<&Path> {
        let existing = self.places.iter().find_map(|place| self.existing(bundle, place));
        let directory = existing.or_else(|| {
            self.in_order(bundle).into_iter().find_map(|index| self.made(bundle, index).ok())
        });
        directory.map(TreeDirectory::packages)
    }

    /// Makes sure that `unit` and the libraries that it needs exist as files; returns the directory
    /// below which the unit has its path of the bundle.
    ///
    /// # Errors
    /// [`StoreError`], naming what could not be written or read; [`StoreError::NoRoot`] where no
    /// root takes it.
    pub fn materialize(&self, bundle: &Bundle, unit: &str) -> Result<&Path, StoreError> {
        self.directory_with(bundle, unit).map(TreeDirectory::packages)
    }

    /// The real file of the library `entry`, brought out and checked. Where it, or a library that
    /// its unit needs, is not as it was written, all files of that unit are looked at, and what is
    /// damaged or missing is replaced.
    ///
    /// # Errors
    /// As [`Self::materialize`].
    pub fn library(&self, bundle: &Bundle, entry: &Entry) -> Result<PathBuf, StoreError> {
        let name = entry.name();
        let unit = self.units.holding_file(bundle, &name);
        let directory = self.directory_with(bundle, unit)?;
        if self.checked.insert(unit.into(), ()).is_none() {
            let record = fs::read_to_string(directory.needs(unit)).unwrap_or_default();
            for (seal, needed) in record.lines().filter_map(Seal::from_text) {
                self.ensure(bundle, directory, needed, seal)?;
            }
        }
        self.ensure(bundle, directory, &name, Seal::of_entry(entry))?;
        Ok(directory.packages().join(&*name))
    }

    /// The real files of libraries that a standalone executable brings and that `entry` needs, each
    /// behind those that it needs itself: opened in this order, the loader finds them by name. For an
    /// entry that [`Self::library`] has brought out.
    ///
    /// # Errors
    /// As [`Self::materialize`].
    pub fn libraries_before(
        &self,
        bundle: &Bundle,
        entry: &Entry,
    ) -> Result<Vec<PathBuf>, StoreError> {
        let mut found = Vec::new();
        if bundle.is_directory(LIBRARY_DIRECTORY) {
            let name = entry.name();
            let unit = self.units.holding_file(bundle, &name);
            self.add_libraries_of(bundle, unit, &mut vec![unit.to_owned()], &mut found)?;
        }
        Ok(found)
    }

    fn add_libraries_of(
        &self,
        bundle: &Bundle,
        unit: &str,
        visited: &mut Vec<String>,
        found: &mut Vec<PathBuf>,
    ) -> Result<(), StoreError> {
        let directory = self.directory_with(bundle, unit)?;
        let record = fs::read_to_string(directory.needs(unit)).unwrap_or_default();
        for (_, needed) in record.lines().filter_map(Seal::from_text) {
            let other = self.units.holding_file(bundle, needed);
            if visited.iter().any(|known| known == other) {
                continue;
            }
            visited.push(other.to_owned());
            self.add_libraries_of(bundle, other, visited, found)?;
            if needed.rsplit_once('/').is_some_and(|(place, _)| place == LIBRARY_DIRECTORY) {
                found.push(directory.packages().join(needed));
            }
        }
        Ok(())
    }

    /// Makes sure that the file `name` is as it was written.
    fn ensure(
        &self,
        bundle: &Bundle,
        directory: &TreeDirectory,
        name: &str,
        seal: Seal,
    ) -> Result<(), StoreError> {
        if holds(seal, &directory.packages().join(name)) {
            return Ok(());
        }
        let unit = self.units.holding_file(bundle, name);
        if !directory.has(unit) {
            // Removed, or never brought out: by a process that was killed between two units which
            // need each other.
            let index = self.places.iter().position(|place| {
                place.directory.get().is_some_and(|other| std::ptr::eq(other, directory))
            });
            let lock = directory.lock_for_writing(|| directory.has(unit));
            let outcome = index.map_or(Ok(()), |index| {
                self.bring_out(bundle, index, directory, unit, &mut Vec::new())
            });
            drop(lock);
            return outcome;
        }
        let contents = ContentStore::in_root(directory.root());
        let lock = directory.lock_for_writing(|| false);
        let outcome = UnitWriter::new(bundle, &contents, unit)
            .and_then(|writer| writer.mend(directory, false))
            .map(drop);
        drop(lock);
        outcome
    }

    /// Compares every file of the units that are there with the bundle, and replaces what differs or
    /// is missing. Returns how many files were looked at, and the paths of those replaced.
    ///
    /// # Errors
    /// As [`Self::materialize`].
    pub fn verify(&self, bundle: &Bundle) -> Result<(usize, Vec<PathBuf>), StoreError> {
        let (mut looked_at, mut replaced) = (0, Vec::new());
        let entries = bundle.files_below("").map_err(|source| read_error("", source))?;
        let names: Vec<_> =
            entries.iter().filter(|entry| !entry.is_directory()).map(Entry::name).collect();
        let units: BTreeSet<&str> =
            names.iter().map(|name| self.units.holding_file(bundle, name)).collect();
        for place in &self.places {
            let Some(directory) = self.existing(bundle, place) else { continue };
            let contents = ContentStore::in_root(&place.root);
            for unit in units.iter().filter(|unit| directory.has(unit)) {
                let writer = UnitWriter::new(bundle, &contents, unit)?;
                looked_at += writer.count();
                replaced.extend(writer.mend(directory, true)?);
            }
        }
        Ok((looked_at, replaced))
    }

    fn directory_with(&self, bundle: &Bundle, unit: &str) -> Result<&TreeDirectory, StoreError> {
        let known = self.asked_for.get(unit).map(|known| known.clone());
        match known {
            Some(Ok(index)) => {
                if let Some(directory) = self.places[index].directory.get() {
                    return Ok(directory);
                }
            }
            Some(Err(tried)) => return Err(no_root(bundle, unit, tried)),
            None => {}
        }
        for (index, place) in self.places.iter().enumerate() {
            if let Some(directory) = self.existing(bundle, place)
                && directory.has(unit)
            {
                self.asked_for.insert(unit.into(), Ok(index));
                return Ok(directory);
            }
        }
        let mut tried = Vec::new();
        for index in self.in_order(bundle) {
            let root = self.places[index].root.display();
            let brought_out = match self.made(bundle, index) {
                Ok(directory) => {
                    let lock = directory.lock_for_writing(|| directory.has(unit));
                    let outcome = self.bring_out(bundle, index, directory, unit, &mut Vec::new());
                    drop(lock);
                    outcome.map(|()| directory)
                }
                Err(error) => {
                    tried.push(format!("{root}: {error}"));
                    continue;
                }
            };
            match brought_out {
                // A full disk, say: the next root may have room.
                Err(StoreError::Write { path, source, .. }) if !is_about_names(&source) => {
                    tried.push(format!("{root}: write `{}`: {source}", path.display()));
                }
                outcome => return outcome,
            }
        }
        let tried = if tried.is_empty() { "none is known".into() } else { tried.join("; ") };
        let error = no_root(bundle, unit, tried.clone());
        // Told once: every further package of the unit comes to the same.
        tracing::warn!(target: "mmport::store", %error, "stays in the bundle");
        self.asked_for.insert(unit.into(), Err(tried));
        Err(error)
    }

    /// Why the file `name` of the bundle is in no directory, if its unit has been asked for and no
    /// place took it.
    pub fn reason_for_absence(&self, bundle: &Bundle, name: &str) -> Option<StoreError> {
        let unit = self.units.holding_file(bundle, name);
        let tried = self.asked_for.get(unit)?.clone().err()?;
        Some(no_root(bundle, unit, tried))
    }

    /// The tree's directory at a place, if it is there.
    fn existing<'tree>(
        &self,
        bundle: &Bundle,
        place: &'tree Place,
    ) -> Option<&'tree TreeDirectory> {
        if place.directory.get().is_none() {
            let directory = TreeDirectory::existing(&place.root, &self.path_in(bundle, place))?;
            let _ = place.directory.set(directory);
        }
        place.directory.get()
    }

    /// The tree's directory at a place, made when it is not there.
    fn made(&self, bundle: &Bundle, index: usize) -> io::Result<&TreeDirectory> {
        let place = &self.places[index];
        match place.directory.get() {
            Some(directory) => Ok(directory),
            None => {
                let path = self.path_in(bundle, place);
                let directory = TreeDirectory::make(&place.root, &path, bundle.path())?;
                Ok(place.directory.get_or_init(|| directory))
            }
        }
    }

    fn path_in(&self, bundle: &Bundle, place: &Place) -> PathBuf {
        let key = self.key.get_or_init(|| tree_key(bundle));
        place.root.join(TREES).join(key)
    }

    /// The places in the order in which they are written to: what holds libraries is best where
    /// libraries can be loaded.
    fn in_order(&self, bundle: &Bundle) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        if bundle.has_libraries() {
            order.sort_by_key(|index| !allows_execution(&self.places[*index].root));
        }
        order
    }

    /// Brings out one unit unless it is there, with what it needs first, so that a unit which is
    /// there can be loaded. `visiting` holds the units whose needs are being looked at: libraries
    /// may need each other.
    fn bring_out(
        &self,
        bundle: &Bundle,
        index: usize,
        directory: &TreeDirectory,
        unit: &str,
        visiting: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        if visiting.iter().any(|other| other == unit) {
            return Ok(());
        }
        if !directory.has(unit) {
            visiting.push(unit.to_owned());
            self.write(bundle, index, directory, unit, visiting)?;
        }
        self.asked_for.insert(unit.into(), Ok(index));
        Ok(())
    }

    fn write(
        &self,
        bundle: &Bundle,
        index: usize,
        directory: &TreeDirectory,
        unit: &str,
        visiting: &mut Vec<String>,
    ) -> Result<(), StoreError> {
        let contents = ContentStore::in_root(&self.places[index].root);
        let writer = UnitWriter::new(bundle, &contents, unit)?;
        let write_error = |path: &Path, source| StoreError::Write {
            unit: unit.to_owned(),
            path: path.to_owned(),
            source,
        };
        let staging =
            directory.staging().map_err(|source| write_error(directory.packages(), source))?;
        let staged = staging.path().join("unit");
        let needed = writer.stage(&staged)?;
        let mut record = String::new();
        for name in &needed {
            for beside in libraries_beside(bundle, name).map_err(|error| read_error(unit, error))? {
                let other = self.units.holding_file(bundle, &beside);
                if other != unit {
                    self.bring_out(bundle, index, directory, other, visiting)?;
                }
            }
            if let Some(entry) = bundle.entry(name).map_err(|error| read_error(unit, error))? {
                record += &format!("{} {name}\n", Seal::of_entry(&entry).to_text());
            }
        }
        if !record.is_empty() {
            let path = directory.needs(unit);
            write_record(&path, &staging.path().join("needs"), &record)
                .map_err(|source| write_error(&path, source))?;
        }
        let destination = directory.packages().join(unit);
        if let Some(parent) = destination.parent() {
            fs::create_dir_all(parent).map_err(|source| write_error(parent, source))?;
        }
        match fs::rename(&staged, &destination) {
            Ok(()) => {
                writer.close_directories(&destination);
                tracing::debug!(
                    target: "mmport::store",
                    unit,
                    path = %destination.display(),
                    files = writer.count(),
                    "materialized"
                );
                Ok(())
            }
            // Another process was first: its copy has the same content, for it has the same key.
            Err(_) if destination.symlink_metadata().is_ok() => Ok(()),
            Err(source) => Err(write_error(&destination, source)),
        }
    }
}

fn no_root(bundle: &Bundle, unit: &str, tried: String) -> StoreError {
    StoreError::NoRoot { bundle: bundle.path().to_owned(), unit: unit.to_owned(), tried }
}

/// The name of a bundle's tree.
#[must_use]
pub fn tree_key(bundle: &Bundle) -> String {
    blake3::hash(bundle.directory_bytes()).to_hex().as_str()[..32].to_owned()
}

fn read_error(unit: &str, source: crate::bundle::BundleError) -> StoreError {
    StoreError::Read { unit: unit.to_owned(), source }
}

fn holds(seal: Seal, path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| seal.holds(&metadata))
}

/// Writes the record of a unit's needs, complete or not at all.
fn write_record(path: &Path, staged: &Path, record: &str) -> io::Result<()> {
    fs::write(staged, record)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(staged, path)
}
