//! Resources of namespace packages whose portions are in a bundle.
//!
//! A namespace package has CPython's own loader, which has its resources read by
//! `importlib.readers.NamespaceReader`: before CPython 3.13 only from directories, then from zips too,
//! with `zipfile`, which lists bytecode and cannot read what is kept by zstd. So the reader is told
//! about bundles when its module is executed, and costs nothing where that never happens.

use std::ffi::CStr;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::mount::MountedBundle;
use super::traversable::BundlePath;

/// The backport's module of the readers, which reads namespace packages by itself.
pub(super) const BACKPORT_READERS: &str = "importlib_resources.readers";

const READERS_OF_BUNDLES: &CStr = pyo3::ffi::c_str!(include_str!("namespace_resources.py"));

/// The module that defines the readers.
pub(super) const READERS: &str =
    if cfg!(Py_3_11) { "importlib.resources.readers" } else { "importlib.readers" };

/// Makes the readers of a module, which was just executed, read bundles. One that has no such readers
/// goes without.
pub(super) fn read_namespaces(readers: &Bound<'_, PyAny>) {
    if let Err(error) = teach_readers(readers) {
        tracing::debug!(target: "mmport::exec_module", %error, "namespace readers are left as they are");
    }
}

fn teach_readers(readers: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = readers.py();
    let reader = readers.getattr(intern!(py, "NamespaceReader"))?;
    if reader.getattr(intern!(py, "resource_path"))?.hasattr(intern!(py, "__wrapped__"))? {
        return Ok(()); // CPython's method wraps no other, so it is ours already.
    }
    let namespace = PyDict::new(py);
    namespace.set_item("readers", readers)?;
    namespace.set_item("BundlePath", py.get_type::<BundlePath>())?;
    namespace.set_item("bundle_path", wrap_pyfunction!(bundle_path, py)?)?;
    // What defines a class or function asks for the name of its module.
    namespace.set_item("__name__", "mmport")?;
    py.run(READERS_OF_BUNDLES, Some(&namespace), None)
}

/// The place in a mounted bundle that the path of a portion leads to; `None` for any other path, such
/// as that of a materialized directory.
#[pyfunction]
fn bundle_path(path: &Bound<'_, PyAny>) -> Option<BundlePath> {
    let path = path.cast::<PyString>().ok()?.to_str().ok()?;
    let (mounted, place) = MountedBundle::of_path(path)?;
    path.starts_with(mounted.archive()).then(|| BundlePath::new(mounted, &place))
}
