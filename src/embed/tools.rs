//! What the command line asks a Python for that runs no program.

use std::path::Path;

use pyo3::prelude::*;

use crate::bytecode::Target;
use crate::python::{Warmed, disassemble, full_message, running_target, warm};

use super::LaunchError;
use super::config::Config;
use super::exit::finish;
use super::main_module::Ending;

/// The Python that is running, or else the embedded one, started for this. It cannot be started again,
/// so this is called once.
///
/// # Errors
/// [`LaunchError`], when Python does not start, or in the words of what `work` raises.
fn with_python<T>(work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, LaunchError> {
    let is_running = Python::try_attach(|_| ()).is_some();
    if !is_running {
        Config::new(&["python"], false)?.find_paths_from_base()?.start()?;
    }
    let outcome = Python::attach(|py| {
        work(py).map_err(|error| LaunchError::Tool { message: full_message(&error) })
    });
    if !is_running {
        finish(Ending::Status(0));
    }
    outcome
}

/// Compiles what the bundle, zip or directory at `path` has no bytecode of into the store.
///
/// # Errors
/// [`LaunchError`], when it cannot be read or Python does not start.
pub fn warm_cache(path: &Path) -> Result<Warmed, LaunchError> {
    with_python(|py| warm(py, path))
}

/// Shows the instructions of a marshalled code object, as one of the file at a path.
pub type Disassembler<'work> = &'work dyn Fn(&[u8], &str) -> Result<String, LaunchError>;

/// Runs `work` with what Python compiles for, if it keeps code objects at all, and with what shows
/// instructions.
///
/// # Errors
/// [`LaunchError`], when Python does not start.
pub fn with_target<T>(
    work: impl FnOnce(Option<&Target>, Disassembler) -> T,
) -> Result<T, LaunchError> {
    with_python(|py| {
        let target = running_target(py)?;
        let show = |code: &[u8], path: &str| {
            disassemble(py, code, path)
                .map_err(|error| LaunchError::Tool { message: full_message(&error) })
        };
        Ok(work(target.as_ref(), &show))
    })
}
