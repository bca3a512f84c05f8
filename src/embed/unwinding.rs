//! CPython's functions that may end this thread from within.
//!
//! An interpreter that is left behind ends with the process's, and so may a daemon thread that the main
//! one waits in the place of; CPython then calls `pthread_exit`, which unwinds the whole stack. So these
//! are called by an ABI that may be unwound through: by `extern "C"`, as most bindings have them, Rust
//! aborts the process.

use std::ffi::c_int;

use super::Status;

mod cpython {
    use super::c_int;

    unsafe extern "C-unwind" {
        pub fn Py_RunMain() -> c_int;
        pub fn Py_FinalizeEx() -> c_int;
    }
}

/// Runs what the configuration of the interpreter says, ends the interpreter, and returns the status of the
/// process. The interpreter was just started, by this thread.
pub(super) fn run_main() -> Status {
    // SAFETY: the caller has started the interpreter.
    unsafe { cpython::Py_RunMain() }
}

/// Ends the interpreter, which this thread has started and is attached to, without a `Python` token; says
/// whether the standard streams could be flushed.
pub(super) fn finalize() -> bool {
    // SAFETY: the caller has started the interpreter, and holds its lock.
    unsafe { cpython::Py_FinalizeEx() == 0 }
}
