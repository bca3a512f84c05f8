//! Standalone executables: the runtime that one carries, and the head that starts it.
//!
//! ```text
//! head       an ELF program that needs the C library alone (`head/main.rs`)
//! manifest   text: what the runtime is called, and where its files lie in this file
//! files      mmport, libpython, and the shared libraries that these two need
//! zip        the bundle
//! ```
//!
//! The operating system starts a program, and loads libraries, from files: the runtime's are brought out
//! once, shared by all executables that have the same, and everything else stays in the bundle. The head
//! replaces itself by the runtime's mmport, with the arguments as they are and the path by which it was
//! started in `MMPORT_STANDALONE`, which mmport takes out of the environment.
//!
//! - Layout: `ROOT/runtimes-v1/NAME/bin/mmport`, `…/lib/LIBRARY`, where `ROOT` is one of
//!   [`store_roots`](crate::native::store_roots), and `NAME` the blake3 hash of the files.
//! - Invariant: a runtime is there whole or not at all. It is written beside its place and renamed; one
//!   whose files have not the sizes that the manifest says is replaced.
//! - The head is compiled with `manifest.rs`, `runtime.rs` and `native/root.rs` and without any crate,
//!   so these know only the standard library.

mod contents;
mod manifest;
mod runtime;

pub use contents::{RuntimeSource, has_head, head_of};
pub use manifest::{Manifest, ManifestError, RuntimeFile};
pub use runtime::{EXECUTABLE_VARIABLE, bring_out, cached_runtimes, existing, runtime_name};

use crate::native::root;
