//! The `mmport` command, with an interpreter inside.
//!
//! Started by a name that begins with `python` from a bundle's environment, it is that bundle's
//! Python instead; started by a name of Python's from anywhere else, it is plain Python. Started by the
//! head of a standalone executable, it runs that.
//!
//! There is no Rust `main`: the start-up code around one opens standard streams that are closed and
//! ignores SIGPIPE, and Python and its programs would see both.

#![no_main]

use std::ffi::{OsString, c_char, c_int, c_void};

use mmport::cli::{self, Failure, Host};
use mmport::embed;

/// Where the C library starts the program. CPython may end the main thread from within, where the process
/// ends and other interpreters are left: that unwinds through here, as through `main` of `python`.
// SAFETY: the name is that of the C entry point, which nothing else in this program defines.
#[unsafe(no_mangle)]
pub extern "C-unwind" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    embed::end_process_with_program();
    let started = mmport::trace::start_log().map_err(Failure::from).and_then(|()| {
        for run in [embed::run_standalone, embed::run_as_python, embed::run_linked_python] {
            if let Some(status) = run(&arguments)? {
                return Ok(Some(status));
            }
        }
        Ok(None)
    });
    match started {
        Ok(Some(status)) => status,
        Ok(None) => cli::main(arguments, Host::Embedded),
        Err(failure) => {
            failure.report();
            failure.status.into()
        }
    }
}

/// What libpython finds in the place of the C library's function: see [`embed::end_thread`].
///
/// # Safety
/// As the C library's.
// SAFETY: the function does what that of this name does, but for threads that Python ends.
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn pthread_exit(result: *mut c_void) -> ! {
    // SAFETY: the caller's.
    unsafe { embed::end_thread(result) }
}
