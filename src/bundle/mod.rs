//! Bundles: zips that can be served from a memory map.
//!
//! A bundle is an ordinary zip; whatever wrote it, it can be served. Data goes one way:
//! file → [`Mapping`] → central directory → [`Index`] → [`Entry`] → bytes, and each
//! step happens once. Nothing here knows Python beyond the file names that mean a module
//! ([`Suffixes`]), and nothing is believed that the file says about itself: every offset, size and
//! name is checked before it is used, because a bundle may be hostile.

mod codepage;
mod compression;
mod contents;
mod directory;
mod directory_bytes;
mod entry;
mod error;
mod found;
mod guard;
mod index;
mod information;
mod mapping;
mod metadata;
mod names;
mod open;
mod place;
mod scripts;
mod servable;
mod standalone;
mod suffixes;
#[cfg(test)]
mod tests;
mod zip_directory;
mod zip_file;

pub use compression::Compression;
pub use contents::{Contents, Sizes};
pub use entry::Entry;
pub use error::BundleError;
pub use found::{Found, FoundKind, FoundModule};
pub use index::Index;
pub use information::{
    BuildInformation, BundleEntryPoint, INFORMATION_ENTRY, INFORMATION_FORMAT, SiteSetup,
    TargetPython,
};
pub use mapping::Mapping;
pub use metadata::{Distribution, ScriptEntryPoint, is_metadata_directory};
pub use names::Child;
pub use open::Bundle;
use open::decode_name;
pub use place::join_place;
pub use scripts::{available_scripts, nearest_first, parse_object};
pub use standalone::{
    Component, LIBRARY_DIRECTORY, PYTHON_DIRECTORY, StandalonePython, StandardLibraryExtent,
    standard_library_directory,
};
pub(crate) use suffixes::FileKind;
pub use suffixes::{Suffixes, is_python_file, is_shared_library};
pub use zip_directory::{ZipDirectoryError, ZipEntry, ZipRules, read_zip_directory};
pub use zip_file::{ZipDataError, ZipFile};
