//! The head of a standalone executable: the program that the operating system starts.
//!
//! It brings the runtime out, unless that has happened before, and replaces itself by it. As `mmport`
//! it has no Rust `main`, whose start-up code changes signals and standard streams.

#![no_main]
#![allow(dead_code)]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_ulong};
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process;

#[path = "../manifest.rs"]
mod manifest;
#[path = "../../native/root.rs"]
mod root;
#[path = "../runtime.rs"]
mod runtime;

use manifest::Manifest;

/// The status of a program that could not be started, as mmport has it.
const FAILED: i32 = 125;
/// The entry of the auxiliary vector with the path that the kernel was given.
const AT_EXECFN: c_ulong = 31;

unsafe extern "C" {
    safe fn getauxval(kind: c_ulong) -> c_ulong;
    fn execv(path: *const c_char, arguments: *const *const c_char) -> c_int;
}

/// Where the C library starts the program.
// SAFETY: the name is that of the C entry point, which nothing else in this program defines.
#[unsafe(no_mangle)]
pub extern "C" fn main(_count: c_int, arguments: *const *const c_char) -> c_int {
    let (message, next_step) = start(arguments);
    let mut stderr = io::stderr().lock();
    let _ = writeln!(stderr, "mmport: error: {message}\n  next: {next_step}");
    FAILED
}

/// Replaces this program by its runtime; returns what is wrong, and what to do, where that fails.
fn start(arguments: *const *const c_char) -> (String, &'static str) {
    let path = own_path();
    let failed = |what: String| format!("failed to start `{}`: {what}", path.display());
    let opened = File::open("/proc/self/exe").or_else(|_| File::open(&path));
    let executable = match opened {
        Ok(executable) => executable,
        Err(error) => return (failed(error.to_string()), "allow reading the file"),
    };
    let manifest = match Manifest::of_executable(&executable) {
        Ok(manifest) => manifest,
        Err(error) => return (failed(error.to_string()), "get the file again, it is damaged"),
    };
    // SAFETY: no other thread has been started.
    unsafe { std::env::set_var(runtime::EXECUTABLE_VARIABLE, &path) };
    let roots = root::store_roots();
    let mut tried = Vec::new();
    for root in &roots {
        if let Some(program) = runtime::existing(root, &manifest) {
            tried.push((root, execute(&program, arguments)));
        }
    }
    for root in &roots {
        if tried.iter().any(|(other, _)| *other == root) {
            continue;
        }
        let error = match runtime::bring_out(root, &executable, &manifest) {
            Ok(program) => execute(&program, arguments),
            Err(error) => error,
        };
        tried.push((root, error));
    }
    let tried: Vec<String> =
        tried.iter().map(|(root, error)| format!("{}: {error}", root.display())).collect();
    let tried = if tried.is_empty() { "none is known".to_owned() } else { tried.join("; ") };
    let message = failed(format!("no directory takes the files of its runtime: {tried}"));
    (message, "set MMPORT_ROOT to a directory that can be written to and executed from")
}

/// Replaces this program by another one with the same arguments; returns why that fails.
fn execute(program: &Path, arguments: *const *const c_char) -> io::Error {
    let Ok(path) = CString::new(program.as_os_str().to_owned().into_vec()) else {
        return io::ErrorKind::InvalidInput.into();
    };
    // SAFETY: the path is a C string, and the arguments are those that this program was given.
    unsafe { execv(path.as_ptr(), arguments) };
    io::Error::last_os_error()
}

/// The path by which this program was started.
fn own_path() -> PathBuf {
    let address = getauxval(AT_EXECFN) as *const c_char;
    if !address.is_null() {
        // SAFETY: the address is that of a C string above the stack, where it stays.
        let path = unsafe { CStr::from_ptr(address) }.to_bytes();
        let path = Path::new(OsStr::from_bytes(path));
        // Started by a descriptor, it has no path that others could open.
        if !path.starts_with("/dev/fd") && !path.starts_with("/proc") && path.exists() {
            return path.to_owned();
        }
    }
    std::env::current_exe().unwrap_or_else(|_| process::abort())
}
