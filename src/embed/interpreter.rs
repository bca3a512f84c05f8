//! Python's own way to run a script or a module, as `Modules/main.c` has it, step by step.
//!
//! `Py_RunMain` does the same and finalizes the interpreter in the end, where nobody can come before it. So
//! scripts and modules (`-m`) are run here, to end as bundles do (see `exit`). All else is left to it:
//! `-c`, standard input, the prompt, `-i` and `-x`, directories and zips.

use std::env;
use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io::IsTerminal;
use std::os::fd::IntoRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::ptr;

use pyo3::exceptions::PySystemExit;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::main_module::{Ending, end_with};
use crate::python::{loaded_module, of_sys};

/// What Python was asked to run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) program: Program,
    /// Whether the place of the program comes first on `sys.path`; `-P` and `-I` say no.
    pub(super) adds_path: bool,
    /// Whether variables of the environment count; `-E` says no.
    pub(super) uses_environment: bool,
}

/// A script, by its absolute path, or a module.
#[derive(Debug)]
pub(super) enum Program {
    Script(OsString),
    Module(OsString),
}

impl Run {
    /// Runs it, in the interpreter that was just started. `None`, and nothing done, where that is left to
    /// `Py_RunMain`.
    pub(super) fn run(&self, py: Python<'_>) -> Option<Ending> {
        match &self.program {
            Program::Script(script) => {
                let path = Path::new(script);
                if !fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
                    || path.extension().is_some_and(|extension| extension == "pyc")
                    || !has_no_importer(py, path)
                {
                    return None;
                }
                let (file, name) = (File::open(path).ok()?, CString::new(script.as_bytes()).ok()?);
                if begins_as_bytecode(&file) {
                    return None;
                }
                let place = path.canonicalize().ok()?.parent()?.to_owned();
                let place = self.adds_path.then_some(&*place);
                Some(self.end(py, |py| run_script(py, place, file, &name), forget_file))
            }
            Program::Module(module) => {
                let place = env::current_dir().ok();
                let place = place.as_deref().filter(|_| self.adds_path);
                Some(self.end(py, |py| run_module(py, place, module), |_| Ok(())))
            }
        }
    }

    /// Runs it and shows what it raises. `tidy` follows, but for `SystemExit`, which ends the process at once.
    fn end(
        &self,
        py: Python<'_>,
        run: impl FnOnce(Python<'_>) -> PyResult<()>,
        tidy: impl FnOnce(Python<'_>) -> PyResult<()>,
    ) -> Ending {
        let (ending, exits) = match run(py) {
            Ok(()) => (Ending::Status(0), false),
            Err(error) => {
                let exits = error.is_instance_of::<PySystemExit>(py);
                (end_with(py, error), exits)
            }
        };
        if !exits && let Err(error) = tidy(py) {
            error.write_unraisable(py, None);
        }
        let asks = || env::var_os("PYTHONINSPECT").is_some_and(|value| !value.is_empty());
        let is_asked = !exits && self.uses_environment && asks() && std::io::stdin().is_terminal();
        if is_asked { prompt() } else { ending }
    }
}

/// Whether a file is none that imports could come from, such as a zip.
fn has_no_importer(py: Python<'_>, path: &Path) -> bool {
    // As text: a path of Python's drops what it can do without.
    let Ok(path) = path.as_os_str().into_pyobject(py);
    // SAFETY: the thread is attached, and the path is text.
    let importer =
        unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyImport_GetImporter(path.as_ptr())) };
    importer.is_ok_and(|importer| importer.is_none())
}

/// Whether a file begins as one with bytecode does, whatever its name: `maybe_pyc_file`.
fn begins_as_bytecode(file: &File) -> bool {
    // SAFETY: the interpreter has been started.
    let magic = unsafe { ffi::PyImport_GetMagicNumber() }.to_le_bytes();
    let mut beginning = [0; 2];
    file.read_exact_at(&mut beginning, 0).is_ok() && beginning == magic[..2]
}

/// `pymain_sys_path_add_path0`
fn add_path(py: Python<'_>, place: Option<&Path>) -> PyResult<()> {
    let Some(place) = place else { return Ok(()) };
    let path = py.import("sys")?.getattr("path")?;
    path.cast::<PyList>()?.insert(0, place.as_os_str())
}

/// `pymain_run_file` and `_PyRun_SimpleFileObject`
fn run_script(py: Python<'_>, place: Option<&Path>, file: File, name: &CString) -> PyResult<()> {
    add_path(py, place)?;
    let sys = py.import("sys")?;
    let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes())).as_os_str();
    sys.call_method1("audit", ("cpython.run_file", path))?;
    let main = py.import("__main__")?.dict();
    main.set_item("__file__", path)?;
    main.set_item("__cached__", py.None())?;
    let loaders = py.import("_frozen_importlib_external")?;
    let loader = loaders.call_method1("SourceFileLoader", ("__main__", path))?;
    main.set_item("__loader__", loader)?;
    let outcome = run_file(py, file, name, &main);
    for stream in ["stderr", "stdout"].into_iter().filter_map(|name| of_sys(py, name)) {
        drop(stream.call_method0("flush")); // As `flush_io`; what fails is told at the end.
    }
    outcome
}

fn forget_file(py: Python<'_>) -> PyResult<()> {
    let main = loaded_module(py, "__main__")?;
    for name in ["__file__", "__cached__"] {
        if main.hasattr(name)? {
            main.delattr(name)?;
        }
    }
    Ok(())
}

fn run_file(
    py: Python<'_>,
    file: File,
    name: &CString,
    namespace: &Bound<'_, PyDict>,
) -> PyResult<()> {
    // SAFETY: the descriptor is ours, and becomes the stream's, which CPython closes; the name and the
    // namespace live during the call.
    unsafe {
        let stream = libc::fdopen(file.into_raw_fd(), c"rb".as_ptr());
        if stream.is_null() {
            return Err(std::io::Error::last_os_error().into());
        }
        let namespace = namespace.as_ptr();
        let outcome = ffi::PyRun_FileExFlags(
            stream.cast(),
            name.as_ptr(),
            ffi::Py_file_input,
            namespace,
            namespace,
            1,
            ptr::null_mut(),
        );
        Bound::from_owned_ptr_or_err(py, outcome).map(drop)
    }
}

/// `pymain_run_module`
fn run_module(py: Python<'_>, place: Option<&Path>, module: &OsString) -> PyResult<()> {
    add_path(py, place)?;
    py.import("sys")?.call_method1("audit", ("cpython.run_module", module))?;
    py.import("runpy")?.call_method1("_run_module_as_main", (module, true)).map(drop)
}

/// `pymain_repl`
fn prompt() -> Ending {
    // SAFETY: the thread is attached; standard input is whatever it is.
    let status = unsafe {
        let stream = libc::fdopen(libc::STDIN_FILENO, c"r".as_ptr());
        if stream.is_null() {
            return Ending::Status(1);
        }
        ffi::PyRun_AnyFileExFlags(stream.cast(), c"<stdin>".as_ptr(), 0, ptr::null_mut())
    };
    Ending::Status(status)
}
