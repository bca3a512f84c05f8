//! Files that must be files: the store of materialized packages.
//!
//! `dlopen` needs a file, and programs open data beside `__file__`. A package that carries more
//! than Python files is therefore brought out, whole, when it is first imported; its code still
//! comes from the map.
//!
//! - [`Units`] say what is brought out together, a [`Tree`] where the files go and how they get
//!   there, with the library folders that extension modules need beside them.
//! - Layout: `ROOT/trees-v1/KEY/…`, where `KEY` is the blake3 hash of the bundle's central directory
//!   (every name, size and checksum) and below it paths are as in the bundle, so that relative
//!   paths between packages and libraries hold.
//! - Invariant: a unit is in the tree completely or not at all. It is written beside the tree and
//!   renamed into it; who comes second finds it there and throws its own copy away.

mod error;
mod needs;
mod root;
mod store;
#[cfg(test)]
mod tests;
mod unit;

pub use error::StoreError;
pub use root::{cache_root, create_private, is_own_directory, store_roots};
pub use store::Tree;
pub use unit::{GlobError, MaterializeRules, MaterializedUnit, Unit, Units};
