//! CPython's functions that may end this thread from within.
//!
//! An interpreter that is left behind ends with the process's, and so may a daemon thread that the main
//! one waits in the place of; CPython then calls `pthread_exit`, which unwinds the whole stack. So these
//! are called by an ABI that may be unwound through: by `extern "C"`, as most bindings have them, Rust
//! aborts the process.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use super::Status;

mod cpython {
    use super::c_int;

    unsafe extern "C-unwind" {
        pub fn Py_RunMain() -> c_int;
        pub fn Py_FinalizeEx() -> c_int;
    }

    unsafe extern "C" {
        #[cfg(Py_3_13)]
        pub fn Py_IsFinalizing() -> c_int;
        #[cfg(not(Py_3_13))]
        #[link_name = "_Py_IsFinalizing"]
        pub fn Py_IsFinalizing() -> c_int;
    }
}

/// How often a thread that waits for the end of the process looks whether the main one has gone without it.
const LOOK: Duration = Duration::from_millis(5);
/// Whether the main thread has ended, and the process goes on until the others have.
static IS_MAIN_GONE: AtomicBool = AtomicBool::new(false);

/// Runs what the configuration of the interpreter says, ends the interpreter, and returns the status of the
/// process. The interpreter was just started, by this thread.
pub(super) fn run_main() -> Status {
    // SAFETY: the caller has started the interpreter.
    unsafe { cpython::Py_RunMain() }
}

/// What `pthread_exit` is to do in a process with an interpreter: CPython calls it in daemon threads that come
/// back to Python while it is finalized. That unwinds what the thread is in the middle of, such as
/// importing a module by way of us, which cannot be unwound. As CPython itself has it from 3.14 on, the thread
/// waits for the end of the process instead.
///
/// # Safety
/// To be called as `pthread_exit` is.
pub unsafe extern "C-unwind" fn end_thread(result: *mut c_void) -> ! {
    // SAFETY: the functions ask for nothing; the one that is looked up has this signature.
    unsafe {
        if cpython::Py_IsFinalizing() != 0 {
            if is_main_thread() {
                IS_MAIN_GONE.store(true, Ordering::Relaxed);
            }
            while !IS_MAIN_GONE.load(Ordering::Relaxed) {
                sleep(LOOK);
            }
        }
        let next = libc::dlsym(libc::RTLD_NEXT, c"pthread_exit".as_ptr());
        if next.is_null() {
            libc::abort();
        }
        let exit: unsafe extern "C-unwind" fn(*mut c_void) -> ! = std::mem::transmute(next);
        exit(result)
    }
}

fn is_main_thread() -> bool {
    // SAFETY: these ask for nothing.
    #[cfg(target_os = "linux")]
    let is_main = unsafe { libc::getpid() == libc::gettid() };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    let is_main = unsafe { libc::pthread_main_np() != 0 };
    is_main
}

/// Ends the interpreter, which this thread has started and is attached to, without a `Python` token; says
/// whether the standard streams could be flushed.
pub(super) fn finalize() -> bool {
    // SAFETY: the caller has started the interpreter, and holds its lock.
    unsafe { cpython::Py_FinalizeEx() == 0 }
}
