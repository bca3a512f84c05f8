//! `mmport.install` and `mmport.uninstall`, and what is to be undone by the second.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};

use super::errors::ImportFailure;
use super::hooks::{Hooks, install_mounted, running_suffixes};
use super::source_tree::{install_source_tree, uninstall_source_trees};
use super::zip_importer::zip_importer_type;
use super::{BundleImporter, MountedBundle};

/// What `install` has put into `sys`, and nobody has taken out yet.
#[derive(Debug)]
struct Installed {
    /// Finder and path hook of bundles.
    hooks: Option<Hooks>,
    /// Entries of `sys.path`.
    entries: Vec<String>,
    /// The class in whose place in `sys.path_hooks` `ZipImporter` is.
    zipimporter: Option<Py<PyAny>>,
}

static INSTALLED: Mutex<Installed> =
    Mutex::new(Installed { hooks: None, entries: Vec::new(), zipimporter: None });

// The documentation of functions for Python is shown by `help`.
/// Put a bundle, or a directory of sources, on sys.path and serve its modules.
///
/// Without either, serve every zip on sys.path as zipimport would.
/// Raise ImportError if the file is no bundle.
#[pyfunction]
#[pyo3(signature = (bundle=None))]
pub fn install(py: Python<'_>, bundle: Option<PathBuf>) -> PyResult<()> {
    let Some(bundle) = bundle else { return replace_zipimporter(py) };
    if bundle.is_dir() {
        let (hooks, entry) = install_source_tree(py, &bundle)?;
        note(hooks, entry);
        return Ok(());
    }
    let suffixes = running_suffixes(py)?;
    let mounted = MountedBundle::mount(&bundle, suffixes).map_err(ImportFailure::from)?;
    let added = install_mounted(py, &mounted)?;
    note(added.hooks, added.entries);
    Ok(())
}

/// Notes what is to be taken out again.
fn note(hooks: Option<Hooks>, entries: impl IntoIterator<Item = String>) {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if hooks.is_some() {
        // Those of before, if any, were taken out by somebody else.
        installed.hooks = hooks;
    }
    installed.entries.extend(entries);
}

/// Take out of sys what install() has put in.
///
/// Modules that were imported stay as they are.
#[pyfunction]
pub fn uninstall(py: Python<'_>) -> PyResult<()> {
    let Installed { hooks, entries, zipimporter } = {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        Installed {
            hooks: installed.hooks.take(),
            entries: std::mem::take(&mut installed.entries),
            zipimporter: installed.zipimporter.take(),
        }
    };
    uninstall_source_trees(py)?;
    let sys = py.import(intern!(py, "sys"))?;
    let path_hooks = sys.getattr(intern!(py, "path_hooks"))?;
    if let Some(hooks) = hooks {
        remove(&sys.getattr(intern!(py, "meta_path"))?, hooks.finder.bind(py))?;
        remove(&path_hooks, hooks.path_hook.bind(py))?;
        forget_importers(py, &py.get_type::<BundleImporter>())?;
    }
    if let Some(zipimporter) = zipimporter {
        let ours = zip_importer_type(py)?;
        if let Some(at) = position(&path_hooks, ours)? {
            path_hooks.set_item(at, zipimporter)?;
        }
        forget_importers(py, ours)?;
    }
    let path = sys.getattr(intern!(py, "path"))?;
    for entry in entries {
        // The one that was appended is the last.
        let entries = path.cast::<PyList>()?;
        if let Some(at) = (0..entries.len()).rev().find(|at| {
            entries.get_item(*at).is_ok_and(|found| found.eq(&entry).unwrap_or_default())
        }) {
            entries.del_item(at)?;
        }
    }
    Ok(())
}

/// Puts `ZipImporter` where `zipimporter` is in `sys.path_hooks`.
fn replace_zipimporter(py: Python<'_>) -> PyResult<()> {
    let hooks = py.import(intern!(py, "sys"))?.getattr(intern!(py, "path_hooks"))?;
    let ours = zip_importer_type(py)?;
    // Its own, whatever a program has put into `zipimport` since.
    let theirs = ours.bases().get_item(1)?;
    let Some(at) = position(&hooks, &theirs)? else { return Ok(()) };
    hooks.set_item(at, ours)?;
    forget_importers(py, theirs.cast()?)?;
    let theirs = Some(theirs.unbind());
    INSTALLED.lock().unwrap_or_else(PoisonError::into_inner).zipimporter = theirs;
    Ok(())
}

/// Where `wanted` itself is in a list of `sys`.
fn position(list: &Bound<'_, PyAny>, wanted: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    Ok(list.cast::<PyList>()?.iter().position(|found| found.is(wanted)))
}

/// Removes `wanted` itself from a list of `sys`, if it is there.
fn remove(list: &Bound<'_, PyAny>, wanted: &Bound<'_, PyAny>) -> PyResult<()> {
    match position(list, wanted)? {
        Some(at) => list.del_item(at),
        None => Ok(()),
    }
}

/// Takes the finders of `directory`, and of what is below it, out of `sys.path_importer_cache`.
pub(super) fn forget_importers_at(py: Python<'_>, directory: &Path) -> PyResult<()> {
    let cache = py.import(intern!(py, "sys"))?.getattr(intern!(py, "path_importer_cache"))?;
    let Ok(cache) = cache.cast::<PyDict>() else { return Ok(()) };
    for path in cache.keys() {
        if path.extract::<&str>().is_ok_and(|path| Path::new(path).starts_with(directory)) {
            cache.del_item(path)?;
        }
    }
    Ok(())
}

/// Takes the finders of exactly this type out of `sys.path_importer_cache`, so that the hooks are
/// asked again.
fn forget_importers(py: Python<'_>, kind: &Bound<'_, PyType>) -> PyResult<()> {
    let cache = py.import(intern!(py, "sys"))?.getattr(intern!(py, "path_importer_cache"))?;
    let Ok(cache) = cache.cast::<PyDict>() else { return Ok(()) };
    for path in cache.keys() {
        if cache.get_item(&path)?.is_some_and(|finder| finder.get_type().is(kind)) {
            cache.del_item(path)?;
        }
    }
    Ok(())
}
