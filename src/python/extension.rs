//! Creating extension modules.
//!
//! The core opens the library, so that what the loader has to say can be explained; then
//! `_imp.create_dynamic`, which finds it open, initializes the module as for any other.

use std::path::Path;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors::{failed_import, failed_opening};
use super::importlib::Importlib;
use super::mount::MountedBundle;

/// Creates the module of `spec`, the extension module whose entry is at `ordinal`.
pub(super) fn create_extension<'py>(
    mounted: &MountedBundle,
    spec: &Bound<'py, PyAny>,
    name: &str,
    ordinal: u32,
) -> PyResult<Bound<'py, PyAny>> {
    let py = spec.py();
    let importlib = Importlib::get(py)?;
    let origin: String = spec.getattr(intern!(py, "origin"))?.extract()?;
    let entry = mounted
        .bundle()
        .entry_at(ordinal)
        .map_err(|error| failed_import(py, error, name, &origin))?;
    let flags = importlib.sys(py, intern!(py, "getdlopenflags"))?.call0()?.extract()?;
    let is_in_bundle =
        origin.strip_prefix(mounted.archive()).is_some_and(|rest| rest.starts_with('/'));
    let file = (!is_in_bundle).then(|| Path::new(&origin));
    // The interpreter's lock is kept, as CPython keeps it: initializers of libraries may use Python.
    // The last part of the name, as `Python/dynload_shlib.c` has it.
    let short_name = name.rsplit_once('.').map_or(name, |(_, tail)| tail);
    let opened = mounted
        .open_library(&entry, file, flags)
        .map_err(|error| failed_opening(py, &error, short_name, &origin))?;
    if file == Some(&*opened) {
        return importlib.create_dynamic(spec);
    }
    // CPython opens what the spec's origin names; the program goes on to see the true one.
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "origin"), opened.as_os_str())?;
    let loader = spec.getattr(intern!(py, "loader"))?;
    let stand_in = importlib.module_spec.bind(py).call((name, loader), Some(&arguments))?;
    let locations = intern!(py, "submodule_search_locations");
    stand_in.setattr(locations, spec.getattr(locations)?)?;
    let module = importlib.create_dynamic(&stand_in)?;
    if module.getattr(intern!(py, "__file__")).is_ok() {
        module.setattr(intern!(py, "__file__"), origin)?;
    }
    Ok(module)
}
