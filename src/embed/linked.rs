//! mmport as the executable of a Python: started by one of Python's own names, it is that Python.
//!
//! A link to mmport that is named `python`, `python3` or `python3.N` gives other programs an
//! executable that takes Python's arguments. It is `sys.executable` of its process, so the children
//! that programs start from there have the embedded interpreter again, and so have virtual
//! environments that are made from it, whose own `bin/python` leads to the link.
//!
//! Everything else CPython finds: upwards from the executable and what it leads to, or where it was
//! built for, but not where that Python has been moved to since.

use std::env;
use std::ffi::{CStr, OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::environment::{CONFIGURATION, bundle_of_environment};
use super::identity::VERSION;

/// The paths of a Python that mmport was started as.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LinkedPython {
    /// `sys.executable`
    pub(super) executable: PathBuf,
    /// `sys._base_executable`: another one in a virtual environment.
    pub(super) base_executable: PathBuf,
    /// The bundle from whose environment a virtual environment was made: it may have the standard
    /// library.
    pub(super) bundle: Option<PathBuf>,
}

/// The Python that this process was started as, or `None` when that is none of Python's names: others
/// that begin with `python` may be those of programs. `program` is the first argument of the process,
/// which whoever starts it may choose freely, so the name of the started file counts too.
pub(super) fn linked_python(program: &OsStr) -> Option<LinkedPython> {
    let executable = [Some(program), started_file()]
        .into_iter()
        .flatten()
        .filter(|program| is_name_of_python(program))
        .find_map(executable_of)?;
    let home = home_of_environment(&executable);
    let base_executable = match &home {
        Some(home) => base_executable(home, &executable),
        None => executable.clone(),
    };
    let bundle = home.as_deref().and_then(Path::parent).and_then(bundle_of_environment);
    Some(LinkedPython { executable, base_executable, bundle })
}

fn is_name_of_python(program: &OsStr) -> bool {
    let versioned = format!("python{VERSION}");
    Path::new(program)
        .file_name()
        .is_some_and(|name| ["python", "python3", &versioned].iter().any(|known| name == *known))
}

/// The path that the kernel was given to start this process, if its name begins with `python`: the
/// link, not what it leads to. That of a script whose first line names mmport is none.
pub(super) fn started_file() -> Option<&'static OsStr> {
    let path = started_path()?;
    let name = Path::new(path).file_name()?;
    let is_this_program = || fs::canonicalize(path).ok() == env::current_exe().ok();
    (name.as_bytes().starts_with(b"python") && is_this_program()).then_some(path)
}

/// The path that the kernel was given to start this process.
pub(super) fn started_path() -> Option<&'static OsStr> {
    // SAFETY: the call only looks a number up; that of `AT_EXECFN` is null, or the address of a C string
    // above the stack, where it stays as long as the process.
    unsafe {
        let address = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        (!address.is_null()).then(|| OsStr::from_bytes(CStr::from_ptr(address).to_bytes()))
    }
}

/// The path of the program that was started by its path, or by its name from `PATH`.
pub(super) fn executable_of(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if program.as_bytes().contains(&b'/') {
        return std::path::absolute(path).ok();
    }
    let search = env::var_os("PATH")?;
    env::split_paths(&search).map(|directory| directory.join(path)).find(|it| is_executable(it))
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Where the Python is that the virtual environment around `executable` was made from, if it is in one.
fn home_of_environment(executable: &Path) -> Option<PathBuf> {
    let directory = executable.parent()?;
    [Some(directory), directory.parent()].into_iter().flatten().find_map(|place| {
        let configuration = fs::read_to_string(place.join(CONFIGURATION)).ok()?;
        configuration.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            key.trim().eq_ignore_ascii_case("home").then(|| value.trim().into())
        })
    })
}

/// The Python in `home`, by the name of the environment's, or by one that every Python has there.
fn base_executable(home: &Path, executable: &Path) -> PathBuf {
    let by_name = home.join(executable.file_name().unwrap_or(OsStr::new("python3")));
    if by_name.exists() {
        return by_name;
    }
    let versioned: OsString = format!("python{VERSION}").into();
    let others = [OsString::from("python3"), versioned];
    others.iter().map(|name| home.join(name)).find(|it| it.exists()).unwrap_or(by_name)
}
