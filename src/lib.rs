//! Python imports served by Rust from memory-mapped zip bundles.
//!
//! ```text
//! command line ──► embed ──► python (bridge) ──► core: bundle · bytecode · directory · native · standalone · trace
//! ```
//!
//! Arrows go one way only. The core never names pyo3 and can be used and tested without Python;
//! the bridge makes Python objects of what the core finds; `embed` starts an interpreter that has
//! the bridge installed; the command line turns arguments into calls. `build` stands beside them:
//! it makes bundles and runs no bundle.

#[cfg(not(unix))]
compile_error!("mmport supports Unix only for now: materialized packages and run modes need it");

pub mod build;
pub mod bundle;
pub mod bytecode;
pub mod cli;
pub mod directory;
pub mod embed;
pub mod extension;
pub mod native;
pub mod python;
mod shared_map;
pub mod standalone;
pub mod trace;
