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
/// What CPython imports first.
const FIRST_IMPORT: &CStr = c"encodings";

/// The directory of the standard library.
static STANDARD_LIBRARY: OnceLock<PathBuf> = OnceLock::new();

/// Has the interpreter that is going to start find its standard library in mounted bundles; the path of
/// its directory is what modules show.
pub fn boot_from_bundle(standard_library: &Path) {
    let _ = STANDARD_LIBRARY.set(standard_library.to_owned());
    add_frozen(&[Frozen { name: FIRST_IMPORT, code: CODE }]);
}

/// `install()`: puts finder and path hook in place, and leaves `encodings` to them. Returns the directory
/// of the standard library.
pub(super) unsafe extern "C" fn install(
    _: *mut ffi::PyObject,
    _: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
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
