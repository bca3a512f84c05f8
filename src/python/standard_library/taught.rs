//! Modules of the standard library that are told about bundles as soon as they are executed.
//!
//! They read files by path, or directories, where no loader is asked. None of them is imported for
//! that: nothing is spent unless a program imports it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyList, PyTuple};

use crate::python::BundleFinder;
use crate::python::import_time::{REGULAR_EXPRESSIONS, fill_cache};
use crate::python::importlib::Importlib;
use crate::python::namespace_resources::{READERS, read_namespaces};
use crate::python::source_lines::{LINECACHE, read_bundles};

/// Tells a module about bundles. One that is not as we know it is left as it is.
type Teach = fn(&Bound<'_, PyAny>);

/// What tells the module of this name about bundles.
fn teacher(name: &str) -> Option<Teach> {
    match name {
        LINECACHE => Some(read_bundles),
        READERS => Some(read_namespaces),
        REGULAR_EXPRESSIONS => Some(fill_cache),
        _ => None,
    }
}

/// Whether a module of this name is told about bundles.
pub(super) fn is_taught(name: &str) -> bool {
    teacher(name).is_some()
}

/// Tells a module that was just executed about bundles, if it is one of those.
pub(in crate::python) fn teach(name: &str, module: &Bound<'_, PyAny>) {
    if let Some(teach) = teacher(name) {
        teach(module);
    }
}

/// The spec that the finders after ours have for such a module, `None` for any other. Its loader executes
/// the module once through here, and is then as it was.
pub(in crate::python) fn find_taught<'py>(
    py: Python<'py>,
    name: &str,
    path: Option<&Bound<'py, PyAny>>,
    target: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(teach) = teacher(name) else { return Ok(None) };
    let Some(spec) = spec_of_next(py, name, path, target)? else { return Ok(None) };
    let loader = spec.getattr(intern!(py, "loader"))?;
    let owner = loader.clone().unbind();
    let execute = PyCFunction::new_closure(
        py,
        Some(c"exec_module"),
        None,
        move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| -> PyResult<()> {
            let py = arguments.py();
            let loader = owner.bind(py);
            loader.delattr(intern!(py, "exec_module"))?;
            loader.call_method1(intern!(py, "exec_module"), arguments)?;
            teach(&arguments.get_item(0)?);
            Ok(())
        },
    )?;
    if let Err(error) = loader.setattr(intern!(py, "exec_module"), execute) {
        tracing::debug!(target: "mmport::find_spec", name, %error, "left as it is");
    }
    Ok(Some(spec))
}

/// What the finders in `sys.meta_path` that come after ours find, asked as `import` asks them.
fn spec_of_next<'py>(
    py: Python<'py>,
    name: &str,
    path: Option<&Bound<'py, PyAny>>,
    target: Option<&Bound<'py, PyAny>>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let meta_path = Importlib::get(py)?.sys(py, intern!(py, "meta_path"))?;
    let Ok(meta_path) = meta_path.cast::<PyList>() else { return Ok(None) };
    let mut finders = meta_path.iter();
    if !finders.any(|finder| finder.is_exact_instance_of::<BundleFinder>()) {
        return Ok(None);
    }
    for finder in finders {
        // One from before Python 3.4: `import` knows how to ask it.
        let Ok(find_spec) = finder.getattr(intern!(py, "find_spec")) else { return Ok(None) };
        let spec = find_spec.call1((name, path, target))?;
        if !spec.is_none() {
            return Ok(Some(spec));
        }
    }
    Ok(None)
}

/// Tells those about bundles that were imported before us.
///
/// # Errors
/// What Python raises, should `sys` be damaged.
pub(in crate::python) fn teach_imported(py: Python<'_>) -> PyResult<()> {
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    for name in [LINECACHE, READERS] {
        if let Ok(module) = modules.get_item(name) {
            teach(name, &module);
        }
    }
    Ok(())
}
