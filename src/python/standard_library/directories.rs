//! The directories of the standard library: which they are, and what is in them.
//!
//! A directory is looked at, by one `stat`, whenever something is searched for in it, as `FileFinder` does.
//! Only where it has changed since it was listed is it listed again, and listings are remembered from one
//! process to the next.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use dashmap::DashMap;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::bundle::Suffixes;
use crate::directory::{Kind, Listing, Named, Stamp};
use crate::python::bytecode_cache::Memory;
use crate::shared_map::shared_map;

/// Directories of packages that are not of the standard library, though they are below its own.
const FOREIGN: [&str; 2] = ["site-packages", "dist-packages"];
/// What keeps remembered listings apart from what else is remembered.
const SUBJECT: &str = "directory";

/// The directories, by their finders and by their paths.
#[derive(Debug)]
pub(super) struct Directories {
    /// The standard library's own and that of its extension modules.
    roots: Vec<String>,
    suffixes: Suffixes,
    /// `FileFinder._loaders`, as CPython's path hook makes them.
    loaders: Vec<(String, Py<PyAny>)>,
    /// By the address of the finder, which stays alive.
    by_finder: DashMap<usize, (Py<PyAny>, Arc<Directory>)>,
    listings: DashMap<Box<str>, (Stamp, Arc<Listing>)>,
}

/// A directory of one of CPython's finders.
#[derive(Debug)]
pub(super) struct Directory {
    path: Box<str>,
    /// Whether it is of the standard library. What is in others is not remembered.
    pub is_library: bool,
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
        let (by_finder, listings) = (shared_map(), shared_map());
        Self { roots, suffixes, loaders, by_finder, listings }
    }

    /// What follows a module's name in the name of its bytecode.
    pub(super) fn cached_suffix(&self) -> &str {
        self.suffixes.cached_suffix()
    }

    /// The directory of a finder, if that is one of CPython's. `file_finder` is their type.
    pub(super) fn of_finder(
        &self,
        finder: &Bound<'_, PyAny>,
        file_finder: &Bound<'_, PyAny>,
    ) -> Option<Arc<Directory>> {
        if !finder.get_type().is(file_finder) {
            return None;
        }
        let address = finder.as_ptr() as usize;
        if let Some(known) = self.by_finder.get(&address) {
            return Some(Arc::clone(&known.1));
        }
        let py = finder.py();
        let path = finder.getattr(intern!(py, "path")).ok()?;
        let path = path.cast::<PyString>().ok()?.to_str().ok()?;
        if !self.has_these_loaders(finder) {
            return None;
        }
        let is_library = self.is_of_standard_library(path);
        let directory = Arc::new(Directory { path: path.into(), is_library });
        self.by_finder.insert(address, (finder.clone().unbind(), Arc::clone(&directory)));
        Some(directory)
    }

    fn is_of_standard_library(&self, path: &str) -> bool {
        let below = self.roots.iter().find_map(|root| path.strip_prefix(root.as_str()));
        below.is_some_and(|below| {
            (below.is_empty() || below.starts_with('/'))
                && !below.split('/').any(|part| FOREIGN.contains(&part))
        })
    }

    fn has_these_loaders(&self, finder: &Bound<'_, PyAny>) -> bool {
        let loaders = finder.getattr(intern!(finder.py(), "_loaders"));
        let loaders =
            loaders.and_then(|loaders| loaders.extract::<Vec<(String, Bound<'_, PyAny>)>>());
        loaders.is_ok_and(|loaders| {
            loaders.len() == self.loaders.len()
                && loaders.iter().zip(&self.loaders).all(|((suffix, loader), (known, type_))| {
                    suffix == known && loader.is(type_.bind(finder.py()))
                })
        })
    }

    /// Where the module `name` (without its packages) is in `directory`.
    pub(super) fn find(&self, py: Python<'_>, directory: &Directory, name: &str) -> Place {
        let memory = directory.is_library.then(|| Memory::get(py)).flatten();
        let directory = &*directory.path;
        let Some(listing) = self.listing(py, directory, memory.as_ref()) else {
            return Place::Unclear;
        };
        let named = listing.find(name, &self.suffixes);
        let mut is_namespace = false;
        if named.bare {
            let package = format!("{directory}/{name}");
            if let Some(inside) = self.listing(py, &package, memory.as_ref()) {
                match inside.find("__init__", &self.suffixes) {
                    Named { extension: None, source: true, .. } => {
                        let path = format!("{package}/__init__.py");
                        return Self::source(path, Some(package));
                    }
                    Named { extension: None, bytecode: false, .. } => is_namespace = true,
                    _ => return Place::Unclear,
                }
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
        self.listings.get(&*directory.path).is_some_and(|known| {
            Stamp::of(Path::new(&*directory.path)) == Some(known.0)
                && known.1.find(name, &self.suffixes) == Named::default()
        })
    }

    fn source(path: String, package: Option<String>) -> Place {
        match Stamp::of(Path::new(&path)) {
            Some(stamp) if stamp.kind() == Kind::File => Place::Source { path, stamp, package },
            _ => Place::Unclear,
        }
    }

    /// What is in `directory` now; `None` where that is no directory.
    fn listing(
        &self,
        py: Python<'_>,
        directory: &str,
        memory: Option<&Memory>,
    ) -> Option<Arc<Listing>> {
        let path = Path::new(directory);
        let stamp = Stamp::of(path).filter(|stamp| stamp.kind() == Kind::Directory)?;
        if let Some(known) = self.listings.get(directory)
            && known.0 == stamp
        {
            return Some(Arc::clone(&known.1));
        }
        let key = stamp.key(SUBJECT, directory);
        let recalled = memory.and_then(|memory| memory.recall(py, &key));
        let listing = match recalled.as_ref().and_then(|text| text.extract::<&str>().ok()) {
            Some(text) => Listing::from_text(text),
            None => {
                let listing = Listing::read(path, &self.suffixes).ok()?;
                if let Some(memory) = memory.filter(|memory| memory.may_keep(py))
                    && stamp.is_settled(SystemTime::now())
                    && Stamp::of(path) == Some(stamp)
                {
                    let text = PyString::new(py, listing.text());
                    memory.keep(py, &key, "<directory>", directory, text.as_any());
                }
                listing
            }
        };
        let listing = Arc::new(listing);
        self.listings.insert(directory.into(), (stamp, Arc::clone(&listing)));
        Some(listing)
    }
}
