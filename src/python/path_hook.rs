//! The path hook: makes a mounted bundle, a directory in it, or a materialized directory a normal
//! entry of `sys.path` and of a package's `__path__`.

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

use super::{BundleImporter, MountedBundle};

/// The importer for a place in a mounted bundle, or `None` for any other path.
///
/// A materialized file is none: CPython asks the hooks for the script that it is to run, and takes
/// what has an importer for a directory with a `__main__.py`.
pub(super) fn importer_for_path(path: &str) -> Option<BundleImporter> {
    let (mounted, place) = MountedBundle::of_path(path)?;
    // As FileFinder does, the path is kept as given but for a slash at its end.
    let location = path.trim_end_matches('/');
    if location == mounted.archive() && location != path {
        return Some(BundleImporter::of_site_packages(mounted));
    }
    let is_directory = place.is_empty() || mounted.bundle().is_directory(&place);
    let importer = BundleImporter::new(mounted, &place, location);
    (is_directory || importer.is_in_bundle(location)).then_some(importer)
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
