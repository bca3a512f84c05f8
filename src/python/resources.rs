//! Resource readers: `importlib.resources` over what a package holds.

use pyo3::exceptions::{PyFileNotFoundError, PyOSError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::bundle::join_place;

use super::BundleImporter;
use super::errors::{ImportFailure, full_message};
use super::mount::MountedBundle;
use super::traversable::BundlePath;

/// The resource reader of a package that stays in the bundle, or of a module in it.
#[pyclass(frozen, module = "mmport")]
#[derive(Debug)]
pub struct BundleResourceReader {
    package: Py<BundlePath>,
}

#[pymethods]
impl BundleResourceReader {
    fn files(&self, py: Python<'_>) -> Py<BundlePath> {
        self.package.clone_ref(py)
    }

    fn open_resource<'py>(&self, py: Python<'py>, resource: &str) -> PyResult<Bound<'py, PyAny>> {
        let path = self.package.bind(py).call_method1("joinpath", (resource,))?;
        path.call_method("open", ("rb",), None)
    }

    /// There is no real file, so that `importlib.resources` makes one where it is asked for.
    fn resource_path(&self, resource: &Bound<'_, PyAny>) -> PyResult<()> {
        Err(PyFileNotFoundError::new_err(resource.clone().unbind()))
    }

    fn is_resource(&self, py: Python<'_>, path: &str) -> PyResult<bool> {
        let path = self.package.bind(py).call_method1("joinpath", (path,))?;
        path.call_method0("is_file")?.extract()
    }

    fn contents<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let mut names = Vec::new();
        for child in self.package.bind(py).call_method0("iterdir")?.try_iter()? {
            names.push(child?.getattr("name")?);
        }
        PyTuple::new(py, names)
    }
}

/// What the file at `path`, relative to the bundle or not, holds: `get_data` of loaders.
pub(super) fn read_data<'py>(
    py: Python<'py>,
    mounted: &MountedBundle,
    path: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    let missing = || {
        PyFileNotFoundError::new_err((libc::ENOENT, "No such file or directory", path.to_owned()))
    };
    let place = match mounted.place(path) {
        Some(place) => place,
        None if path.starts_with('/') => return Err(missing()),
        None => path,
    };
    let name = join_place("", place).ok_or_else(missing)?;
    match mounted.bundle().entry(&name) {
        Ok(Some(entry)) if !entry.is_directory() => {
            let data = entry.read().map_err(|error| PyOSError::new_err(full_message(&error)))?;
            Ok(PyBytes::new(py, &data))
        }
        Ok(_) => Err(missing()),
        Err(error) => Err(ImportFailure::from(error).into()),
    }
}

/// The resource reader of the directory at `place` in the bundle, for a module at `path` in it.
///
/// A materialized package has real files, which `importlib.readers.FileReader` reads.
pub(super) fn resource_reader<'py>(
    importer: &Bound<'py, BundleImporter>,
    place: &str,
    path: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = importer.py();
    let importer = importer.get();
    if importer.is_in_bundle(path) {
        let package = Py::new(py, BundlePath::new(importer.mounted(), place))?;
        return Ok(Bound::new(py, BundleResourceReader { package })?.into_any());
    }
    let attributes = PyDict::new(py);
    attributes.set_item("path", path)?;
    let loader = py.import("types")?.call_method("SimpleNamespace", (), Some(&attributes))?;
    py.import("importlib.readers")?.call_method1("FileReader", (loader,))
}
