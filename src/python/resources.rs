//! Resource readers: `importlib.resources` over what a package holds.

use pyo3::exceptions::PyFileNotFoundError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use super::BundleImporter;
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
