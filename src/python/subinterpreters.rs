//! Subinterpreters: the bundle for interpreters in which PyO3's classes cannot be used.
//!
//! A subinterpreter starts with CPython's own finders and runs `site`. What `site` imports first,
//! `_sitebuiltins`, is frozen code of ours (`subinterpreters.py`) from the moment that the main
//! interpreter has a bundle, which has imported the true one and never asks again. It puts the
//! directory of materialized packages and the bundle on `sys.path`, where CPython's `FileFinder` and
//! `zipimport` find what is in them, and has packages brought out before they are looked for. So extension modules are loaded, or refused, by CPython.
//! The start of the main interpreter pays for none of this.
//!
//! The functions are plain C API in a module with multi-phase initialization (PEP 489), which may be
//! imported into interpreters with a lock of their own (PEP 684). They touch no object of another
//! interpreter: what they share is [`SERVED`], which holds no Python object.

use std::ffi::{CStr, CString, c_int, c_void};
use std::ptr;
use std::sync::{Arc, OnceLock};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::ImportFailure;
use super::mount::MountedBundle;

/// `subinterpreters.py`, compiled and marshalled when mmport was built.
const CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/subinterpreters.marshal"));
/// The name of the module with the functions.
const NAME: &CStr = c"_mmport_subinterpreter";
/// What `site` imports.
const FROZEN_NAME: &CStr = c"_sitebuiltins";
/// The module that tells about the pip package.
const HOSTED_NAME: &CStr = c"_mmport_hosted";

/// What subinterpreters are served.
struct Served {
    mounted: Arc<MountedBundle>,
    /// All units that importing brings out.
    units: OnceLock<Vec<String>>,
}

static SERVED: OnceLock<Served> = OnceLock::new();

/// Makes the functions known to the interpreter that is going to start.
pub fn register_subinterpreters() {
    // SAFETY: called before the interpreter starts; the name and the function live for ever. It fails
    // only without memory; then subinterpreters report that the module is missing.
    unsafe { ffi::PyImport_AppendInittab(NAME.as_ptr(), Some(PyInit__mmport_subinterpreter)) };
}

/// What subinterpreters of a process of the pip package have to know.
pub struct HostedFacts<'py> {
    /// The file of the extension module.
    pub library: Bound<'py, PyAny>,
    /// The entries of `sys.path` that the main interpreter has no more.
    pub removed: Bound<'py, PyAny>,
    /// The attributes of `sys` that have changed.
    pub attributes: Bound<'py, PyAny>,
}

/// Serves a bundle to the subinterpreters that are made from now on, once per process.
///
/// # Errors
/// What Python raises, should it be damaged.
pub fn serve_subinterpreters(
    py: Python<'_>,
    mounted: &Arc<MountedBundle>,
    hosted: Option<&HostedFacts<'_>>,
) -> PyResult<()> {
    let served = Served { mounted: Arc::clone(mounted), units: OnceLock::new() };
    if SERVED.set(served).is_err() {
        return Ok(());
    }
    let mut modules = vec![frozen_module(FROZEN_NAME, CODE)];
    if let Some(hosted) = hosted {
        let code: &'static [u8] = Vec::leak(hosted.marshalled(py)?);
        modules.push(frozen_module(HOSTED_NAME, code));
    }
    add_frozen_modules(modules);
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

/// An entry of CPython's table of frozen modules.
fn frozen_module(name: &'static CStr, code: &'static [u8]) -> ffi::_frozen {
    // SAFETY: null pointers and zeros are values of all its fields: no package, no function.
    let mut module: ffi::_frozen = unsafe { std::mem::zeroed() };
    module.name = name.as_ptr();
    module.code = code.as_ptr();
    module.size = c_int::try_from(code.len()).unwrap_or(c_int::MAX);
    module
}

/// Replaces CPython's table of additional frozen modules by one that has `modules` as well.
fn add_frozen_modules(modules: Vec<ffi::_frozen>) {
    let mut table = modules;
    // SAFETY: the global is null or points to a table that an entry without a name ends; it is read
    // and set while this thread holds the interpreter's lock, and the new table lives for ever.
    unsafe {
        let mut entry = ffi::PyImport_FrozenModules;
        while !entry.is_null() && !(*entry).name.is_null() {
            table.push(*entry);
            entry = entry.add(1);
        }
        table.push(std::mem::zeroed());
        ffi::PyImport_FrozenModules = Vec::leak(table).as_ptr();
    }
}

/// `places()`: the bundle's path and the directory of materialized packages (or `None`), or `None`
/// in the main interpreter and where no bundle is served.
unsafe extern "C" fn places(_: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the calling thread is attached to its interpreter; every reference that is made is
    // given away, and a null pointer comes with the exception that CPython has set.
    unsafe {
        let is_main = ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main();
        let Some(served) = SERVED.get().filter(|_| !is_main) else { return none() };
        let archive = text(served.mounted.archive());
        let tree = served.mounted.tree().map_or_else(|| none(), |tree| text(tree));
        let both = ffi::PyTuple_New(2);
        if archive.is_null() || tree.is_null() || both.is_null() {
            ffi::Py_XDECREF(archive);
            ffi::Py_XDECREF(tree);
            ffi::Py_XDECREF(both);
            return ptr::null_mut();
        }
        ffi::PyTuple_SetItem(both, 0, archive);
        ffi::PyTuple_SetItem(both, 1, tree);
        both
    }
}

/// `materialize(name)`: brings out what an import of the top-level module `name` may open as a file;
/// says whether there is any such thing.
unsafe extern "C" fn materialize(
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
        let thread = ffi::PyEval_SaveThread();
        let outcome = SERVED.get().map_or(Ok(false), |served| served.materialize(&name));
        ffi::PyEval_RestoreThread(thread);
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

impl Served {
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

static mut METHODS: [ffi::PyMethodDef; 3] = [
    ffi::PyMethodDef {
        ml_name: c"places".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: places },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: ptr::null(),
    },
    ffi::PyMethodDef {
        ml_name: c"materialize".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: materialize },
        ml_flags: ffi::METH_O,
        ml_doc: ptr::null(),
    },
    ffi::PyMethodDef::zeroed(),
];

static mut SLOTS: [ffi::PyModuleDef_Slot; 2] = [
    #[cfg(Py_3_12)]
    ffi::PyModuleDef_Slot {
        slot: ffi::Py_mod_multiple_interpreters,
        value: ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
    },
    #[cfg(not(Py_3_12))]
    ffi::PyModuleDef_Slot { slot: 0, value: ptr::null_mut::<c_void>() },
    ffi::PyModuleDef_Slot { slot: 0, value: ptr::null_mut::<c_void>() },
];

static mut DEFINITION: ffi::PyModuleDef = ffi::PyModuleDef {
    m_base: ffi::PyModuleDef_HEAD_INIT,
    m_name: NAME.as_ptr(),
    m_doc: ptr::null(),
    m_size: 0,
    m_methods: (&raw mut METHODS).cast(),
    m_slots: (&raw mut SLOTS).cast(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

/// The module's initialization, by the name that CPython looks for in a library.
#[unsafe(no_mangle)]
extern "C" fn PyInit__mmport_subinterpreter() -> *mut ffi::PyObject {
    // SAFETY: CPython is the only one that touches the definition, once for each interpreter, under
    // the lock that it has for that.
    unsafe { ffi::PyModuleDef_Init(&raw mut DEFINITION) }
}
