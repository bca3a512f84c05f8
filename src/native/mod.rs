//! Files that must be files: the store of materialized packages, and opening libraries.
//!
//! `dlopen` needs a file, and programs open data beside `__file__`. A package that carries more
//! than Python files is therefore brought out, whole, when it is first imported; its code still
//! comes from the map.
//!
//! - [`Units`] say what is brought out together, a [`Tree`] where the files go and how they get
//!   there, with the library folders that extension modules need beside them.
//! - Layout: `ROOT/trees-v2/KEY/site-packages/…`, where `KEY` is the blake3 hash of the bundle's
//!   central directory (every name, size and checksum) and below it paths are as in the bundle, so
//!   that relative paths between packages and libraries hold. Each file is a hard link to
//!   `ROOT/contents-v1/…`, where contents are named by their blake3 hash, so that bundles share what
//!   they have in common.
//! - Invariant: a unit is in the tree completely or not at all. It is written beside the tree and
//!   renamed into it, by one process while others wait; who comes second finds it there.
//! - Files cannot be written to, and libraries carry a seal that is looked at before they are
//!   opened; what is damaged is replaced from the bundle. Nothing is flushed to the disk: what a loss
//!   of power takes is damage like any other.
//! - [`open_library`] opens extension modules, from their files or, where no file can be had or
//!   loaded, from memory.

mod cache;
mod content;
mod directory;
mod elf;
mod error;
mod execution;
mod explain;
mod in_use;
mod library;
mod mend;
mod needs;
mod progress;
pub(crate) mod root;
mod seal;
#[cfg(test)]
mod tests;
mod tree;
mod unit;
mod write;

pub use cache::{
    BundleState, CachedTree, Usage, cached_trees, directories_in, is_hidden, is_mapped,
    mapped_files, optional_path_as_text, path_as_text, sweep,
};
pub use elf::needed_libraries;
pub use error::{LibraryError, StoreError};
pub use in_use::{InUse, is_in_use, out_of_the_way, remove_directory, remove_unless_in_use};
pub use library::{MemoryLibraries, open_first, open_library};
pub use root::{cache_root, create_private, is_own_directory, is_own_file, store_roots};
pub use tree::{Tree, tree_key};
pub use unit::{GlobError, MaterializeRules, MaterializedUnit, Unit, Units};
