//! `BundleFinder`: the meta-path finder.
//!
//! It answers as CPython's `PathFinder` would, faster, and only for modules that a bundle serves:
//! it goes through the path in order, asks finders of other places that stand before the bundle,
//! and returns `None` for everything that it does not have. What it leaves to `PathFinder` comes
//! out the same, only later: namespace packages, whose portions may lie in several places, and
//! modules that another place on the path has first. So where a bundle stands in `sys.path`
//! decides what shadows what.

use std::time::Instant;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::bundle::Found;

use super::BundleImporter;
use super::hooks::remount_replaced;
use super::importlib::Importlib;
use super::metadata::find_distributions;
use super::path_hook::serving_importer;
use super::standard_library::{
    find_remembered, find_taught, invalidate_directories, without_absent,
};

/// The meta-path finder of mounted bundles.
#[pyclass(frozen, module = "mmport")]
#[derive(Debug)]
pub struct BundleFinder {}

#[pymethods]
impl BundleFinder {
    #[new]
    fn new() -> Self {
        Self {}
    }

    #[pyo3(signature = (fullname, path=None, target=None))]
    fn find_spec<'py>(
        &self,
        fullname: &Bound<'py, PyString>,
        path: Option<&Bound<'py, PyAny>>,
        target: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if !tracing::enabled!(target: "mmport::find_spec", tracing::Level::DEBUG) {
            return find(fullname, path, target);
        }
        let start = Instant::now();
        let outcome = find(fullname, path, target);
        let microseconds = start.elapsed().as_micros() as u64;
        let module = fullname.to_string_lossy();
        match &outcome {
            Ok(Some(spec)) => {
                let origin = spec
                    .getattr("origin")
                    .and_then(|origin| origin.extract::<String>())
                    .unwrap_or_default();
                tracing::debug!(
                    target: "mmport::find_spec", %module, origin, microseconds, "found"
                );
            }
            Ok(None) => {
                tracing::debug!(target: "mmport::find_spec", %module, microseconds, "not in a bundle");
            }
            Err(error) => {
                tracing::debug!(target: "mmport::find_spec", %module, microseconds, %error, "raised");
            }
        }
        outcome
    }

    /// Looks for bundles whose files were replaced, and into directories.
    fn invalidate_caches(&self, py: Python<'_>) -> PyResult<()> {
        invalidate_directories(py);
        remount_replaced(py)
    }

    #[pyo3(signature = (context=None))]
    fn find_distributions<'py>(
        &self,
        py: Python<'py>,
        context: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        find_distributions(py, context)
    }

    fn __repr__(&self) -> &'static str {
        "<mmport.BundleFinder>"
    }
}

/// A place on the path before the bundle, by its finder.
type Elsewhere<'py> = Bound<'py, PyAny>;

fn find<'py>(
    fullname: &Bound<'py, PyString>,
    path: Option<&Bound<'py, PyAny>>,
    target: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = fullname.py();
    // A name that is no text (lone surrogates) is no entry's.
    let Ok(name) = fullname.to_str() else { return Ok(None) };
    let importlib = Importlib::get(py)?;
    let sys_path;
    let places = match path {
        Some(path) => path,
        None => {
            sys_path = importlib.sys(py, intern!(py, "path"))?;
            &sys_path
        }
    };
    let cache = importlib.sys(py, intern!(py, "path_importer_cache"))?;
    let Ok(cache) = cache.cast::<PyDict>() else { return Ok(None) };

    let mut before: Vec<Elsewhere> = Vec::new();
    let mut found = None;
    for entry in places.try_iter()? {
        let entry = entry?;
        let Ok(text) = entry.cast::<PyString>() else { continue };
        let Some(finder) = finder_of(text, cache)? else { continue };
        let Ok(importer) = finder.cast::<BundleImporter>() else {
            before.push(finder);
            continue;
        };
        if importer.get().hides(name, target) {
            continue;
        }
        match importer.get().find(name) {
            Some(Found::NamespacePortion) => return Ok(None),
            Some(module) => {
                found = Some((importer.clone(), module));
                break;
            }
            None => {}
        }
    }
    let tail = name.rsplit_once('.').map_or(name, |(_, tail)| tail);
    let Some((importer, module)) = found else {
        return match find_remembered(fullname, tail, &before)? {
            Some(spec) => Ok(Some(spec)),
            None => find_taught(py, name, path, target),
        };
    };
    before.retain(|other| !other.is_none());
    without_absent(py, &mut before, tail);
    for other in before {
        let Ok(find_spec) = other.getattr(intern!(py, "find_spec")) else {
            return Ok(None); // A finder from before Python 3.4; PathFinder knows how to ask it.
        };
        let spec = find_spec.call1((fullname, target))?;
        if !spec.is_none() && !spec.getattr(intern!(py, "loader"))?.is_none() {
            return Ok(Some(spec)); // The one that PathFinder would return.
        }
    }
    BundleImporter::spec(&importer, name, module).map(Some)
}

/// The finder of a path: what `sys.path_importer_cache` has, our own for a place in a mounted
/// bundle, or what `sys.path_hooks` say. `None` only where the working directory is gone.
fn finder_of<'py>(
    path: &Bound<'py, PyString>,
    cache: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Some(finder) = cache.get_item(path)? {
        return Ok(Some(finder));
    }
    if path.to_str().is_err() {
        return Ok(None);
    }
    match serving_importer(path)? {
        Some(importer) => {
            let importer = Bound::new(path.py(), importer)?.into_any();
            cache.set_item(path, &importer)?;
            Ok(Some(importer))
        }
        None => path_hooks_finder(path, cache),
    }
}

/// Looks a path up as `PathFinder._path_importer_cache` does.
fn path_hooks_finder<'py>(
    path: &Bound<'py, PyString>,
    cache: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = path.py();
    let path = if path.len()? == 0 {
        match std::env::current_dir() {
            Ok(directory) => PyString::new(py, &directory.to_string_lossy()),
            Err(_) => return Ok(None),
        }
    } else {
        path.clone()
    };
    if let Some(finder) = cache.get_item(&path)? {
        return Ok(Some(finder));
    }
    let hooks = Importlib::get(py)?.sys(py, intern!(py, "path_hooks"))?;
    let mut finder = py.None().into_bound(py);
    if let Ok(hooks) = hooks.cast::<PyList>() {
        for hook in hooks {
            match hook.call1((&path,)) {
                Ok(answer) => {
                    finder = answer;
                    break;
                }
                Err(error) if error.is_instance_of::<pyo3::exceptions::PyImportError>(py) => {}
                Err(error) => return Err(error),
            }
        }
    }
    cache.set_item(&path, &finder)?;
    Ok(Some(finder))
}
