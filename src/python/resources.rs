//! Resource readers: `importlib.resources` over what a package holds.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::BundleImporter;

/// The resource reader of the package `fullname`, whose `__init__` is at `path`.
///
/// A materialized package has real files, which `importlib.readers.FileReader` reads; the others
/// hold Python files only, which `importlib.readers.ZipReader` finds in the bundle.
pub(super) fn resource_reader<'py>(
    importer: &Bound<'py, BundleImporter>,
    fullname: &str,
    path: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let py = importer.py();
    let readers = py.import("importlib.readers")?;
    if importer.get().is_in_bundle(path) {
        return readers.call_method1("ZipReader", (importer, fullname));
    }
    let attributes = PyDict::new(py);
    attributes.set_item("path", path)?;
    let loader = py.import("types")?.call_method("SimpleNamespace", (), Some(&attributes))?;
    readers.call_method1("FileReader", (loader,))
}
