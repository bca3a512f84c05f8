//! The functions for frozen code of ours, in a module that any interpreter can import.
//!
//! PyO3's modules cannot be imported into subinterpreters, so this one is plain C API, with multi-phase
//! initialization (PEP 489) and for interpreters with a lock of their own (PEP 684). It is built in where
//! mmport embeds Python, and found in the extension module of the pip package.

use std::ffi::{CStr, c_void};
use std::ptr;

use pyo3::ffi;

use super::boot::install;
use super::subinterpreters::{materialize, places};

/// The name of the module.
const NAME: &CStr = c"_mmport_native";

/// Makes the functions known to the interpreter that is going to start.
pub fn register_native_functions() {
    // SAFETY: called before the interpreter starts; the name and the function live for ever. It fails
    // only without memory; then who imports the module is told that it is missing.
    unsafe { ffi::PyImport_AppendInittab(NAME.as_ptr(), Some(PyInit__mmport_native)) };
}

const fn function(
    name: &'static CStr,
    function: unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject,
    flags: std::ffi::c_int,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: ptr::null(),
    }
}

static mut METHODS: [ffi::PyMethodDef; 4] = [
    function(c"install", install, ffi::METH_NOARGS),
    function(c"places", places, ffi::METH_NOARGS),
    function(c"materialize", materialize, ffi::METH_O),
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
extern "C" fn PyInit__mmport_native() -> *mut ffi::PyObject {
    // SAFETY: CPython is the only one that touches the definition, once for each interpreter, under
    // the lock that it has for that.
    unsafe { ffi::PyModuleDef_Init(&raw mut DEFINITION) }
}
