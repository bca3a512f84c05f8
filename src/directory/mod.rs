//! Directories of modules, as CPython's `FileFinder` looks at them: what is in one, and what has to be the
//! same for that to hold.
//!
//! | file | owns |
//! | --- | --- |
//! | `stamp.rs` | what changes when a file or a directory does |
//! | `listing.rs` | which names in a directory are modules |
//!
//! What is remembered of a directory or of a file is found by its path and its stamp. One that has changed
//! has another stamp, so nothing is found, and it is looked at again: nothing is ever found stale.

mod listing;
mod stamp;

pub use listing::{Listing, Named};
pub use stamp::{Kind, Stamp};
