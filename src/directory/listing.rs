//! Which names in a directory are modules.
//!
//! The rule is that of `FileFinder.find_spec` in `Lib/importlib/_bootstrap_external.py`: a directory with
//! an `__init__` first, then the files with the suffixes of [`Suffixes`] in their order. A listing is kept
//! as the names themselves with slashes between, so that the suffixes decide anew what they mean.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use crate::bundle::{FileKind, Suffixes};

/// The names in a directory that can be those of modules.
#[derive(Debug, Default)]
pub struct Listing {
    modules: HashMap<Box<str>, Named>,
}

/// The files that are there for a module's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Named {
    /// `name`: a directory, if it is one.
    pub bare: bool,
    /// An extension module, by the number of its suffix.
    pub extension: Option<u8>,
    /// `name.py`
    pub source: bool,
    /// `name.pyc`
    pub bytecode: bool,
}

impl Listing {
    /// Lists a directory.
    ///
    /// # Errors
    /// What the file system says.
    pub fn read(directory: &Path, suffixes: &Suffixes) -> io::Result<Self> {
        let mut listing = Self::default();
        for entry in fs::read_dir(directory)? {
            // No module's name is other than text.
            if let Ok(name) = entry?.file_name().into_string() {
                listing.add(&name, suffixes);
            }
        }
        Ok(listing)
    }

    /// The listing that [`Self::to_text`] has written.
    #[must_use]
    pub fn from_text(text: &str, suffixes: &Suffixes) -> Self {
        let mut listing = Self::default();
        text.split('/').for_each(|name| listing.add(name, suffixes));
        listing
    }

    fn add(&mut self, name: &str, suffixes: &Suffixes) {
        let named = match suffixes.classify(name.as_bytes()) {
            FileKind::Source(stem) => self.named(stem).map(|named| named.source = true),
            FileKind::Bytecode(stem) => self.named(stem).map(|named| named.bytecode = true),
            FileKind::Extension(stem, rank) => self.named(stem).map(|named| {
                named.extension = Some(named.extension.map_or(rank, |other| other.min(rank)));
            }),
            FileKind::Typing | FileKind::Data => {
                self.named(name.as_bytes()).map(|named| named.bare = true)
            }
        };
        debug_assert!(named.is_some() || name.contains('.') || name.is_empty());
    }

    fn named(&mut self, stem: &[u8]) -> Option<&mut Named> {
        // The last part of a module's name has no dot.
        let stem = std::str::from_utf8(stem).ok().filter(|stem| !stem.contains('.'))?;
        (!stem.is_empty()).then(|| self.modules.entry(stem.into()).or_default())
    }

    /// What there is for the module `name`, without the names of its packages.
    #[must_use]
    pub fn find(&self, name: &str) -> Named {
        self.modules.get(name).copied().unwrap_or_default()
    }

    /// The names, in one text.
    #[must_use]
    pub fn to_text(&self, suffixes: &Suffixes) -> String {
        let mut names = Vec::with_capacity(self.modules.len());
        for (stem, named) in &self.modules {
            names.extend(named.bare.then(|| stem.to_string()));
            let extension = named.extension.and_then(|rank| suffixes.extension_suffix(rank));
            names.extend(extension.map(|suffix| format!("{stem}{suffix}")));
            names.extend(named.source.then(|| format!("{stem}.py")));
            names.extend(named.bytecode.then(|| format!("{stem}.pyc")));
        }
        // The same from every process.
        names.sort_unstable();
        names.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXTENSION: &str = ".cpython-311-x86_64-linux-gnu.so";

    fn suffixes() -> Suffixes {
        Suffixes::new([EXTENSION, ".abi3.so", ".so"], "cpython-311", 0)
    }

    #[test]
    fn names_are_those_that_cpython_looks_for() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            ["a.py", "a.so", "a.abi3.so", "b.pyc", "c.txt", "d.e.py", "README", ".py", "ü.py"]
        {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::create_dir(directory.path().join("a")).unwrap();
        let listing = Listing::read(directory.path(), &suffixes()).unwrap();
        let all = Named { bare: true, extension: Some(1), source: true, bytecode: false };
        assert_eq!(listing.find("a"), all);
        assert_eq!(listing.find("b"), Named { bytecode: true, ..Named::default() });
        assert_eq!(listing.find("ü"), Named { source: true, ..Named::default() });
        // A file without a suffix may be a directory; who asks looks.
        assert_eq!(listing.find("README"), Named { bare: true, ..Named::default() });
        for absent in ["c", "d", "d.e", "e", "", "A"] {
            assert_eq!(listing.find(absent), Named::default(), "{absent:?}");
        }
        let text = listing.to_text(&suffixes());
        assert_eq!(text, "README/a/a.abi3.so/a.py/b.pyc/ü.py");
        let again = Listing::from_text(&text, &suffixes());
        assert_eq!(again.modules, listing.modules);
    }

    #[test]
    fn an_empty_directory_has_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let listing = Listing::read(directory.path(), &suffixes()).unwrap();
        assert_eq!(listing.to_text(&suffixes()), "");
        assert_eq!(Listing::from_text("", &suffixes()).modules.len(), 0);
        assert!(Listing::read(&directory.path().join("none"), &suffixes()).is_err());
    }
}
