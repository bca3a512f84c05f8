//! Subinterpreters: the bundle for interpreters in which PyO3's classes cannot be used.
//!
//! A subinterpreter starts with CPython's own finders and runs `site`. What `site` imports first,
//! `_sitebuiltins`, is frozen code of ours (`subinterpreters.py`) from the moment that the main
//! interpreter has a bundle, which has imported the true one and never asks again. It puts the
//! directory of materialized packages and the bundle on `sys.path`, where CPython's `FileFinder` and
//! `zipimport` find what is in them, and has packages brought out before they are looked for. So
//! extension modules are loaded, or refused, by CPython. The start of the main interpreter pays for none
//! of this.
//!
//! The functions (see `native_functions.rs`) touch no object of another interpreter: what they share is
//! [`SERVED`], which holds no Python object.

use std::ffi::{CStr, CString};
use std::ptr;
use std::sync::{Arc, OnceLock};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::ImportFailure;
use super::frozen::{Frozen, add_frozen};
use super::mount::MountedBundle;

/// `subinterpreters.py`, compiled and marshalled when mmport was built.
const CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/subinterpreters.marshal"));
/// What `site` imports.
const FROZEN_NAME: &CStr = c"_sitebuiltins";
/// The module that tells about the pip package.
const HOSTED_NAME: &CStr = c"_mmport_hosted";

/// What subinterpreters are served.
struct Served {
    mounted: Arc<MountedBundle>,
    /// The directories of the standard library and of its extension modules, if it is in the bundle.
    below: Vec<String>,
    /// All units that importing brings out.
    units: OnceLock<Vec<String>>,
}

static SERVED: OnceLock<Served> = OnceLock::new();

/// What subinterpreters of a process of the pip package have to know.
pub struct HostedFacts<'py> {
    /// The file of the extension module.
    pub library: Bound<'py, PyAny>,
    /// The entries of `sys.path` that the main interpreter has no more.
    pub removed: Bound<'py, PyAny>,
    /// The attributes of `sys` that have changed.
    pub attributes: Bound<'py, PyAny>,
}

/// Serves a bundle to the subinterpreters that are made from now on, once per process. `below` are the
/// directories of the standard library, the last those of extension modules, where the bundle has it.
///
/// # Errors
/// What Python raises, should it be damaged.
pub fn serve_subinterpreters(
    py: Python<'_>,
    mounted: &Arc<MountedBundle>,
    below: &[String],
    hosted: Option<&HostedFacts<'_>>,
) -> PyResult<()> {
    let served =
        Served { mounted: Arc::clone(mounted), below: below.to_vec(), units: OnceLock::new() };
    if SERVED.set(served).is_err() {
        return Ok(());
    }
    let mut modules = vec![Frozen { name: FROZEN_NAME, code: CODE }];
    if let Some(hosted) = hosted {
        let code: &'static [u8] = Vec::leak(hosted.marshalled(py)?);
        modules.push(Frozen { name: HOSTED_NAME, code });
    }
    add_frozen(&modules);
    Ok(())
}

impl HostedFacts<'_> {
    /// A module of constants, compiled and marshalled.
    fn marshalled(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let source = format!(
            "library = {}\nremoved = {}\nattributes = {}\n",
            self.library.repr()?,
            self.removed.repr()?,
            self.attributes.repr()?
        );
        let name = HOSTED_NAME.to_string_lossy();
        let code = py
            .import("builtins")?
            .call_method1("compile", (source, format!("<frozen {name}>"), "exec"))?;
        let data = py.import("marshal")?.call_method1("dumps", (code,))?;
        Ok(data.cast::<PyBytes>()?.as_bytes().to_vec())
    }
}

/// `places()`: the directories of materialized packages, if there are any, and at last the bundle's path;
/// `None` in the main interpreter and where no bundle is served.
pub(super) unsafe extern "C" fn places(
    _: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: the calling thread is attached to its interpreter; every reference that is made is
    // given away, and a null pointer comes with the exception that CPython has set.
    unsafe {
        let is_main = ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main();
        let Some(served) = SERVED.get().filter(|_| !is_main) else { return none() };
        let places = served.places();
        let list = ffi::PyList_New(places.len().cast_signed());
        for (place, at) in places.iter().zip(0..) {
            let place = text(place);
            if list.is_null() || place.is_null() {
                ffi::Py_XDECREF(list);
                return ptr::null_mut();
            }
            ffi::PyList_SetItem(list, at, place);
        }
        list
    }
}

/// `materialize(name)`: brings out what an import of the top-level module `name` may open as a file;
/// says whether there is any such thing.
pub(super) unsafe extern "C" fn materialize(
    _: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    // SAFETY: `name` is a borrowed reference that outlives the call, and with it its text. While
    // the thread is detached nothing of Python's is touched.
    unsafe {
        let mut length = 0;
        let start = ffi::PyUnicode_AsUTF8AndSize(name, &raw mut length);
        if start.is_null() {
            ffi::PyErr_Clear(); // A name that is no text is no entry's.
            return ffi::PyBool_FromLong(0);
        }
        let bytes = std::slice::from_raw_parts(start.cast::<u8>(), length.cast_unsigned());
        let name = String::from_utf8_lossy(bytes);
        // Once the process ends, CPython would end the thread of another interpreter that comes back.
        let thread = if is_finalizing() { ptr::null_mut() } else { ffi::PyEval_SaveThread() };
        let outcome = SERVED.get().map_or(Ok(false), |served| served.materialize(&name));
        if !thread.is_null() {
            ffi::PyEval_RestoreThread(thread);
        }
        match outcome {
            Ok(has_files) => ffi::PyBool_FromLong(has_files.into()),
            Err(failure) => {
                let message = CString::new(failure.message()).unwrap_or_default();
                ffi::PyErr_SetString(ffi::PyExc_ImportError, message.as_ptr());
                ptr::null_mut()
            }
        }
    }
}

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    /// What became `Py_IsFinalizing` in 3.13.
    fn _Py_IsFinalizing() -> std::ffi::c_int;
}

/// Whether the main interpreter is being finalized.
fn is_finalizing() -> bool {
    // SAFETY: the call only looks at a number.
    #[cfg(Py_3_13)]
    let finalizing = unsafe { ffi::Py_IsFinalizing() };
    // SAFETY: as above.
    #[cfg(not(Py_3_13))]
    let finalizing = unsafe { _Py_IsFinalizing() };
    finalizing != 0
}

impl Served {
    /// See [`places`].
    fn places(&self) -> Vec<String> {
        let trees = self.mounted.tree().into_iter().flat_map(|tree| {
            [tree.to_owned()]
                .into_iter()
                .chain(self.below.iter().map(move |it| format!("{tree}/{it}")))
        });
        trees.chain([self.mounted.archive().to_owned()]).collect()
    }

    fn materialize(&self, name: &str) -> Result<bool, ImportFailure> {
        let units = match self.units.get() {
            Some(units) => units,
            None => {
                let units = self.mounted.materialized_units()?;
                self.units.get_or_init(|| units)
            }
        };
        // A package, packages in a namespace package, or a single file such as `name.abi3.so`.
        let is_of_name = |unit: &&String| {
            unit.strip_prefix(name).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || rest.starts_with('.')
            })
        };
        let mut has_files = false;
        for unit in units.iter().filter(is_of_name) {
            has_files = true;
            self.mounted.bring_out(unit)?;
        }
        for place in &self.below {
            has_files |= self.mounted.prepare_extension(place, name)?;
        }
        Ok(has_files)
    }
}

/// A new reference to a `str`.
unsafe fn text(text: &str) -> *mut ffi::PyObject {
    // SAFETY: the pointer and the length are those of a text in UTF-8, which CPython copies.
    unsafe { ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len().cast_signed()) }
}

/// A new reference to `None`.
unsafe fn none() -> *mut ffi::PyObject {
    // SAFETY: `None` always exists.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}
