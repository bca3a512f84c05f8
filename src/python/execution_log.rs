//! What the log says of the execution of modules.

use std::time::Instant;

use pyo3::prelude::*;

/// Executes the module `name`, and says so, and how long it took, to who wants to know. `origin` is asked
/// for where the module is only then.
pub(super) fn logged(
    name: &str,
    origin: impl FnOnce() -> String,
    execute: impl FnOnce() -> PyResult<()>,
) -> PyResult<()> {
    if !tracing::enabled!(target: "mmport::exec_module", tracing::Level::DEBUG) {
        return execute();
    }
    let start = Instant::now();
    let outcome = execute();
    let microseconds = start.elapsed().as_micros() as u64;
    tracing::debug!(
        target: "mmport::exec_module",
        module = name,
        origin = origin(),
        microseconds,
        outcome = if outcome.is_ok() { "executed" } else { "raised" },
    );
    outcome
}
