//! Modules that are loaded, by their names, without asking `builtins.__import__`, which a program may have
//! replaced, or the finders.

use std::ffi::CString;

use pyo3::exceptions::PyKeyError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// `sys.modules`, as the interpreter has it.
#[must_use]
pub fn loaded_modules(py: Python<'_>) -> Bound<'_, PyDict> {
    // SAFETY: the interpreter has such a dictionary for as long as it lives.
    unsafe { Bound::from_borrowed_ptr(py, ffi::PyImport_GetModuleDict()).cast_into_unchecked() }
}

/// A module that is loaded.
///
/// # Errors
/// `KeyError`, when there is none.
pub fn loaded_module<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    loaded_modules(py).get_item(name)?.ok_or_else(|| PyKeyError::new_err(name.to_owned()))
}

/// An attribute of `sys`, which may be missing.
#[must_use]
pub fn of_sys<'py>(py: Python<'py>, name: &str) -> Option<Bound<'py, PyAny>> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name ends; the reference is borrowed from the interpreter.
    unsafe { Bound::from_borrowed_ptr_or_opt(py, ffi::PySys_GetObject(name.as_ptr())) }
}
