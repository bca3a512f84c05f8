//! Which loaded extension modules are known to have no effect at the end of the process.
//!
//! Objects of a type that is written in C may do anything when they are deallocated, and need not be
//! known to the collector. So every shared library in the process has to be one of these: a library of the
//! system, which Python's finalization does not reach; libpython, or mmport; an extension module of the
//! standard library that is not in [`WITH_EFFECTS`]; one of those in `known.rs`, which were read; or one that
//! mypyc has made of Python code, whose types do nothing when they are deallocated but let their attributes
//! go, and have their finalizers where the collector sees them.

use std::borrow::Cow;
use std::ffi::{CStr, OsStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use memchr::memmem;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::Reason;
use super::known::is_harmless;
use crate::bundle::PYTHON_DIRECTORY;
use crate::embed::identity::{DYNLOAD, PREFIX};

/// Modules of the standard library with objects that write when they go, and that nobody can look for; and
/// those that are made to test the interpreter.
const WITH_EFFECTS: [&str; 8] = [
    "_dbm",
    "_gdbm",
    "_testbuffer",
    "_testcapi",
    "_testinternalcapi",
    "_testmultiphase",
    "_tkinter",
    "ossaudiodev",
];

/// Where the system has its libraries.
const OF_THE_SYSTEM: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// Checks everything that is loaded.
///
/// # Errors
/// What is not known to have no effect.
pub(super) fn check(modules: &Bound<'_, PyDict>) -> Result<(), Reason> {
    for name in WITH_EFFECTS {
        if modules.contains(name).map_err(|error| error.to_string())? {
            return Err(format!("`{name}` is imported"));
        }
    }
    match loaded().iter().find(|library| !is_known(&library.path) && !library.is_by_mypyc) {
        Some(library) => Err(format!("`{}` is loaded", library.path.display())),
        None => Ok(()),
    }
}

/// What the modules that mypyc has made look for in the library that has the code of all of them.
const OF_MYPYC: &[u8] = b"__mypyc";
/// The end of the name of that library, without the suffixes for a Python.
const LIBRARY_OF_MYPYC: &str = "__mypyc";

/// A shared library in the process.
#[derive(Debug)]
struct Library {
    path: PathBuf,
    is_by_mypyc: bool,
}

impl Library {
    /// # Safety
    /// The description is the loader's of a library that stays loaded meanwhile.
    unsafe fn new(description: &libc::dl_phdr_info) -> Self {
        // SAFETY: the name is null or a C string; segments that are readable are mapped as the headers say.
        let (path, segments) = unsafe {
            let name = description.dlpi_name;
            let name = if name.is_null() { c"" } else { CStr::from_ptr(name) };
            let headers = std::slice::from_raw_parts(
                description.dlpi_phdr,
                usize::from(description.dlpi_phnum),
            );
            let readable = headers.iter().filter(|header| {
                header.p_type == libc::PT_LOAD
                    && header.p_flags & (libc::PF_R | libc::PF_W) == libc::PF_R
            });
            let segments = readable.map(|header| {
                let start = (description.dlpi_addr + header.p_vaddr) as *const u8;
                std::slice::from_raw_parts(start, usize::try_from(header.p_filesz).unwrap_or(0))
            });
            (Path::new(OsStr::from_bytes(name.to_bytes())), segments)
        };
        let is_named = stem(path).ends_with(LIBRARY_OF_MYPYC);
        let is_by_mypyc = is_named
            || (!is_known(path)
                && segments.into_iter().any(|segment| memmem::find(segment, OF_MYPYC).is_some()));
        Self { path: path.to_owned(), is_by_mypyc }
    }
}

/// The name of a file up to the first dot.
fn stem(path: &Path) -> Cow<'_, str> {
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    match name.split('.').next() {
        Some(stem) => stem.to_owned().into(),
        None => name,
    }
}

/// All shared libraries in the process.
fn loaded() -> Vec<Library> {
    unsafe extern "C" fn note(
        library: *mut libc::dl_phdr_info,
        _: usize,
        libraries: *mut c_void,
    ) -> c_int {
        // SAFETY: the loader calls this with its own description of a library, and with the list that is
        // passed on below.
        unsafe { (*libraries.cast::<Vec<Library>>()).push(Library::new(&*library)) };
        0
    }
    let mut libraries: Vec<Library> = Vec::new();
    // SAFETY: the list outlives the call, and nothing else refers to it meanwhile.
    unsafe { libc::dl_iterate_phdr(Some(note), (&raw mut libraries).cast()) };
    libraries
}

/// Whether a loaded file has no effect that finalization could have.
fn is_known(path: &Path) -> bool {
    let text = path.to_string_lossy();
    // The program itself, and what the kernel brings.
    if !text.contains('/') {
        return true;
    }
    let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default();
    let stem = stem(path);
    let directory = path.parent().unwrap_or(path);
    let below = |packages| Some(text.rsplit_once(packages)?.1);
    let in_packages = below("/site-packages/")
        .filter(|place| !place.starts_with(PYTHON_DIRECTORY))
        .or_else(|| below("/dist-packages/"));
    if name.starts_with("libpython") || stem == "_mmport" {
        return true;
    }
    // Of the Python that is installed, or brought by a standalone executable.
    if directory.ends_with("lib-dynload") || directory == Path::new(DYNLOAD) {
        return !WITH_EFFECTS.contains(&&*stem);
    }
    if let Some(place) = in_packages {
        let directory = place.rsplit_once('/').map_or("", |(directory, _)| directory);
        return is_harmless(directory, &stem);
    }
    let is_extension_module = name.contains(".cpython-") || name.contains(".abi3.");
    let is_system = OF_THE_SYSTEM.iter().any(|place| path.starts_with(place));
    let is_brought = directory.ends_with(".python/lib")
        || directory.parent().and_then(Path::parent).is_some_and(|it| it.ends_with("runtimes-v1"))
        || directory == Path::new(PREFIX).join("lib");
    !is_extension_module && (is_system || is_brought)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_harmless() {
        for (path, expected) in [
            ("", true),
            ("linux-vdso.so.1", true),
            ("/lib/x86_64-linux-gnu/libssl.so.3", true),
            ("/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0", true),
            ("/opt/python/lib/python3.11/lib-dynload/_json.cpython-311-x86_64-linux-gnu.so", true),
            ("/opt/python/lib/python3.11/lib-dynload/_dbm.cpython-311-x86_64-linux-gnu.so", false),
            (
                "/r/trees-v2/k/site-packages/markupsafe/_speedups.cpython-311-x86_64-linux-gnu.so",
                true,
            ),
            ("/r/trees-v2/k/site-packages/other/_speedups.cpython-311-x86_64-linux-gnu.so", false),
            ("/r/trees-v2/k/site-packages/pandas/_libs/a/b.cpython-311-x86_64-linux-gnu.so", true),
            ("/r/trees-v2/k/site-packages/ujson.cpython-311-x86_64-linux-gnu.so", true),
            ("/r/trees-v2/k/site-packages/scipy/fft/_x/_y.cpython-311-x86_64-linux-gnu.so", true),
            (
                "/r/trees-v2/k/site-packages/scipy/_lib/_test_c.cpython-311-x86_64-linux-gnu.so",
                false,
            ),
            ("/r/trees-v2/k/site-packages/numpy.libs/libscipy_openblas64_-1.so", true),
            ("/r/trees-v2/k/site-packages/.python/lib/libssl.so.3", true),
            ("/r/runtimes-v1/k/lib/libgcc_s.so.1", true),
            ("/usr/lib/python3/dist-packages/yaml/_yaml.cpython-311-x86_64-linux-gnu.so", true),
            ("/home/me/thing.so", false),
            ("/home/me/thing.abi3.so", false),
            ("/proc/self/fd/70", false),
        ] {
            assert_eq!(is_known(Path::new(path)), expected, "{path}");
        }
    }
}
