//! An open bundle: its map, its central directory, its index, and the ways to its entries.

use std::borrow::Cow;
use std::path::Path;
use std::sync::OnceLock;

use super::directory::{CentralDirectory, Headers};
use super::found::{Found, FoundModule};
use super::index::Index;
use super::names::Names;
use super::{
    BuildInformation, BundleError, Entry, INFORMATION_ENTRY, Mapping, Suffixes, codepage,
    is_metadata_directory, is_shared_library,
};

/// A bundle, mapped and indexed.
#[derive(Debug)]
pub struct Bundle {
    mapping: Mapping,
    directory: CentralDirectory,
    index: Index,
    suffixes: Suffixes,
    names: OnceLock<Names>,
    information: OnceLock<Option<BuildInformation>>,
}

impl Bundle {
    /// Opens, maps and indexes the bundle at `path` for a Python with the given suffixes.
    ///
    /// # Errors
    /// Any [`BundleError`] but [`BundleError::Entry`] and [`BundleError::NoEntry`]: entries are
    /// looked at when they are read.
    pub fn open(path: &Path, suffixes: Suffixes) -> Result<Self, BundleError> {
        let mapping = Mapping::open(path)?;
        let directory = mapping.read(|bytes| CentralDirectory::locate(bytes, path))??;
        let index = Index::build(path, &directory, &suffixes)?;
        tracing::debug!(
            target: "mmport::bundle",
            bundle = %path.display(),
            bytes = mapping.size(),
            entries = index.entries(),
            modules = index.modules(),
            "opened"
        );
        Ok(Self {
            mapping,
            directory,
            index,
            suffixes,
            names: OnceLock::new(),
            information: OnceLock::new(),
        })
    }

    /// The path that was opened, as it was given.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.mapping.path()
    }

    /// The file.
    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// The size of the file when it was opened, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mapping.size()
    }

    /// Whether there is another file at the path by now, or other content in this one. A file that is
    /// gone is not replaced.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        self.mapping.is_replaced()
    }

    /// The bytes of the central directory: names, sizes and checksums of all entries.
    #[must_use]
    pub fn directory_bytes(&self) -> &[u8] {
        &self.directory.bytes
    }

    /// The suffixes by which this bundle was indexed.
    #[must_use]
    pub fn suffixes(&self) -> &Suffixes {
        &self.suffixes
    }

    /// How many entries the central directory lists.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.index.entries()
    }

    /// How many modules and packages can be imported.
    #[must_use]
    pub fn module_count(&self) -> usize {
        self.index.modules()
    }

    /// What an import of `name` in the directory `prefix` (empty, or ending in `/`) finds.
    #[must_use]
    pub fn find(&self, prefix: &str, name: &str) -> Option<Found> {
        if name == "__init__" && !prefix.is_empty() {
            return self.find_initializer(prefix);
        }
        // No module has a slash in its name, but entries do.
        if memchr::memchr(b'/', name.as_bytes()).is_some() {
            return None;
        }
        // Joined on the stack: this is asked for every import of the process.
        let mut buffer = [0_u8; 256];
        let length = prefix.len() + name.len();
        match buffer.get_mut(..length) {
            Some(stem) => {
                stem[..prefix.len()].copy_from_slice(prefix.as_bytes());
                stem[prefix.len()..].copy_from_slice(name.as_bytes());
                self.index.find(&self.directory.bytes, stem)
            }
            None => self.index.find(&self.directory.bytes, [prefix, name].concat().as_bytes()),
        }
    }

    /// `pkg.__init__`: the file that makes a package of `pkg/`, as a plain module.
    fn find_initializer(&self, prefix: &str) -> Option<Found> {
        let directory = prefix.trim_end_matches('/');
        match self.index.find(&self.directory.bytes, directory.as_bytes())? {
            Found::Module(found) if found.is_package => {
                Some(Found::Module(FoundModule { is_package: false, ..found }))
            }
            _ => None,
        }
    }

    /// Whether `directory` (no slash at its end) has an `__init__`.
    #[must_use]
    pub fn is_regular_package(&self, directory: &str) -> bool {
        self.index.is_regular_package(&self.directory.bytes, directory.as_bytes())
    }

    /// Whether the bundle has a directory of that name (no slash at its end).
    #[must_use]
    pub fn is_directory(&self, directory: &str) -> bool {
        self.index.is_directory(&self.directory.bytes, directory.as_bytes())
    }

    /// Whether anything below `directory` (no slash at its end) is not a Python file.
    #[must_use]
    pub fn carries_files(&self, directory: &str) -> bool {
        self.index.carries_files(&self.directory.bytes, directory.as_bytes())
    }

    /// Whether any directory at the root, but for metadata, carries more than Python files.
    #[must_use]
    pub fn has_packages_with_files(&self) -> bool {
        self.index.root_directories(&self.directory.bytes).any(|name| {
            std::str::from_utf8(name)
                .is_ok_and(|name| !is_metadata_directory(name) && self.carries_files(name))
        })
    }

    /// Whether the bundle holds extension modules or shared libraries. Goes through all names.
    #[must_use]
    pub fn has_libraries(&self) -> bool {
        let is_library = |name: &str| {
            is_shared_library(name.rsplit_once('/').map_or(name, |(_, base)| base).as_bytes())
        };
        self.names().is_ok_and(|names| names.below("").any(|(name, _)| is_library(name)))
    }

    /// Directories at the root that hold the metadata of a distribution.
    #[must_use]
    pub fn metadata_directories(&self) -> Vec<&str> {
        self.index
            .root_directories(&self.directory.bytes)
            .filter_map(|name| std::str::from_utf8(name).ok())
            .filter(|name| is_metadata_directory(name))
            .collect()
    }

    /// The entry whose header lies at `ordinal` in the central directory, as [`Self::find`] gives
    /// it.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when no sound header starts there.
    pub fn entry_at(&self, ordinal: u32) -> Result<Entry<'_>, BundleError> {
        let header = self.directory.header_at(self.path(), ordinal)?;
        Ok(Entry::new(self, header))
    }

    /// The entry named `name`, or `None`.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when the central directory is not sound.
    pub fn entry(&self, name: &str) -> Result<Option<Entry<'_>>, BundleError> {
        self.names()?.find(name).map(|ordinal| self.entry_at(ordinal)).transpose()
    }

    /// The data of the entry named `name`.
    ///
    /// # Errors
    /// [`BundleError::NoEntry`] when there is none, and what [`Entry::read`] finds wrong.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, BundleError> {
        let entry = self.entry(name)?.filter(|entry| !entry.is_directory());
        entry
            .ok_or_else(|| BundleError::NoEntry {
                path: self.path().to_owned(),
                entry: name.to_owned(),
            })?
            .read()
    }

    /// The entries whose names start with `prefix`, sorted by name.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when the central directory is not sound.
    pub fn entries_below(&self, prefix: &str) -> Result<Vec<Entry<'_>>, BundleError> {
        self.names()?.below(prefix).map(|(_, ordinal)| self.entry_at(ordinal)).collect()
    }

    /// What the bundle was built for, or `None` for a zip that `mmport build` did not write.
    ///
    /// # Errors
    /// [`BundleError::Entry`] when the entry is there but cannot be read or understood.
    pub fn information(&self) -> Result<Option<&BuildInformation>, BundleError> {
        if let Some(information) = self.information.get() {
            return Ok(information.as_ref());
        }
        let information = self.read_information()?;
        Ok(self.information.get_or_init(|| information).as_ref())
    }

    fn read_information(&self) -> Result<Option<BuildInformation>, BundleError> {
        // Noted when the bundle was indexed: to sort the names of a large zip for one takes longer than
        // all the rest.
        let Some(ordinal) = self.index.information() else { return Ok(None) };
        let entry = self.entry_at(ordinal)?;
        BuildInformation::parse(&entry.read()?).map(Some).map_err(|error| BundleError::Entry {
            path: self.path().to_owned(),
            entry: INFORMATION_ENTRY.to_owned(),
            what: "build information",
            expected: "what `mmport build` of this version writes".into(),
            found: error.to_string(),
        })
    }

    /// All headers, in the order of the central directory.
    pub(super) fn headers(&self) -> Headers<'_> {
        self.directory.headers(self.path())
    }

    pub(super) fn names(&self) -> Result<&Names, BundleError> {
        if let Some(names) = self.names.get() {
            return Ok(names);
        }
        let names = Names::build(self.headers())?;
        Ok(self.names.get_or_init(|| names))
    }
}

/// The name of a header as text: UTF-8 where that is declared (with replacement characters where
/// it is not true), else code page 437.
pub(super) fn decode_name<'directory>(
    header: &super::directory::Header<'directory>,
) -> Cow<'directory, str> {
    if header.is_utf8 || header.name.is_ascii() {
        String::from_utf8_lossy(header.name)
    } else {
        Cow::Owned(codepage::decode_cp437(header.name))
    }
}
