//! Errors of the core as Python exceptions.

use std::error::Error;
use std::fmt::Write;

use pyo3::PyErr;
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

use crate::bundle::BundleError;
use crate::bytecode::BytecodeError;
use crate::native::{LibraryError, StoreError};

use super::MountError;

/// Why an import from a bundle failed below Python.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImportFailure {
    #[error(transparent)]
    Bundle(#[from] BundleError),
    #[error(transparent)]
    Bytecode(#[from] BytecodeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Library(#[from] LibraryError),
    #[error(transparent)]
    Mount(#[from] MountError),
}

/// The error and its sources in one line; a source that its error has already told is left out.
#[must_use]
pub fn full_message(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !message.ends_with(&text) {
            let _ = write!(message, ": {text}");
        }
        source = error.source();
    }
    message
}

impl ImportFailure {
    /// What a program is told: the message, and the next step where the machine is at fault rather
    /// than the bundle.
    pub(super) fn message(&self) -> String {
        let message = full_message(self);
        match self {
            Self::Store(error) => format!("failed to {message}; {}", error.next_step()),
            Self::Bundle(_) | Self::Mount(_) => format!("failed to {message}"),
            Self::Bytecode(_) | Self::Library(_) => message, // CPython's words, or the loader's
        }
    }
}

impl From<ImportFailure> for PyErr {
    fn from(failure: ImportFailure) -> Self {
        PyImportError::new_err(failure.message())
    }
}

/// `ImportError(message, name=name, path=path)`.
pub(super) fn import_error(py: Python<'_>, message: &str, name: &str, path: Option<&str>) -> PyErr {
    let make = || {
        let arguments = [("name", Some(name)), ("path", path)].into_py_dict(py)?;
        py.get_type::<PyImportError>().call((message,), Some(&arguments))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

/// The failure as an `ImportError` that names the module and its file.
pub(super) fn failed_import(
    py: Python<'_>,
    failure: impl Into<ImportFailure>,
    name: &str,
    path: &str,
) -> PyErr {
    import_error(py, &failure.into().message(), name, Some(path))
}

/// The `ImportError` for a library that could not be opened, with the loader's words first as
/// CPython has them.
pub(super) fn failed_opening(
    py: Python<'_>,
    failure: &LibraryError,
    name: &str,
    path: &str,
) -> PyErr {
    import_error(py, &full_message(failure), name, Some(path))
}
