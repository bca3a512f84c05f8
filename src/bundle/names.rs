//! All names of a bundle in sorted order, for what is off the launch path: reading data by name,
//! listing directories, materializing a package, inspecting.
//!
//! Made when first asked for. Names are decoded; of two entries with the same name the later one
//! is kept, as in the module index, and names that no file can have are left out.

use std::borrow::Cow;
use std::ops::Range;

use super::directory::Header;
use super::servable::is_servable;
use super::{Bundle, BundleError, Entry, Found, decode_name};

/// The sorted names of a bundle, each with the offset of its header in the central directory.
#[derive(Debug)]
pub struct Names {
    sorted: Vec<(Box<str>, u32)>,
}

impl Names {
    pub(super) fn build<'directory>(
        headers: impl Iterator<Item = Result<Header<'directory>, BundleError>>,
    ) -> Result<Self, BundleError> {
        let mut sorted = Vec::new();
        for header in headers {
            let header = header?;
            let name = header.name.strip_suffix(b"/").unwrap_or(header.name);
            if is_servable(name) {
                sorted.push((decode_name(&header).into(), header.ordinal));
            }
        }
        // Stable, so of equal names the last one stands last.
        sorted.sort_by(|left: &(Box<str>, u32), right| left.0.cmp(&right.0));
        sorted.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                earlier.1 = later.1;
            }
            same
        });
        Ok(Self { sorted })
    }

    pub(super) fn find(&self, name: &str) -> Option<u32> {
        let at = self.sorted.binary_search_by(|(candidate, _)| (**candidate).cmp(name)).ok()?;
        Some(self.sorted[at].1)
    }

    /// Where the names that start with `prefix` stand.
    fn range(&self, prefix: &str) -> Range<usize> {
        let start = self.sorted.partition_point(|(name, _)| **name < *prefix);
        let length = self.sorted[start..].partition_point(|(name, _)| name.starts_with(prefix));
        start..start + length
    }

    /// Names that start with `prefix`, sorted, each with its header's place.
    pub(super) fn below(&self, prefix: &str) -> impl Iterator<Item = (&str, u32)> {
        self.sorted[self.range(prefix)].iter().map(|(name, ordinal)| (&**name, *ordinal))
    }
}

/// Whether `name` is that of bytecode beside a source that `is_source` knows, or in the `__pycache__`
/// beside it (PEP 3147).
fn is_bytecode_of(name: &str, is_source: impl FnOnce(&str) -> bool) -> bool {
    let Some(source) = name.strip_suffix('c').filter(|source| source.ends_with(".py")) else {
        return false;
    };
    let (directory, file) = source.rsplit_once('/').unwrap_or(("", source));
    let Some(package) = directory.strip_suffix("__pycache__") else { return is_source(source) };
    let stem = file.split('.').next().unwrap_or_default();
    (package.is_empty() || package.ends_with('/')) && is_source(&format!("{package}{stem}.py"))
}

/// What a directory of a bundle holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child<'bundle> {
    /// The name without the directory's.
    pub name: Cow<'bundle, str>,
    /// Whether it is a directory.
    pub is_directory: bool,
}

impl Bundle {
    /// The modules in the directory at `prefix` (empty, or ending in `/`), sorted by name, and whether
    /// each is a package: what `pkgutil.iter_modules` lists.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when the central directory is not sound.
    pub fn modules_in(&self, prefix: &str) -> Result<Vec<(String, bool)>, BundleError> {
        let mut modules: Vec<(String, bool)> = Vec::new();
        for child in self.children(prefix)? {
            // A name up to its first dot is what `inspect.getmodulename` leaves of it.
            let name = child.name.split('.').next().unwrap_or_default();
            if name.is_empty() || name == "__init__" || (child.is_directory && name != child.name) {
                continue;
            }
            if let Some(Found::Module(found)) = self.find(prefix, name)
                && found.is_package == child.is_directory
                && modules.last().is_none_or(|(last, _)| last != name)
            {
                modules.push((name.to_owned(), found.is_package));
            }
        }
        Ok(modules)
    }

    /// What the directory at `prefix` (empty, or ending in `/`) holds, sorted by name, as a listing
    /// of installed files would show it: without bytecode beside its source.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when the central directory is not sound.
    pub fn children(&self, prefix: &str) -> Result<Vec<Child<'_>>, BundleError> {
        let names = self.names()?;
        let mut children: Vec<Child> = Vec::new();
        let below = names.below(prefix).map(|(name, _)| name);
        for name in below.filter(|name| !is_bytecode_of(name, |it| names.find(it).is_some())) {
            let rest = &name[prefix.len()..];
            if rest.is_empty() {
                continue; // the directory's own entry
            }
            let (child, is_directory) = match rest.split_once('/') {
                Some((child, _)) => (child, true),
                None => (rest, false),
            };
            if children.last().is_none_or(|last| last.name != child) {
                children.push(Child { name: Cow::Borrowed(child), is_directory });
            }
        }
        // `a.txt` sorts before `a/x` but after `a`; a second look merges what the slash split.
        children.sort_by(|left, right| left.name.cmp(&right.name));
        children.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            earlier.is_directory |= same && later.is_directory;
            same
        });
        Ok(children)
    }
}

impl Bundle {
    /// The entries whose names start with `prefix`, as files to install: without bytecode beside its
    /// source.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when the central directory is not sound.
    pub fn files_below(&self, prefix: &str) -> Result<Vec<Entry<'_>>, BundleError> {
        let names = self.names()?;
        names
            .below(prefix)
            .filter(|(name, _)| !is_bytecode_of(name, |source| names.find(source).is_some()))
            .map(|(_, ordinal)| self.entry_at(ordinal))
            .collect()
    }
}
