//! Which names in a directory are modules.
//!
//! The rule is that of `FileFinder.find_spec` in `Lib/importlib/_bootstrap_external.py`: a directory with
//! an `__init__` first, then the files with the suffixes of [`Suffixes`] in their order. A listing is kept
//! as the names themselves with slashes between, so that the suffixes decide anew what they mean.

use std::fs;
use std::io;
use std::path::Path;

use crate::bundle::{FileKind, Suffixes};

/// The names in a directory that can be those of modules, in order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The names, with slashes between.
    text: Box<str>,
    /// Where each begins.
    starts: Box<[usize]>,
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
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            // No module's name is other than text.
            if let Ok(name) = entry?.file_name().into_string()
                && is_of_module(&name, suffixes)
            {
                names.push(name);
            }
        }
        // The same from every process.
        names.sort_unstable();
        Ok(Self::from_text(&names.join("/")))
    }

    /// The listing that [`Self::text`] has given.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let mut starts = Vec::new();
        if !text.is_empty() {
            starts.push(0);
            starts.extend(text.match_indices('/').map(|(slash, _)| slash + 1));
        }
        Self { text: text.into(), starts: starts.into() }
    }

    /// The names, in one text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn name_at(&self, start: usize) -> &str {
        let rest = &self.text[start..];
        rest.split_once('/').map_or(rest, |(name, _)| name)
    }

    /// What there is for the module `name`, without the names of its packages.
    #[must_use]
    pub fn find(&self, name: &str, suffixes: &Suffixes) -> Named {
        let mut named = Named::default();
        let first = self.starts.partition_point(|start| self.name_at(*start) < name);
        for start in &self.starts[first..] {
            match self.name_at(*start).strip_prefix(name) {
                None => break,
                Some("") => named.bare = true,
                Some(".py") => named.source = true,
                Some(".pyc") => named.bytecode = true,
                Some(suffix) => {
                    let rank = suffixes.extension_rank(suffix);
                    let best = named.extension.into_iter().chain(rank).min();
                    named.extension = best;
                }
            }
        }
        named
    }
}

/// Whether a file of this name can be a module, or a directory.
fn is_of_module(name: &str, suffixes: &Suffixes) -> bool {
    let stem = match suffixes.classify(name.as_bytes()) {
        FileKind::Source(stem) | FileKind::Bytecode(stem) | FileKind::Extension(stem, _) => stem,
        FileKind::Typing | FileKind::Data => name.as_bytes(),
    };
    // The last part of a module's name has no dot.
    !stem.is_empty() && !stem.contains(&b'.')
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
        for name in [
            "a.py",
            "a.so",
            "a.abi3.so",
            "b.pyc",
            "c.txt",
            "d.e.py",
            "a-b.py",
            "README",
            ".py",
            "ü.py",
        ] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        fs::create_dir(directory.path().join("a")).unwrap();
        let listing = Listing::read(directory.path(), &suffixes()).unwrap();
        let find = |name| listing.find(name, &suffixes());
        let all = Named { bare: true, extension: Some(1), source: true, bytecode: false };
        assert_eq!(find("a"), all);
        assert_eq!(find("b"), Named { bytecode: true, ..Named::default() });
        assert_eq!(find("ü"), Named { source: true, ..Named::default() });
        // A file without a suffix may be a directory; who asks looks.
        assert_eq!(find("README"), Named { bare: true, ..Named::default() });
        for absent in ["c", "d", "d.e", "e", "A", "READ", "READMEs", "a/b", "\u{10ffff}"] {
            assert_eq!(find(absent), Named::default(), "{absent:?}");
        }
        assert_eq!(listing.text(), "README/a/a-b.py/a.abi3.so/a.py/a.so/b.pyc/ü.py");
        assert_eq!(Listing::from_text(listing.text()), listing);
    }

    #[test]
    fn an_empty_directory_has_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let listing = Listing::read(directory.path(), &suffixes()).unwrap();
        assert_eq!(listing, Listing::from_text(""));
        assert_eq!(listing.find("a", &suffixes()), Named::default());
        assert!(Listing::read(&directory.path().join("none"), &suffixes()).is_err());
    }
}
