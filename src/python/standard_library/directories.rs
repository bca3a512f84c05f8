//! The directories of the standard library: which they are, and what is in them.
//!
//! A directory is looked at, by one `stat`, whenever something is searched for in it, as `FileFinder` does.
//! Only where it has changed since it was listed is it listed again, and listings are remembered from one
//! process to the next. One that has just changed may change again without a trace: that is left to CPython.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use dashmap::DashMap;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::bundle::Suffixes;
use crate::directory::{Kind, Listing, Named, Stamp};
use crate::python::bytecode_cache::Memory;
use crate::shared_map::shared_map;

/// Directories of packages that are not of the standard library, though they are below its own.
const FOREIGN: [&str; 2] = ["site-packages", "dist-packages"];
/// What keeps remembered listings apart from what else is remembered.
const SUBJECT: &str = "directory";
/// The attributes that `FileFinder` gives its objects.
const ATTRIBUTES: usize = 5;

/// The directories, by their finders and by their paths.
#[derive(Debug)]
pub(super) struct Directories {
    /// The standard library's own and that of its extension modules.
    roots: Vec<String>,
    suffixes: Suffixes,
    /// `FileFinder._loaders`, as CPython's path hook makes them.
    loaders: Vec<(String, Py<PyAny>)>,
    /// By the path of the finder.
    known: DashMap<Box<str>, Arc<Directory>>,
    listings: DashMap<Box<str>, (Stamp, Arc<Listing>)>,
}

/// A directory of the standard library, and the finder that CPython has made for it.
#[derive(Debug)]
pub(super) struct Directory {
    path: Box<str>,
    finder: Py<PyAny>,
    /// Its attributes `path` and `_loaders`.
    found: (Py<PyAny>, Py<PyList>),
}

/// What a `FileFinder` looks into.
#[derive(Debug)]
pub(super) enum Finder {
    /// A directory of the standard library.
    Library(Arc<Directory>),
    /// Another directory, as CPython does.
    Elsewhere,
    /// Somebody has changed it.
    Changed,
}

/// What is at a path.
enum Inside {
    Listed(Arc<Listing>),
    NoDirectory,
    Unclear,
}

/// Where a module is.
#[derive(Debug)]
pub(super) enum Place {
    /// Not in this directory.
    Nowhere,
    /// For CPython to look at: no plain source or extension module.
    Unclear,
    Extension {
        path: String,
    },
    Source {
        path: String,
        stamp: Stamp,
        /// The directory, of a package.
        package: Option<String>,
    },
}

impl Directories {
    pub(super) fn new(
        roots: Vec<String>,
        suffixes: Suffixes,
        loaders: Vec<(String, Py<PyAny>)>,
    ) -> Self {
        Self { roots, suffixes, loaders, known: shared_map(), listings: shared_map() }
    }

    /// What follows a module's name in the name of its bytecode.
    pub(super) fn cached_suffix(&self) -> &str {
        self.suffixes.cached_suffix()
    }

    /// Forgets what is in directories.
    pub(super) fn invalidate(&self) {
        self.listings.clear();
    }

    /// What a `FileFinder` looks into.
    pub(super) fn of_finder(&self, finder: &Bound<'_, PyAny>) -> PyResult<Finder> {
        let py = finder.py();
        let attributes = finder.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?;
        let path = attributes.get_item(intern!(py, "path"))?;
        let loaders = attributes.get_item(intern!(py, "_loaders"))?;
        let Some((path, loaders)) = path.zip(loaders) else { return Ok(Finder::Changed) };
        let (Ok(text), Ok(loaders)) =
            (path.cast_exact::<PyString>(), loaders.cast_exact::<PyList>())
        else {
            return Ok(Finder::Changed);
        };
        let Ok(text) = text.to_str() else { return Ok(Finder::Elsewhere) };
        if attributes.len() != ATTRIBUTES || loaders.len() != self.loaders.len() {
            return Ok(Finder::Changed);
        }
        let known = self.known.get(text).map(|known| Arc::clone(&known));
        if let Some(known) = known
            && known.finder.is(finder)
            && known.found.0.is(&path)
            && known.found.1.is(loaders)
        {
            return Ok(Finder::Library(known));
        }
        if !self.are_the_same(loaders) {
            return Ok(Finder::Changed);
        }
        if !self.is_of_standard_library(text) {
            return Ok(Finder::Elsewhere);
        }
        let directory = Arc::new(Directory {
            // As `_path_join` does, before it puts a name behind it.
            path: text.trim_end_matches('/').into(),
            finder: finder.clone().unbind(),
            found: (path.clone().unbind(), loaders.clone().unbind()),
        });
        let former = self.known.insert(text.into(), Arc::clone(&directory));
        drop(former); // Not while a part of the map is locked: Python objects may go with it.
        Ok(Finder::Library(directory))
    }

    fn is_of_standard_library(&self, path: &str) -> bool {
        let below = self.roots.iter().find_map(|root| path.strip_prefix(root.as_str()));
        below.is_some_and(|below| {
            (below.is_empty() || below.starts_with('/'))
                && !below.split('/').any(|part| FOREIGN.contains(&part))
        })
    }

    fn are_the_same(&self, loaders: &Bound<'_, PyList>) -> bool {
        let py = loaders.py();
        loaders.len() == self.loaders.len()
            && loaders.iter().zip(&self.loaders).all(|(found, (suffix, loader))| {
                found.extract::<(String, Bound<'_, PyAny>)>().is_ok_and(
                    |(found_suffix, found_loader)| {
                        found_suffix == *suffix && found_loader.is(loader.bind(py))
                    },
                )
            })
    }

    /// Where the module `name` (without its packages) is in `directory`.
    pub(super) fn find(&self, py: Python<'_>, directory: &Directory, name: &str) -> Place {
        let directory = &*directory.path;
        let Inside::Listed(listing) = self.inside(py, directory) else { return Place::Unclear };
        let named = listing.find(name, &self.suffixes);
        let mut is_namespace = false;
        if named.bare {
            let package = format!("{directory}/{name}");
            match self.inside(py, &package) {
                Inside::Listed(inside) => match inside.find("__init__", &self.suffixes) {
                    Named { extension: None, source: true, .. } => {
                        let path = format!("{package}/__init__.py");
                        return Self::source(path, Some(package));
                    }
                    Named { extension: None, bytecode: false, .. } => is_namespace = true,
                    _ => return Place::Unclear,
                },
                Inside::NoDirectory => {}
                Inside::Unclear => return Place::Unclear,
            }
        }
        match named {
            Named { extension: Some(rank), .. } => {
                let suffix = self.suffixes.extension_suffix(rank).unwrap_or_default();
                let path = format!("{directory}/{name}{suffix}");
                match Stamp::of(Path::new(&path)) {
                    Some(stamp) if stamp.kind() == Kind::File => Place::Extension { path },
                    _ => Place::Unclear,
                }
            }
            Named { source: true, .. } => Self::source(format!("{directory}/{name}.py"), None),
            Named { bytecode: true, .. } => Place::Unclear,
            _ if is_namespace => Place::Unclear,
            _ => Place::Nowhere,
        }
    }

    /// Whether it is known, without listing anything for it, that nothing of this name is in `directory`.
    pub(super) fn is_known_absent(&self, directory: &Directory, name: &str) -> bool {
        let known = self.listings.get(&*directory.path);
        let known = known.map(|known| (known.0, Arc::clone(&known.1)));
        known.is_some_and(|(stamp, listing)| {
            Stamp::of(Path::new(&*directory.path)) == Some(stamp)
                && listing.find(name, &self.suffixes) == Named::default()
        })
    }

    fn source(path: String, package: Option<String>) -> Place {
        match Stamp::of(Path::new(&path)) {
            Some(stamp) if stamp.kind() == Kind::File => Place::Source { path, stamp, package },
            _ => Place::Unclear,
        }
    }

    /// What is in `directory` now.
    fn inside(&self, py: Python<'_>, directory: &str) -> Inside {
        let path = Path::new(directory);
        let Some(stamp) = Stamp::of(path) else { return Inside::Unclear };
        if stamp.kind() != Kind::Directory {
            return Inside::NoDirectory;
        }
        let known = self.listings.get(directory).map(|known| (known.0, Arc::clone(&known.1)));
        if let Some((known, listing)) = known
            && known == stamp
        {
            return Inside::Listed(listing);
        }
        if !stamp.is_settled(SystemTime::now()) {
            return Inside::Unclear;
        }
        let Some(listing) = self.listing(py, directory, stamp) else { return Inside::Unclear };
        let listing = Arc::new(listing);
        self.listings.insert(directory.into(), (stamp, Arc::clone(&listing)));
        Inside::Listed(listing)
    }

    /// The listing of a directory that has not changed for a while; `None` where it cannot be had.
    fn listing(&self, py: Python<'_>, directory: &str, stamp: Stamp) -> Option<Listing> {
        let memory = Memory::get(py)?;
        let key = stamp.key(SUBJECT, directory);
        let recalled = memory.recall(py, &key);
        if let Some(text) = recalled.as_ref().and_then(|text| text.extract::<&str>().ok()) {
            return Some(Listing::from_text(text));
        }
        let path = Path::new(directory);
        let listing = Listing::read(path, &self.suffixes).ok()?;
        if Stamp::of(path) != Some(stamp) {
            return None;
        }
        if memory.may_keep(py) {
            let text = PyString::new(py, listing.text());
            memory.keep(py, &key, "<directory>", directory, text.as_any());
        }
        Some(listing)
    }
}
