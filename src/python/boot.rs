//! The finder from before the first import: for a Python whose standard library is in the bundle.
//!
//! The first module that CPython imports by way of `sys.meta_path` while it starts is `encodings`. That
//! is frozen code of ours (`boot.py`) until it has run: it puts the finder in place and imports the true
//! `encodings` through it. The modules that CPython has frozen itself stay with CPython.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

use super::frozen::{Frozen, add_frozen, remove_frozen};
use super::hooks::install_hooks;

/// `boot.py`, compiled and marshalled when mmport was built.
const CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/boot.marshal"));
/// The name of the module with the function.
const NAME: &CStr = c"_mmport_boot";
/// What CPython imports first.
const FIRST_IMPORT: &CStr = c"encodings";

/// The directory of the standard library.
static STANDARD_LIBRARY: OnceLock<PathBuf> = OnceLock::new();

/// Has the interpreter that is going to start find its standard library in mounted bundles; the path of
/// its directory is what modules show.
pub fn boot_from_bundle(standard_library: &Path) {
    let _ = STANDARD_LIBRARY.set(standard_library.to_owned());
    // SAFETY: called before the interpreter starts; the name and the function live for ever. It fails
    // only without memory; then the start reports that the module is missing.
    unsafe { ffi::PyImport_AppendInittab(NAME.as_ptr(), Some(PyInit__mmport_boot)) };
    add_frozen(&[Frozen { name: FIRST_IMPORT, code: CODE }]);
}

/// `install()`: puts finder and path hook in place, and leaves `encodings` to them. Returns the directory
/// of the standard library.
unsafe extern "C" fn install(_: *mut ffi::PyObject, _: *mut ffi::PyObject) -> *mut ffi::PyObject {
    remove_frozen(FIRST_IMPORT);
    // SAFETY: CPython calls functions of modules in threads that are attached to an interpreter.
    let py = unsafe { Python::assume_attached() };
    let directory = STANDARD_LIBRARY.get().map_or(Path::new(""), PathBuf::as_path);
    match install_hooks(py).and_then(|_| Ok(directory.as_os_str().into_pyobject(py)?)) {
        Ok(directory) => directory.into_ptr(),
        Err(error) => {
            error.restore(py);
            ptr::null_mut()
        }
    }
}

static mut METHODS: [ffi::PyMethodDef; 2] = [
    ffi::PyMethodDef {
        ml_name: c"install".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: install },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: ptr::null(),
    },
    ffi::PyMethodDef::zeroed(),
];

static mut DEFINITION: ffi::PyModuleDef = ffi::PyModuleDef {
    m_base: ffi::PyModuleDef_HEAD_INIT,
    m_name: NAME.as_ptr(),
    m_doc: ptr::null(),
    m_size: 0,
    m_methods: (&raw mut METHODS).cast(),
    m_slots: ptr::null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

/// The module's initialization, by the name that CPython looks for.
#[unsafe(no_mangle)]
extern "C" fn PyInit__mmport_boot() -> *mut ffi::PyObject {
    // SAFETY: CPython is the only one that touches the definition, under the lock that it has for that.
    unsafe { ffi::PyModuleDef_Init(&raw mut DEFINITION) }
}
