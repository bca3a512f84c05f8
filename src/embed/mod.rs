//! The embedded interpreter: its configuration, its run modes, and how it ends.
//!
//! | file | owns |
//! | --- | --- |
//! | `arenas.rs` | memory for Python's small objects |
//! | `identity.rs` | which Python is embedded and where it lives, fixed at build time |
//! | `entry.rs` | what a bundle is to run this time |
//! | `environment.rs` | the directory that stands in for a virtual environment of a bundle |
//! | `bundled_python.rs` | the Python inside a standalone executable |
//! | `config.rs` | `PyConfig` |
//! | `exit` | how the process ends |
//! | `hosted.rs` | the same run modes inside a Python that is running already |
//! | `interpreter.rs` | scripts and modules, as Python runs them |
//! | `launch.rs` | the run modes: a bundle's entry point, Python with a bundle, plain Python |
//! | `linked.rs` | mmport as the executable of a Python |
//! | `main_module.rs` | running `__main__` and what its exceptions mean to the process |
//! | `tools.rs` | a Python for `mmport cache` |
//! | `unwinding.rs` | CPython's functions that may end the thread, and threads that it ends |
//!
//! What is being imported is the bridge's business; this folder only says which bundle is mounted.

mod arenas;
mod bundled_python;
mod config;
mod entry;
mod environment;
mod error;
mod exit;
pub mod hosted;
pub mod identity;
mod interpreter;
mod launch;
mod linked;
mod main_module;
mod tools;
mod unwinding;

pub use entry::entry_variables;
pub use environment::{BundleEnvironment, cached_environments};
pub use error::LaunchError;
pub use exit::{always_finalize, end_process_with_program};
pub use launch::{
    Status, run_as_python, run_bundle, run_bundle_entry, run_linked_python, run_python,
    run_standalone,
};
pub use main_module::{Ending, run_main_module};
pub use tools::{Disassembler, warm_cache, with_target};
pub use unwinding::end_thread;
