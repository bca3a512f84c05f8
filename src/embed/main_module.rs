//! Running `__main__`, and what its exceptions mean to the process.
//!
//! As `Modules/main.c` and `runpy._run_module_as_main` do for `python app.zip`, but without
//! `runpy`, whose frames would stand in every traceback. `SystemExit` ends the process through
//! CPython's own code; other exceptions are shown by `sys.excepthook`. A script that is run by its name
//! is called without a `__main__.py`: `__main__` stays as the interpreter has made it, so that child
//! processes of `multiprocessing` do not look for one.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{
    PyAttributeError, PyImportError, PyKeyboardInterrupt, PyModuleNotFoundError, PyOSError,
    PySystemExit, PyTypeError,
};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCode, PyCodeMethods, PyDict, PyInt};

use crate::bundle::BundleEntryPoint;
use crate::python::{BundleImporter, MountedBundle, of_sys};

use super::{LaunchError, Status};

/// How a program ended, before the interpreter is finalized.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this exit status.
    Status(Status),
    /// By a `KeyboardInterrupt` that nobody handled.
    Interrupted,
}

/// Runs the `__main__` module of a mounted bundle in the module `__main__` that is there.
///
/// # Errors
/// [`LaunchError::EntryPoint`] when the bundle's entry point does not exist or cannot be called.
/// What the program itself raises is shown and becomes the ending.
pub fn run_main_module(
    py: Python<'_>,
    mounted: &Arc<MountedBundle>,
) -> Result<Ending, LaunchError> {
    let entry = mounted.information().and_then(|information| information.entry.as_ref());
    // The frame of `__main__` itself.
    end(py, mounted, execute(py, mounted), entry, 1)
}

/// Calls what a script of a mounted bundle calls, and takes what it returns for its exit status.
///
/// # Errors
/// [`LaunchError::EntryPoint`] when the entry point does not exist or cannot be called. What the program
/// itself raises is shown and becomes the ending.
pub(super) fn run_entry(
    py: Python<'_>,
    mounted: &Arc<MountedBundle>,
    entry: &BundleEntryPoint,
) -> Result<Ending, LaunchError> {
    end(py, mounted, call(py, entry), Some(entry), 0)
}

/// What the outcome of a program means, whose exceptions have passed through so many frames before they
/// reach those of the program. `entry` is what was run.
fn end(
    py: Python<'_>,
    mounted: &Arc<MountedBundle>,
    outcome: PyResult<()>,
    entry: Option<&BundleEntryPoint>,
    frames: usize,
) -> Result<Ending, LaunchError> {
    let error = match outcome {
        Ok(()) => return Ok(Ending::Status(0)),
        Err(error) => error,
    };
    if let Some(entry) = entry
        && let Some(found) = entry_point_mistake(py, &error, entry, frames)
    {
        return Err(LaunchError::EntryPoint {
            bundle: PathBuf::from(mounted.archive()),
            entry: entry.clone(),
            found,
        });
    }
    let reason = missing_file(py, &error, mounted);
    let ending = end_with(py, error);
    if let Some(reason) = reason {
        // Nobody reads a standard error that cannot be written.
        let _ = writeln!(std::io::stderr().lock(), "mmport: {reason}");
    }
    Ok(ending)
}

/// `sys.exit(object())`, without a frame of its own.
fn call(py: Python<'_>, entry: &BundleEntryPoint) -> PyResult<()> {
    let (BundleEntryPoint::Script { module, object, .. }
    | BundleEntryPoint::Object { module, object }) = entry
    else {
        return Ok(()); // Modules are run by `__main__`.
    };
    // What the script that runs this one has left there, in a Python that is running already.
    let main = py.import("__main__")?.dict();
    for name in ["__file__", "__cached__"] {
        if main.contains(name)? {
            main.del_item(name)?;
        }
    }
    main.set_item("__spec__", py.None())?;
    let mut value = py.import(module.as_str())?.into_any();
    for attribute in object.split('.') {
        value = value.getattr(attribute)?;
    }
    let status = value.call0()?;
    Err(PySystemExit::new_err(status.unbind()))
}

/// Why a file that the program could not open is not there: its package could not be brought out.
fn missing_file(py: Python<'_>, error: &PyErr, mounted: &MountedBundle) -> Option<String> {
    if !error.is_instance_of::<PyOSError>(py) {
        return None;
    }
    let path: PathBuf = error.value(py).getattr("filename").ok()?.extract().ok()?;
    let reason = mounted.reason_for_absence(path.to_str()?)?;
    Some(format!("failed to {reason}\n  next: {}", reason.next_step()))
}

fn execute(py: Python<'_>, mounted: &Arc<MountedBundle>) -> PyResult<()> {
    let importer = Bound::new(py, BundleImporter::of_bundle(Arc::clone(mounted)))?;
    let main = py.import("__main__")?;
    let namespace = main.dict();
    let spec = importer.call_method1("find_spec", ("__main__",))?;
    let code = importer.call_method1("get_code", ("__main__",))?;
    for (name, value) in [
        ("__file__", spec.getattr("origin")?),
        ("__cached__", spec.getattr("cached")?),
        ("__loader__", importer.into_any()),
        ("__package__", "".into_pyobject(py)?.into_any()),
        ("__spec__", spec),
    ] {
        namespace.set_item(name, value)?;
    }
    code.cast::<PyCode>()?.run(Some(&namespace), None).map(drop)
}

/// Shows what the program raised and says how the process ends. Does not return for a `SystemExit` with
/// something else than a number, which CPython prints.
pub(super) fn end_with(py: Python<'_>, error: PyErr) -> Ending {
    if let Some(status) = status_of(py, &error) {
        // The frames that the exception holds go before exit handlers run, as with CPython.
        drop(error);
        return Ending::Status(status);
    }
    // Exactly, as `_PyRun_SimpleFile` and `run_eval_code_obj` compare.
    let interrupted = error.get_type(py).is(py.get_type::<PyKeyboardInterrupt>());
    error.restore(py);
    // SAFETY: an exception was just set. For `SystemExit` this finalizes and ends the process.
    unsafe { ffi::PyErr_PrintEx(1) };
    if interrupted { Ending::Interrupted } else { Ending::Status(1) }
}

/// The exit status that a `SystemExit` asks for by a number or by nothing, as `_Py_HandleSystemExit` takes
/// them.
fn status_of(py: Python<'_>, error: &PyErr) -> Option<Status> {
    let inspects = of_sys(py, "flags")?.getattr("inspect");
    if !error.is_instance_of::<PySystemExit>(py) || inspects.ok()?.is_truthy().ok()? {
        return None;
    }
    let code = error.value(py).getattr("code").ok()?;
    if code.is_none() {
        return Some(0);
    }
    // What does not fit is CPython's to tell.
    let number: i64 = code.cast::<PyInt>().ok()?.extract().ok()?;
    Some(number as Status)
}

/// How many frames an exception has passed through, of which more than two count as two.
fn frames_of(py: Python<'_>, error: &PyErr) -> usize {
    match error.traceback(py) {
        None => 0,
        Some(first) if first.getattr("tb_next").is_ok_and(|next| next.is_none()) => 1,
        Some(_) => 2,
    }
}

/// Whether an exception says that the entry point does not exist or cannot be called, and not that
/// the program went wrong: it was raised before any frame of the program's, and looking the entry point up again
/// fails the same way.
fn entry_point_mistake(
    py: Python<'_>,
    error: &PyErr,
    entry: &BundleEntryPoint,
    frames: usize,
) -> Option<String> {
    let (module, object) = match entry {
        BundleEntryPoint::Script { module, object, .. }
        | BundleEntryPoint::Object { module, object } => (module, object),
        BundleEntryPoint::Module { .. } | BundleEntryPoint::Main => return None,
    };
    let suspicious = error.is_instance_of::<PyImportError>(py)
        || error.is_instance_of::<PyAttributeError>(py)
        || error.is_instance_of::<PyTypeError>(py);
    if !suspicious || frames_of(py, error) > frames {
        return None;
    }
    let modules = py.import("sys").ok()?.getattr("modules").ok()?;
    let modules = modules.cast::<PyDict>().ok()?;
    let Some(mut value) = modules.get_item(module).ok()? else {
        // The module was not found, or one of the packages above it; an `ImportError` of another
        // kind says that it is there and something else is wrong.
        if !error.is_instance_of::<PyModuleNotFoundError>(py) {
            return None;
        }
        let missing: String = error.value(py).getattr("name").ok()?.extract().ok()?;
        let is_entry = *module == missing || module.starts_with(&format!("{missing}."));
        return is_entry.then(|| format!("no module named `{missing}`"));
    };
    for attribute in object.split('.') {
        value = match value.getattr(attribute) {
            Ok(value) => value,
            Err(_) => return Some(format!("`{module}` has no attribute `{object}`")),
        };
    }
    (!value.is_callable()).then(|| format!("`{module}:{object}` cannot be called"))
}
