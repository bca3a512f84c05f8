//! Mounted bundles: which are being served, and where their directories are for Python.
//!
//! A place in a bundle has one spelling or two: `BUNDLE/pkg` always, and `TREE/pkg` too where the
//! package is materialized. [`MountedBundle::location`] gives the one that Python is shown,
//! [`MountedBundle::of_path`] understands both. A bundle is opened and mapped once per process, and
//! again only where its file was replaced and the program asks to look
//! ([`MountedBundle::open_replaced`]): loaders of modules that are loaded keep what they were
//! loaded from.
//!
//! Where no directory takes a package that should be materialized, it stays in the bundle: its code
//! runs, its extension modules are opened from memory, and its data can be read as resources, but a
//! program that opens its files by path gets an error.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use dashmap::DashMap;

use crate::bundle::{
    BuildInformation, Bundle, BundleError, Entry, Found, FoundKind, FoundModule, Suffixes,
};
use crate::native::{
    LibraryError, MemoryLibraries, StoreError, Tree, Units, open_first, open_library,
};
use crate::shared_map::shared_map;

/// All mounted bundles, by absolute path.
static MOUNTED: LazyLock<DashMap<Box<str>, Arc<MountedBundle>>> = LazyLock::new(shared_map);

/// Why a bundle cannot be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The bundle cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its materialize rules cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its absolute path is not known or not text.
    #[error("open bundle `{}`: expected a path in UTF-8 below a known working directory", .0.display())]
    Path(PathBuf),
}

/// A bundle that is being served.
#[derive(Debug)]
pub struct MountedBundle {
    bundle: Bundle,
    archive: Box<str>,
    tree: Tree,
    memory: MemoryLibraries,
    /// Where the packages were of bundles that this one has replaced: the `__path__` of packages that
    /// are loaded.
    former_trees: Vec<PathBuf>,
}

impl MountedBundle {
    /// Opens the bundle at `path` and mounts it, unless it is mounted already.
    ///
    /// # Errors
    /// [`MountError`], when it is no bundle or its build information cannot be used.
    pub fn mount(path: &Path, suffixes: Suffixes) -> Result<Arc<Self>, MountError> {
        let absolute = std::path::absolute(path).map_err(|_| MountError::Path(path.to_owned()))?;
        let archive = absolute.to_str().ok_or_else(|| MountError::Path(path.to_owned()))?;
        if let Some(mounted) = MOUNTED.get(archive).map(|entry| Arc::clone(entry.value())) {
            return Ok(mounted);
        }
        Self::adopt(Bundle::open(&absolute, suffixes)?)
    }

    /// Mounts a bundle that is open already.
    ///
    /// # Errors
    /// [`MountError`], when its build information cannot be used.
    pub fn adopt(bundle: Bundle) -> Result<Arc<Self>, MountError> {
        let mounted = Arc::new(Self::new(bundle, Vec::new())?);
        // Somebody else may have been faster; then theirs is the one.
        Ok(Arc::clone(MOUNTED.entry(mounted.archive.clone()).or_insert(mounted).value()))
    }

    fn new(bundle: Bundle, former_trees: Vec<PathBuf>) -> Result<Self, MountError> {
        let path = bundle.path();
        let absolute = std::path::absolute(path).map_err(|_| MountError::Path(path.to_owned()))?;
        let archive = absolute.to_str().ok_or_else(|| MountError::Path(path.to_owned()))?.into();
        let tree = Tree::new(Units::of_bundle(bundle.information()?, &absolute)?);
        Ok(Self { bundle, archive, tree, memory: MemoryLibraries::default(), former_trees })
    }

    /// All mounted bundles. As everything that looks into the map, for a thread that holds the
    /// interpreter's lock: a fork in another one would leave the map locked in the child.
    #[must_use]
    pub fn all() -> Vec<Arc<Self>> {
        MOUNTED.iter().map(|entry| Arc::clone(entry.value())).collect()
    }

    /// Serves this bundle in the place of the one with the same path.
    pub fn take_over(self: &Arc<Self>) {
        MOUNTED.insert(self.archive.clone(), Arc::clone(self));
    }

    /// Opens the files that have replaced those of `mounted`. Returns each former bundle with the one
    /// that is to [take over](Self::take_over). A file that is no bundle (yet) replaces nothing.
    #[must_use]
    pub fn open_replaced(mounted: &[Arc<Self>]) -> Vec<(Arc<Self>, Arc<Self>)> {
        let mut opened_anew = Vec::new();
        for former in mounted.iter().filter(|mounted| mounted.bundle.is_replaced()) {
            let locations = former.tree.locations().map(Path::to_owned);
            let former_trees = former.former_trees.iter().cloned().chain(locations).collect();
            let suffixes = former.bundle.suffixes().clone();
            let opened = Bundle::open(former.bundle.path(), suffixes)
                .map_err(MountError::from)
                .and_then(|bundle| Self::new(bundle, former_trees));
            match opened {
                Ok(mounted) => opened_anew.push((Arc::clone(former), Arc::new(mounted))),
                Err(error) => tracing::warn!(
                    target: "mmport::bundle", %error, "not replaced: served as it was opened"
                ),
            }
        }
        opened_anew
    }

    /// The mounted bundle that `path` lies in, and the place in it: empty for the bundle itself,
    /// else a directory or file without slashes at its ends.
    #[must_use]
    pub fn of_path(path: &str) -> Option<(Arc<Self>, String)> {
        MOUNTED.iter().find_map(|entry| {
            let mounted = entry.value();
            let place = mounted.place(path)?;
            Some((Arc::clone(mounted), place.to_owned()))
        })
    }

    /// Where `path` is in this bundle, by either spelling.
    #[must_use]
    pub fn place<'path>(&self, path: &'path str) -> Option<&'path str> {
        let below = |base: &str| {
            let rest = path.strip_prefix(base)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/'))
        };
        below(&self.archive)
            .or_else(|| self.tree.locations().find_map(|location| below(location.to_str()?)))
            .or_else(|| self.former_trees.iter().find_map(|location| below(location.to_str()?)))
    }

    /// The bundle.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The bundle's absolute path.
    #[must_use]
    pub fn archive(&self) -> &str {
        &self.archive
    }

    /// What the bundle was built for, if `mmport build` wrote it.
    #[must_use]
    pub fn information(&self) -> Option<&BuildInformation> {
        // Read without a mistake when the bundle was mounted.
        self.bundle.information().ok().flatten()
    }

    /// The path that Python is shown for `directory` (no slash at its end), brought out as files
    /// first where its package has to be and a directory takes it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read from the bundle.
    pub fn location(&self, directory: &str) -> Result<String, StoreError> {
        let materialized = match self.tree.units().of_directory(&self.bundle, directory) {
            Some(unit) => Self::unless_nowhere(self.tree.materialize(&self.bundle, unit))?,
            None => None,
        };
        let base = materialized.map_or_else(|| (&*self.archive).into(), Path::to_string_lossy);
        Ok(if directory.is_empty() { base.into_owned() } else { format!("{base}/{directory}") })
    }

    /// The directory of the materialized packages, where the bundle has any.
    #[must_use]
    pub fn tree(&self) -> Option<&str> {
        if !self.bundle.has_packages_with_files() {
            return None;
        }
        self.tree.prepare(&self.bundle)?.to_str()
    }

    /// All units that imports bring out, by name.
    ///
    /// # Errors
    /// [`BundleError`] when the central directory is not sound.
    pub fn materialized_units(&self) -> Result<Vec<String>, BundleError> {
        let units = self.tree.units().materialized(&self.bundle)?;
        Ok(units.into_iter().map(|unit| unit.unit).collect())
    }

    /// Brings out one of [`Self::materialized_units`], where a directory takes it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read from the bundle.
    pub fn bring_out(&self, unit: &str) -> Result<(), StoreError> {
        Self::unless_nowhere(self.tree.materialize(&self.bundle, unit)).map(drop)
    }

    /// The directories of the data scheme, brought out, by their names: what a virtual environment
    /// has below its `sys.prefix`. One that no directory takes is left out.
    ///
    /// # Errors
    /// [`StoreError`] when one cannot be read from the bundle.
    pub fn data_directories(&self) -> Result<Vec<(&str, PathBuf)>, StoreError> {
        let mut found = Vec::new();
        for name in self.tree.units().data().filter(|name| self.bundle.is_directory(name)) {
            if let Some(base) = Self::unless_nowhere(self.tree.materialize(&self.bundle, name))? {
                found.push((name, base.join(name)));
            }
        }
        Ok(found)
    }

    /// The real file of the library `entry`, brought out first together with what belongs to it;
    /// `None` where no directory takes it.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read from the bundle.
    pub fn library_file(&self, entry: &Entry) -> Result<Option<PathBuf>, StoreError> {
        Self::unless_nowhere(self.tree.library(&self.bundle, entry))
    }

    /// Opens the extension module `entry`, whose file is at `path` if it has one. Returns the path
    /// for CPython to open: `path`, or one in memory.
    ///
    /// # Errors
    /// [`LibraryError`], with the loader's words.
    pub fn open_library(
        &self,
        entry: &Entry,
        path: Option<&Path>,
        flags: c_int,
    ) -> Result<PathBuf, LibraryError> {
        if path.is_some() {
            open_first(&self.bundle, entry, &self.tree.libraries_before(&self.bundle, entry)?)?;
        }
        open_library(&self.bundle, &self.memory, entry, path, flags)
    }

    /// Brings out the extension module `name` of the directory `place`, if there is one, and opens the
    /// libraries that it needs of those that a standalone executable brings: for CPython to open it. Says
    /// whether there is one.
    ///
    /// # Errors
    /// [`LibraryError`], with the loader's words; [`BundleError`] as its source.
    pub fn prepare_extension(&self, place: &str, name: &str) -> Result<bool, LibraryError> {
        let found = self.bundle.find(&format!("{place}/"), name);
        let Some(Found::Module(FoundModule { kind: FoundKind::Extension(at), .. })) = found else {
            return Ok(false);
        };
        let read = |source| LibraryError::Read { library: name.to_owned(), source };
        let entry = self.bundle.entry_at(at).map_err(read)?;
        if self.library_file(&entry)?.is_some() {
            open_first(&self.bundle, &entry, &self.tree.libraries_before(&self.bundle, &entry)?)?;
        }
        Ok(true)
    }

    /// Why there is no file at `path`, a path through this bundle, though its package should be
    /// materialized: no directory takes it.
    #[must_use]
    pub fn reason_for_absence(&self, path: &str) -> Option<StoreError> {
        let place = self.place(path).filter(|place| !place.is_empty())?;
        self.tree.reason_for_absence(&self.bundle, place)
    }

    /// A package that no directory takes is no error yet: it may do without files.
    fn unless_nowhere<T>(outcome: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match outcome {
            Err(StoreError::NoRoot { .. }) => Ok(None),
            outcome => outcome.map(Some),
        }
    }
}
