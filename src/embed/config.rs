//! `PyConfig`, the configuration of an interpreter that is about to start (PEP 587).
//!
//! The only file that touches CPython's initialization structures. Strings that are set are copied
//! by CPython; everything is released when a [`Config`] is dropped.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use pyo3::ffi;

use super::LaunchError;
use super::arenas::use_large_pages;
use super::bundled_python::BundledPython;
use super::identity;
use super::interpreter::{Program, Run};

/// A configuration in the making.
pub(super) struct Config {
    raw: Box<ffi::PyConfig>,
}

impl Drop for Config {
    fn drop(&mut self) {
        // SAFETY: `raw` was initialized by `PyConfig_InitPythonConfig` and is cleared only here.
        unsafe { ffi::PyConfig_Clear(&raw mut *self.raw) };
    }
}

impl Config {
    /// The configuration of the `python` command with the arguments `arguments`, of which the first
    /// is the program itself. With `parse`, options of Python's are taken from them; without, they
    /// become `sys.argv` as they are.
    pub(super) fn new<S: AsRef<OsStr>>(arguments: &[S], parse: bool) -> Result<Self, LaunchError> {
        let mut raw = Box::<ffi::PyConfig>::new_uninit();
        // SAFETY: `PyConfig_InitPythonConfig` fills in every field of the structure it is given.
        let mut config = Self {
            raw: unsafe {
                ffi::PyConfig_InitPythonConfig(raw.as_mut_ptr());
                raw.assume_init()
            },
        };
        config.raw.parse_argv = parse.into();
        let arguments: Vec<CString> = arguments
            .iter()
            .map(|argument| c_string(argument.as_ref()))
            .collect::<Result<_, _>>()?;
        let mut pointers: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        // SAFETY: `pointers` holds that many valid C strings; CPython copies them. This also
        // preinitializes Python, with the encodings that the arguments and the environment ask for.
        check(unsafe {
            ffi::PyConfig_SetBytesArgv(
                &raw mut *config.raw,
                pointers.len() as ffi::Py_ssize_t,
                pointers.as_mut_ptr(),
            )
        })?;
        Ok(config)
    }

    /// Leaves the search for prefix and standard library to CPython, which starts from the
    /// executable that it was built as: for plain Python.
    pub(super) fn find_paths_from_base(mut self) -> Result<Self, LaunchError> {
        let executable = OsStr::new(identity::EXECUTABLE);
        self.set(|raw| &raw mut raw.program_name, executable)?;
        self.set(|raw| &raw mut raw.executable, executable)?;
        Ok(self)
    }

    /// Leaves the search to CPython, which starts from `executable`, and ends with the prefix that it was
    /// built for. Nothing is read before the start, because CPython forgets `-X warn_default_encoding`
    /// when it reads a configuration twice.
    pub(super) fn find_paths_from_link(
        mut self,
        executable: &OsStr,
        base_executable: &OsStr,
    ) -> Result<Self, LaunchError> {
        self.set(|raw| &raw mut raw.executable, executable)?;
        self.set(|raw| &raw mut raw.base_executable, base_executable)?;
        Ok(self)
    }

    /// Leaves the search for the standard library to CPython, which starts from the `pyvenv.cfg`
    /// beside the environment's executable, as in any virtual environment; `site` makes the
    /// environment `sys.prefix`.
    pub(super) fn find_paths_from_environment(
        mut self,
        executable: &OsStr,
    ) -> Result<Self, LaunchError> {
        self.set(|raw| &raw mut raw.program_name, executable)?;
        self.set(|raw| &raw mut raw.executable, executable)?;
        self.set(|raw| &raw mut raw.base_executable, OsStr::new(identity::EXECUTABLE))?;
        self.read()?;
        Ok(self)
    }

    /// Fixes every path, where no environment could be made: nothing is searched for, and no
    /// `site-packages` are on the path, because `prefix` is no directory.
    pub(super) fn fix_paths(
        mut self,
        executable: &OsStr,
        prefix: &OsStr,
    ) -> Result<Self, LaunchError> {
        use identity::{DYNLOAD, EXEC_PREFIX, EXECUTABLE, PREFIX, STDLIB, ZIP};
        self.set(|raw| &raw mut raw.program_name, executable)?;
        self.set(|raw| &raw mut raw.executable, executable)?;
        self.set(|raw| &raw mut raw.base_executable, OsStr::new(EXECUTABLE))?;
        self.set(|raw| &raw mut raw.prefix, prefix)?;
        self.set(|raw| &raw mut raw.exec_prefix, prefix)?;
        self.set(|raw| &raw mut raw.base_prefix, OsStr::new(PREFIX))?;
        self.set(|raw| &raw mut raw.base_exec_prefix, OsStr::new(EXEC_PREFIX))?;
        self.raw.pathconfig_warnings = 0;
        self.raw.user_site_directory = 0;
        let paths = [ZIP, STDLIB, DYNLOAD].into_iter().filter(|path| !path.is_empty());
        self.search(paths.map(OsStr::new))
    }

    /// Fixes every path, for a Python whose standard library is in a bundle. `sys.prefix` is `prefix`,
    /// unless `site` finds an environment around `executable`.
    pub(super) fn paths_in_bundle(
        mut self,
        executable: &OsStr,
        base_executable: &OsStr,
        python: &BundledPython,
        prefix: &Path,
    ) -> Result<Self, LaunchError> {
        let (prefix, base_prefix) = (prefix.as_os_str(), python.prefix.as_os_str());
        self.set(|raw| &raw mut raw.program_name, executable)?;
        self.set(|raw| &raw mut raw.executable, executable)?;
        self.set(|raw| &raw mut raw.base_executable, base_executable)?;
        self.set(|raw| &raw mut raw.prefix, prefix)?;
        self.set(|raw| &raw mut raw.exec_prefix, prefix)?;
        self.set(|raw| &raw mut raw.base_prefix, base_prefix)?;
        self.set(|raw| &raw mut raw.base_exec_prefix, base_prefix)?;
        self.set(|raw| &raw mut raw.platlibdir, OsStr::new("lib"))?;
        #[cfg(Py_3_11)]
        self.set(|raw| &raw mut raw.stdlib_dir, python.search_paths[0].as_os_str())?;
        self.raw.pathconfig_warnings = 0;
        self.raw.user_site_directory = 0;
        self.search(python.search_paths.iter().map(|path| path.as_os_str()))
    }

    /// Fixes `sys.path`: what `PYTHONPATH` names comes first, as it does for `python`.
    fn search<'path>(
        mut self,
        paths: impl Iterator<Item = &'path OsStr>,
    ) -> Result<Self, LaunchError> {
        // Before reading: 3.10 would look for the paths, and those come before ours.
        self.raw.module_search_paths_set = 1;
        self.read()?;
        let mut search_paths = self.python_path();
        for path in paths {
            search_paths.push(wide(path)?);
        }
        for path in &search_paths {
            self.append(|raw| &raw mut raw.module_search_paths, path)?;
        }
        Ok(self)
    }

    /// Makes `sys.orig_argv` the command line of a Python that was started on the script
    /// `sys.argv[0]`: reloaders start `sys.executable` with all but its first element.
    pub(super) fn original_arguments<S: AsRef<OsStr>>(
        mut self,
        executable: &OsStr,
        arguments: &[S],
    ) -> Result<Self, LaunchError> {
        let all = [executable].into_iter().chain(arguments.iter().map(AsRef::as_ref));
        for argument in all {
            let argument = wide(argument)?;
            self.append(|raw| &raw mut raw.orig_argv, &argument)?;
        }
        Ok(self)
    }

    /// Whether `site` will be imported; `-S` says no.
    pub(super) fn imports_site(&self) -> bool {
        self.raw.site_import != 0
    }

    /// The optimization level that modules will be loaded for; known once paths are fixed.
    pub(super) fn optimization(&self) -> u8 {
        u8::try_from(self.raw.optimization_level.clamp(0, 2)).unwrap_or(0)
    }

    /// What Python is asked to run, if that is a script or a module and nothing else; known once paths are
    /// fixed, and readable once Python has started, whose memory the text needs on the way.
    fn run(&self) -> Option<Run> {
        let raw = &*self.raw;
        if raw.inspect != 0
            || raw.interactive != 0
            || raw.skip_source_first_line != 0
            || !raw.run_command.is_null()
        {
            return None;
        }
        #[cfg(Py_3_11)]
        let adds_path = raw.safe_path == 0;
        #[cfg(not(Py_3_11))]
        let adds_path = raw.isolated == 0;
        let program = match (raw.run_module.is_null(), raw.run_filename.is_null()) {
            (false, _) => Program::Module(narrow(raw.run_module)?),
            (_, false) => Program::Script(narrow(raw.run_filename)?),
            _ => return None,
        };
        Some(Run { program, adds_path, uses_environment: raw.use_environment != 0 })
    }

    /// Starts the interpreter, and says what it was asked to run, if that is not left to it. Afterwards this
    /// thread holds the global interpreter lock.
    pub(super) fn start(self) -> Result<Option<Run>, LaunchError> {
        use_large_pages();
        // SAFETY: no interpreter is running yet (there is one launch per process), and `raw` is a
        // complete configuration.
        check(unsafe { ffi::Py_InitializeFromConfig(&raw const *self.raw) })?;
        Ok(self.run())
    }

    /// Has CPython fill in what depends on environment variables and arguments.
    fn read(&mut self) -> Result<(), LaunchError> {
        // SAFETY: `raw` was initialized; reading twice is allowed and changes nothing.
        check(unsafe { ffi::PyConfig_Read(&raw mut *self.raw) })
    }

    /// The entries of `PYTHONPATH`, when the environment counts.
    fn python_path(&self) -> Vec<Vec<libc::wchar_t>> {
        let start = self.raw.pythonpath_env;
        if start.is_null() || self.raw.use_environment == 0 {
            return Vec::new();
        }
        // SAFETY: CPython keeps the variable as a wide string that ends in NUL.
        let value = unsafe { std::slice::from_raw_parts(start, libc::wcslen(start)) };
        if value.is_empty() {
            return Vec::new();
        }
        value
            .split(|character| *character == libc::wchar_t::from(b':'))
            .map(|path| path.iter().copied().chain([0]).collect())
            .collect()
    }

    /// Appends to one list of the configuration a string that ends in NUL.
    fn append(
        &mut self,
        field: impl FnOnce(&mut ffi::PyConfig) -> *mut ffi::PyWideStringList,
        value: &[libc::wchar_t],
    ) -> Result<(), LaunchError> {
        let field = field(&mut self.raw);
        // SAFETY: `field` points to a list of `raw`, and `value` is a wide string that ends in NUL
        // (all callers get it from `wide` or `python_path`); CPython copies it.
        check(unsafe { ffi::PyWideStringList_Append(field, value.as_ptr()) })
    }

    /// Sets one string of the configuration.
    fn set(
        &mut self,
        field: impl FnOnce(&mut ffi::PyConfig) -> *mut *mut libc::wchar_t,
        value: &OsStr,
    ) -> Result<(), LaunchError> {
        let value = c_string(value)?;
        let field = field(&mut self.raw);
        // SAFETY: `field` points to a string field of `raw`; CPython copies the value and frees
        // what was there.
        check(unsafe { ffi::PyConfig_SetBytesString(&raw mut *self.raw, field, value.as_ptr()) })
    }
}

fn c_string(value: &OsStr) -> Result<CString, LaunchError> {
    CString::new(value.as_bytes())
        .map_err(|_| LaunchError::Argument { argument: value.to_string_lossy().into_owned() })
}

/// A string decoded as CPython decodes its arguments, with a NUL at its end.
fn wide(value: &OsStr) -> Result<Vec<libc::wchar_t>, LaunchError> {
    let bytes = c_string(value)?;
    // SAFETY: the argument is a C string; the result is NULL or a wide string that ends in NUL and
    // belongs to us until `PyMem_RawFree`.
    unsafe {
        let decoded = ffi::Py_DecodeLocale(bytes.as_ptr(), std::ptr::null_mut());
        if decoded.is_null() {
            return Err(LaunchError::Argument { argument: value.to_string_lossy().into_owned() });
        }
        let copy = std::slice::from_raw_parts(decoded, libc::wcslen(decoded) + 1).to_vec();
        ffi::PyMem_RawFree(decoded.cast());
        Ok(copy)
    }
}

/// What CPython has read from the command line, as it was there.
fn narrow(value: *const libc::wchar_t) -> Option<OsString> {
    // SAFETY: the value is a string of CPython's, which is preinitialized; the copy is ours to free.
    unsafe {
        let encoded = ffi::Py_EncodeLocale(value, ptr::null_mut());
        if encoded.is_null() {
            return None;
        }
        let narrow = OsStr::from_bytes(CStr::from_ptr(encoded).to_bytes()).to_owned();
        ffi::PyMem_Free(encoded.cast());
        Some(narrow)
    }
}

/// A status of CPython's as a result; ends the process where CPython asks for that, as it does for
/// `--version` and `--help`.
fn check(status: ffi::PyStatus) -> Result<(), LaunchError> {
    // SAFETY: these functions only look at the status.
    unsafe {
        if ffi::PyStatus_IsExit(status) != 0 {
            std::process::exit(status.exitcode);
        }
        if ffi::PyStatus_Exception(status) == 0 {
            return Ok(());
        }
    }
    let message = if status.err_msg.is_null() {
        "unknown error".into()
    } else {
        // SAFETY: an error status has a C string with static lifetime as its message.
        unsafe { CStr::from_ptr(status.err_msg) }.to_string_lossy().into_owned()
    };
    Err(LaunchError::Start { message })
}
