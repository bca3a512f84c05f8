//! The path hook: makes a mounted bundle, a directory in it, or a materialized directory a normal
//! entry of `sys.path` and of a package's `__path__`.
//!
//! For what is in a bundle it comes first. For a materialized directory, which is a directory like any
//! other, it has the place of `FileFinder`'s hook: one that a program puts before that comes first.

use pyo3::exceptions::PyImportError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyCFunction, PyList, PyString};

use super::importlib::Importlib;
use super::source_tree::{is_in_source_tree, source_tree_finder};
use super::{BundleImporter, MountedBundle};

/// What was in `sys.path_hooks` before our hook; `FileFinder`'s is the last.
static OTHERS: PyOnceLock<Vec<Py<PyAny>>> = PyOnceLock::new();

static OURS: PyOnceLock<Py<PyCFunction>> = PyOnceLock::new();

/// Puts our hook before zipimport's and `FileFinder`'s, which would take the same paths.
pub(super) fn insert_hook(hooks: &Bound<'_, PyList>) -> PyResult<Py<PyAny>> {
    let py = hooks.py();
    OTHERS.get_or_init(py, || hooks.iter().map(Bound::unbind).collect());
    let ours = OURS.get_or_try_init(py, || wrap_pyfunction!(path_hook, py).map(Bound::unbind))?;
    hooks.insert(0, ours)?;
    Ok(ours.clone_ref(py).into_any())
}

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

/// The importer for a path, or `None` where the path is none of a mounted bundle, or another hook
/// comes first.
pub(super) fn serving_importer(path: &Bound<'_, PyString>) -> PyResult<Option<BundleImporter>> {
    let Ok(text) = path.to_str() else { return Ok(None) };
    let Some(importer) = importer_for_path(text) else { return Ok(None) };
    Ok(if is_taken_before(path, importer.is_in_tree())? { None } else { Some(importer) })
}

/// For `sys.path_hooks`: the importer of a path in a mounted bundle, or the finder of a directory of
/// sources.
///
/// Raises `ImportError` for everything else, so that the next hook is asked.
#[pyfunction]
fn path_hook<'py>(path: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    if let Ok(path) = path.cast::<PyString>() {
        if let Some(importer) = serving_importer(path)? {
            return Ok(Bound::new(path.py(), importer)?.into_any());
        }
        let is_source_tree = path.to_str().is_ok_and(is_in_source_tree);
        if is_source_tree && !is_taken_before(path, true)? {
            return source_tree_finder(path);
        }
    }
    Err(PyImportError::new_err("only paths in mounted bundles and source trees are supported"))
}

/// Whether a hook that a program has put before ours, or for a directory before `FileFinder`'s, takes
/// `path`.
fn is_taken_before(path: &Bound<'_, PyString>, is_directory: bool) -> PyResult<bool> {
    let py = path.py();
    let hooks = Importlib::get(py)?.sys(py, intern!(py, "path_hooks"))?;
    let Ok(hooks) = hooks.cast_into::<PyList>() else { return Ok(false) };
    let (others, ours) = (OTHERS.get(py).map_or(&[][..], Vec::as_slice), OURS.get(py));
    for hook in hooks {
        if ours.is_some_and(|ours| hook.is(ours)) {
            if is_directory { continue } else { return Ok(false) }
        }
        if let Some(number) = others.iter().position(|other| hook.is(other)) {
            if number + 1 == others.len() { return Ok(false) } else { continue }
        }
        match hook.call1((path,)) {
            Ok(_) => return Ok(true),
            Err(error) if error.is_instance_of::<PyImportError>(py) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
