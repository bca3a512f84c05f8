//! Putting finder and path hook in place.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::bundle::Suffixes;

use super::path_hook::insert_hook;
use super::standard_library::teach_imported;
use super::{BundleFinder, BundleImporter, MountedBundle};

/// The objects that [`install_hooks`] has put in place.
#[derive(Debug)]
pub struct Hooks {
    /// In `sys.meta_path`.
    pub(super) finder: Py<PyAny>,
    /// In `sys.path_hooks`.
    pub(super) path_hook: Py<PyAny>,
}

/// What [`install_mounted`] has put in place, without what was there already.
#[derive(Debug, Default)]
pub struct Added {
    pub(super) hooks: Option<Hooks>,
    /// Entries of `sys.path`.
    pub(super) entries: Vec<String>,
}

/// Puts the path hook first in `sys.path_hooks`, and the finder before `PathFinder` in
/// `sys.meta_path`, unless they are there.
///
/// # Errors
/// What Python raises, should `sys` be damaged.
pub fn install_hooks(py: Python<'_>) -> PyResult<Option<Hooks>> {
    let sys = py.import(intern!(py, "sys"))?;
    let meta_path = sys.getattr(intern!(py, "meta_path"))?;
    let meta_path = meta_path.cast::<PyList>()?;
    if meta_path.iter().any(|finder| finder.is_instance_of::<BundleFinder>()) {
        return Ok(None);
    }
    let path_finder = py.import("_frozen_importlib_external")?.getattr("PathFinder")?;
    let position = meta_path.index(path_finder).unwrap_or(meta_path.len());
    let finder = py.get_type::<BundleFinder>().call0()?;
    meta_path.insert(position, &finder)?;
    // Before zipimport's and FileFinder's hooks, which would take the same paths.
    let hooks = sys.getattr(intern!(py, "path_hooks"))?;
    let hook = insert_hook(hooks.cast::<PyList>()?)?;
    teach_imported(py)?;
    Ok(Some(Hooks { finder: finder.unbind(), path_hook: hook }))
}

/// Installs the hooks and appends a mounted bundle to `sys.path`.
///
/// # Errors
/// What Python raises, should `sys` be damaged.
pub fn install_mounted(py: Python<'_>, mounted: &Arc<MountedBundle>) -> PyResult<Added> {
    let mut added = Added { hooks: install_hooks(py)?, entries: Vec::new() };
    forget_other_importers(py, mounted)?;
    let path = py.import(intern!(py, "sys"))?.getattr(intern!(py, "path"))?;
    // With a slash: see `metadata.rs`.
    let entry = format!("{}/", mounted.archive());
    if !path.contains(&entry)? && !path.contains(mounted.archive())? {
        added.entries.push(entry);
        // Materialized packages are below a directory of the path too, for programs that turn a
        // module's file back into its name. It is the bundle by another spelling.
        added.entries.extend(mounted.tree().map(str::to_owned));
        for entry in &added.entries {
            path.call_method1(intern!(py, "append"), (entry,))?;
        }
    }
    Ok(added)
}

/// Serves bundles from the files that have replaced theirs: from now on they are found anew, and so
/// is the directory of their packages on `sys.path`. What is loaded stays as it is.
pub(super) fn remount_replaced(py: Python<'_>) -> PyResult<()> {
    let all = MountedBundle::all();
    let remounted = py.detach(|| MountedBundle::open_replaced(&all));
    if remounted.is_empty() {
        return Ok(());
    }
    let sys = py.import(intern!(py, "sys"))?;
    let cache = sys.getattr(intern!(py, "path_importer_cache"))?;
    let path = sys.getattr(intern!(py, "path"))?;
    for (former, mounted) in remounted {
        mounted.take_over();
        if let Ok(cache) = cache.cast::<PyDict>() {
            for (entry, finder) in cache.copy()?.iter() {
                let importer = finder.cast::<BundleImporter>();
                if importer.is_ok_and(|importer| Arc::ptr_eq(&importer.get().mounted(), &former)) {
                    cache.del_item(entry)?;
                }
            }
        }
        let Ok(path) = path.cast::<PyList>() else { continue };
        let Some(tree) = mounted.tree() else { continue };
        let former_tree = former.tree();
        match former_tree.and_then(|former| path.index(former).ok()) {
            Some(position) => path.set_item(position, tree)?,
            None => {
                if let Ok(position) = path.index(format!("{}/", mounted.archive())) {
                    path.insert(position + 1, tree)?;
                }
            }
        }
    }
    Ok(())
}

/// Takes the finders of others for places in the bundle, such as the `zipimporter` by which plain
/// `python BUNDLE` has started, out of `sys.path_importer_cache`.
fn forget_other_importers(py: Python<'_>, mounted: &MountedBundle) -> PyResult<()> {
    let cache = py.import(intern!(py, "sys"))?.getattr(intern!(py, "path_importer_cache"))?;
    let Ok(cache) = cache.cast::<PyDict>() else { return Ok(()) };
    for path in cache.keys() {
        let in_bundle = path.extract::<&str>().is_ok_and(|path| mounted.place(path).is_some());
        if in_bundle
            && cache
                .get_item(&path)?
                .is_some_and(|finder| !finder.is_instance_of::<BundleImporter>())
        {
            cache.del_item(path)?;
        }
    }
    Ok(())
}

/// The suffixes of the Python that is running.
///
/// # Errors
/// What Python raises, should `sys` be damaged.
pub fn running_suffixes(py: Python<'_>) -> PyResult<Suffixes> {
    let extension: Vec<String> =
        py.import("_imp")?.call_method0("extension_suffixes")?.extract()?;
    let sys = py.import("sys")?;
    let tag: Option<String> = sys.getattr("implementation")?.getattr("cache_tag")?.extract()?;
    let optimization: u8 = sys.getattr("flags")?.getattr("optimize")?.extract()?;
    Ok(Suffixes::new(extension, &tag.unwrap_or_default(), optimization))
}
