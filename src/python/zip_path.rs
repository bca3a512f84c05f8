//! The path that a `ZipImporter` is made of: an archive, and a directory in it.

use std::path::Path;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

use super::importlib::Importlib;
use super::zip_archive::zip_import_error;

/// Splits a path into the archive, which is the longest part of it that exists, and the prefix:
/// empty, or ending in a slash.
pub(super) fn split_path<'py>(
    path: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let py = path.py();
    let mut path = text_of(path)?;
    if path.is_empty()? {
        return Err(zip_import_error(py, "archive path is empty", Some(("path", &path))));
    }
    let external = Importlib::get(py)?.bootstrap_external(py);
    let mut below = Vec::new();
    loop {
        match is_regular_file(&path)? {
            Some(true) => break,
            Some(false) => {
                return Err(zip_import_error(py, "not a Zip file", Some(("path", &path))));
            }
            None => {
                let parts = external.call_method1(intern!(py, "_path_split"), (&path,))?;
                let directory = parts.get_item(0)?;
                if directory.eq(&path)? {
                    return Err(zip_import_error(py, "not a Zip file", Some(("path", &path))));
                }
                below.push(parts.get_item(1)?);
                path = directory;
            }
        }
    }
    below.reverse();
    let below = PyTuple::new(py, below)?;
    let prefix = external.getattr(intern!(py, "_path_join"))?.call1(below)?;
    let prefix = if prefix.is_empty()? { prefix } else { prefix.add("/")? };
    Ok((path, prefix))
}

/// The path that a constructor was given, as text.
fn text_of<'py>(path: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if path.is_instance_of::<PyString>() {
        return Ok(path.clone());
    }
    let py = path.py();
    if cfg!(not(Py_3_11)) {
        return py.import("os")?.call_method1("fsdecode", (path,));
    }
    let shown = path.get_type().repr()?;
    let message = format!("expected str, not {}", shown.to_string_lossy());
    Err(PyTypeError::new_err(message))
}

/// Whether `path` is a regular file; `None` where there is nothing.
fn is_regular_file(path: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    let py = path.py();
    if let Ok(text) = path.extract::<&str>() {
        return Ok(Path::new(text).metadata().ok().map(|metadata| metadata.is_file()));
    }
    // Not UTF-8: Python knows how to turn it into a path.
    match Importlib::get(py)?.bootstrap_external(py).call_method1("_path_stat", (path,)) {
        Ok(status) => {
            let mode: u32 = status.getattr("st_mode")?.extract()?;
            Ok(Some(mode & libc::S_IFMT == libc::S_IFREG))
        }
        Err(_) => Ok(None),
    }
}
