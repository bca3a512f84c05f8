//! Whether somebody listens to audit events (PEP 578).

use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

mod cpython {
    use super::{c_char, c_int};

    unsafe extern "C" {
        pub fn PySys_Audit(event: *const c_char, format: *const c_char, ...) -> c_int;
    }
}

static IS_AUDITED: AtomicBool = AtomicBool::new(false);

/// Whether somebody listens. Asked by way of an event that is given up when its arguments are made, which
/// happens only for those who listen; they are not told of it.
pub fn is_audited(py: Python<'_>) -> bool {
    unsafe extern "C" fn give_up(argument: *mut c_void) -> *mut ffi::PyObject {
        // SAFETY: what is given is the flag below.
        unsafe { *argument.cast::<bool>() = true };
        ptr::null_mut()
    }
    if IS_AUDITED.load(Ordering::Relaxed) {
        return true;
    }
    let mut is_audited = false;
    let give_up: unsafe extern "C" fn(*mut c_void) -> *mut ffi::PyObject = give_up;
    // SAFETY: the format asks for a function and its argument, which are there during the call.
    unsafe {
        cpython::PySys_Audit(
            c"mmport".as_ptr(),
            c"O&".as_ptr(),
            give_up as *const c_void,
            (&raw mut is_audited).cast::<c_void>(),
        )
    };
    if is_audited {
        IS_AUDITED.store(true, Ordering::Relaxed);
        drop(PyErr::take(py)); // That there are no arguments.
    }
    is_audited
}
