//! The path hook: makes a mounted bundle, a directory in it, or a materialized directory a normal
//! entry of `sys.path` and of a package's `__path__`.

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use super::{BundleImporter, MountedBundle};

/// The importer for a place in a mounted bundle, or `None` for any other path.
pub(super) fn importer_for_path(path: &str) -> Option<BundleImporter> {
    let (mounted, place) = MountedBundle::of_path(path)?;
    // As FileFinder does, the path is kept as given but for a slash at its end.
    let location = path.trim_end_matches('/');
    Some(BundleImporter::new(mounted, &place, location))
}

/// For `sys.path_hooks`: the importer of a path in a mounted bundle.
///
/// Raises `ImportError` for everything else, so that the next hook is asked.
#[pyfunction]
pub(super) fn path_hook(path: &Bound<'_, PyAny>) -> PyResult<BundleImporter> {
    let text: Option<&str> = path.extract().ok();
    text.and_then(importer_for_path)
        .ok_or_else(|| PyImportError::new_err("only paths in mounted bundles are supported"))
}
