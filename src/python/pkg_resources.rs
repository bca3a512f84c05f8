//! `pkg_resources`: the one reader of resources that has to be told about a new kind of loader.
//!
//! It picks what reads a package's resources by the type of the package's loader, from a table that
//! other loaders add themselves to; see `register_loader_type` in its documentation.

use std::ffi::CStr;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::BundleImporter;
use super::mount::MountedBundle;
use super::traversable::BundlePath;

/// The module that has the table.
pub(super) const PKG_RESOURCES: &str = "pkg_resources";

const PROVIDER: &CStr = pyo3::ffi::c_str!(include_str!("pkg_resources.py"));

/// Adds our loader to the table of the module, which was just executed. One that has no such table
/// goes without.
pub(super) fn register_loader(module: &Bound<'_, PyAny>) {
    if let Err(error) = run_provider(module) {
        tracing::debug!(target: "mmport::exec_module", %error, "pkg_resources is left as it is");
    }
}

fn run_provider(module: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = module.py();
    let namespace = PyDict::new(py);
    namespace.set_item(PKG_RESOURCES, module)?;
    namespace.set_item("BundleImporter", py.get_type::<BundleImporter>())?;
    namespace.set_item("bundle_path", wrap_pyfunction!(bundle_path, py)?)?;
    // What defines a class asks for the name of its module.
    namespace.set_item("__name__", "mmport")?;
    py.run(PROVIDER, Some(&namespace), None)
}

/// The place in a mounted bundle that `path` leads to, or the path itself.
#[pyfunction]
fn bundle_path<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyAny>> {
    match MountedBundle::of_path(path) {
        Some((mounted, place)) => Ok(Bound::new(py, BundlePath::new(mounted, &place))?.into_any()),
        None => py.import("pathlib")?.call_method1("Path", (path,)),
    }
}
