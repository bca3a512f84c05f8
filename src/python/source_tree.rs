//! `SourceTreeLoader`: directories of sources, whose code objects are kept by content.
//!
//! CPython's `FileFinder` finds the modules, and all but `get_code` is `SourceFileLoader`'s. No `.pyc`
//! file is read or written, and no time stamp looked at: every source is read and hashed.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use pyo3::exceptions::PyImportError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyAny, PyBytes, PyDict, PyList, PyString, PyTuple, PyType};

use super::Hooks;
use super::bytecode_cache::SourceCode;
use super::hooks::install_hooks;
use super::importlib::Importlib;
use super::installation::forget_importers_at;

/// The methods of `SourceTreeLoader`.
#[pyclass(frozen, subclass, module = "mmport")]
#[derive(Debug, Default)]
pub struct SourceTreeLoaderBase {}

#[pymethods]
impl SourceTreeLoaderBase {
    #[new]
    #[pyo3(signature = (*_arguments, **_named))]
    fn new(_arguments: &Bound<'_, PyTuple>, _named: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    fn get_code<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let importlib = Importlib::get(py)?;
        if !slf.get_type().is(source_tree_loader_type(py)?) {
            // It may compile in a way of its own.
            let loader =
                importlib.bootstrap_external(py).getattr(intern!(py, "SourceFileLoader"))?;
            return loader.call_method1(intern!(py, "get_code"), (slf, fullname));
        }
        let path = slf.call_method1(intern!(py, "get_filename"), (fullname,))?;
        let source = slf.call_method1(intern!(py, "get_data"), (&path,))?;
        let module = fullname.to_string_lossy();
        let source = source.cast::<PyBytes>()?.as_bytes();
        SourceCode { module: &module, source, path: &path }.code(py)
    }
}

/// `mmport.SourceTreeLoader`.
///
/// # Errors
/// What Python raises, should `importlib` be damaged.
pub fn source_tree_loader_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let make = || -> PyResult<Py<PyType>> {
        let loader =
            Importlib::get(py)?.bootstrap_external(py).getattr(intern!(py, "SourceFileLoader"))?;
        let attributes = PyDict::new(py);
        attributes.set_item("__module__", "mmport")?;
        attributes.set_item(
            "__doc__",
            "SourceTreeLoader(fullname, path)\n--\n\nLoads a source file as \
             importlib.machinery.SourceFileLoader does, with its code object from mmport's cache.",
        )?;
        let bases = (py.get_type::<SourceTreeLoaderBase>(), loader);
        let made = py.get_type::<PyType>().call1(("SourceTreeLoader", bases, attributes))?;
        Ok(made.cast_into()?.unbind())
    };
    Ok(TYPE.get_or_try_init(py, make)?.bind(py))
}

/// Directories whose sources are served, with all below them.
static TREES: RwLock<Vec<PathBuf>> = RwLock::new(Vec::new());

/// Serves the sources below `directory`, and appends it to `sys.path` unless it is there. Returns what
/// was put in place.
pub(super) fn install_source_tree(
    py: Python<'_>,
    directory: &Path,
) -> PyResult<(Option<Hooks>, Option<String>)> {
    let directory = std::path::absolute(directory)?;
    let Some(entry) = directory.to_str().map(str::to_owned) else {
        return Err(PyImportError::new_err("expected a directory with a path in UTF-8"));
    };
    {
        let mut trees = TREES.write().unwrap_or_else(PoisonError::into_inner);
        if !trees.contains(&directory) {
            trees.push(directory.clone());
        }
    }
    let hooks = install_hooks(py)?;
    forget_importers_at(py, &directory)?;
    let path = Importlib::get(py)?.sys(py, intern!(py, "path"))?;
    if path.contains(&entry)? {
        return Ok((hooks, None));
    }
    path.call_method1(intern!(py, "append"), (&entry,))?;
    Ok((hooks, Some(entry)))
}

/// Serves no sources any more.
pub(super) fn uninstall_source_trees(py: Python<'_>) -> PyResult<()> {
    let trees = std::mem::take(&mut *TREES.write().unwrap_or_else(PoisonError::into_inner));
    trees.iter().try_for_each(|directory| forget_importers_at(py, directory))
}

/// Whether `path` is a directory of sources that are served, or below one.
pub(super) fn is_in_source_tree(path: &str) -> bool {
    let trees = TREES.read().unwrap_or_else(PoisonError::into_inner);
    trees.iter().any(|tree| Path::new(path).starts_with(tree))
}

/// The finder of a directory of sources: CPython's, with our loader in the place of its.
pub(super) fn source_tree_finder<'py>(path: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    static HOOK: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = path.py();
    let make = || -> PyResult<Py<PyAny>> {
        let external = Importlib::get(py)?.bootstrap_external(py);
        let theirs = external.getattr(intern!(py, "SourceFileLoader"))?;
        let ours = source_tree_loader_type(py)?;
        let loaders = external.call_method0(intern!(py, "_get_supported_file_loaders"))?;
        let details = PyList::empty(py);
        for pair in loaders.try_iter()? {
            let (loader, suffixes): (Bound<'_, PyAny>, Bound<'_, PyAny>) = pair?.extract()?;
            let loader = if loader.is(&theirs) { ours.as_any() } else { &loader };
            details.append((loader, suffixes))?;
        }
        let finder = external.getattr(intern!(py, "FileFinder"))?;
        Ok(finder.getattr(intern!(py, "path_hook"))?.call1(details.to_tuple())?.unbind())
    };
    HOOK.get_or_try_init(py, make)?.bind(py).call1((path,))
}
