//! Code objects of strings that a program executes while it imports.
//!
//! `dataclasses`, `namedtuple`, `attrs` and others write code and run it, the same at every start. What
//! `exec`, `eval` and `compile` make of a string is kept by all that decides it: the string, the name of its
//! file, the mode, the flags that the calling code has, and the interpreter. The functions then go on with
//! the code object in the place of the string.
//!
//! Left to CPython is everything else: bytes and syntax trees, flags, keyword arguments; strings that the
//! compiler has something to say about, an error or a warning; all of them once somebody listens to audit
//! events (PEP 578), who is to hear of each string that is compiled.

use std::collections::BTreeMap;
use std::ffi::{CString, c_int};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::exceptions::PyWarning;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCode, PyList, PyString, PyTuple};

use super::audit::is_audited;
use super::exchange::{Exchangeable, Implementation, is_main_interpreter};
use super::is_importing;
use crate::python::bytecode_cache::Memory;
use crate::python::loaded::loaded_module;

/// How many expressions are kept at hand: some programs evaluate the same few again and again.
const AT_HAND: usize = 1_000;
/// How many strings one process adds to the store, at most.
const MOST: usize = 10_000;
/// As in `Include/compile.h`, for CPython's own use: the string is text, whatever a comment in it says of
/// its encoding.
const SOURCE_IS_TEXT: c_int = 0x0100 | 0x0800;
/// Numbers with fewer digits are never too long (`sys.int_info.str_digits_check_threshold`).
const DIGITS: usize = 640;
/// The name of the file of what `exec` and `eval` run.
const NO_FILE: &str = "<string>";

/// How many arguments a call has at most that is not left to CPython.
const MOST_ARGUMENTS: usize = 3;

const EXEC: usize = 0;
const EVAL: usize = 1;
const COMPILE: usize = 2;

const FAST: c_int = ffi::METH_FASTCALL;
const KEYWORDS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;

/// The functions, and what they do instead for either way to call them: which it is depends on the version.
const FUNCTIONS: [(&str, [(c_int, Implementation); 2]); 3] =
    [("exec", both::<EXEC>()), ("eval", both::<EVAL>()), ("compile", both::<COMPILE>())];

const fn both<const FUNCTION: usize>() -> [(c_int, Implementation); 2] {
    [
        (FAST, called::<FUNCTION> as Implementation),
        (KEYWORDS, called_with_keywords::<FUNCTION> as Implementation),
    ]
}

static FORMER: OnceLock<[Exchangeable; FUNCTIONS.len()]> = OnceLock::new();
static ADDED: AtomicUsize = AtomicUsize::new(0);
/// Expressions without code objects in them, of which nobody can tell whether they are the same ones.
static EXPRESSIONS: Mutex<BTreeMap<Vec<u8>, Py<PyAny>>> = Mutex::new(BTreeMap::new());

/// Remembers from now on what strings become.
pub(super) fn remember(py: Python<'_>) -> PyResult<()> {
    let builtins = py.import("builtins")?;
    let mut former = Vec::new();
    let mut instead = Vec::new();
    for (name, ways) in FUNCTIONS {
        let function = builtins.getattr(name)?;
        let found = ways.into_iter().find_map(|(flags, implementation)| {
            Some((Exchangeable::of(&function, flags)?, implementation))
        });
        // Replaced already, or not as we know them.
        let Some((exchangeable, implementation)) = found else { return Ok(()) };
        former.push(exchangeable);
        instead.push(implementation);
    }
    let Ok(former) = <[Exchangeable; FUNCTIONS.len()]>::try_from(former) else { return Ok(()) };
    for (function, implementation) in FORMER.get_or_init(|| former).iter().zip(instead) {
        // SAFETY: the implementation is the one for the function's flags, and calls what was there before in
        // all other interpreters than the main one.
        unsafe { function.exchange(py, implementation) };
    }
    Ok(())
}

/// A string that is to become a code object.
struct Text<'a> {
    source: &'a str,
    file: &'a str,
    /// `Py_file_input` or `Py_eval_input`.
    start: c_int,
    flags: c_int,
    /// Whether the code object is run and nobody gets it.
    is_run: bool,
}

impl Text<'_> {
    /// The code object, from the store or from the compiler; `None` where CPython is to do as ever.
    fn code<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let key = self.key();
        let is_at_hand = self.is_run && self.start == ffi::Py_eval_input;
        if is_at_hand && let Some(code) = expressions().get(&key) {
            return Some(code.bind(py).clone());
        }
        let memory = Memory::get(py)?;
        let found = memory.recall(py, &key).filter(|code| code.is_exact_instance_of::<PyCode>());
        let code = match found {
            Some(code) => {
                tracing::debug!(target: "mmport::bytecode", file = self.file, "string recalled");
                code
            }
            None => {
                if !memory.may_keep(py) || ADDED.fetch_add(1, Ordering::Relaxed) >= MOST {
                    return None;
                }
                let code = self.compile(py)?;
                memory.keep(py, &key, self.file, "while importing", &code);
                tracing::debug!(target: "mmport::bytecode", file = self.file, "string kept");
                code
            }
        };
        if is_at_hand && has_no_code_inside(&code) {
            let kept = code.clone().unbind();
            let mut expressions = expressions();
            if expressions.len() < AT_HAND {
                expressions.entry(key).or_insert(kept);
            }
        }
        Some(code)
    }

    /// All that decides what becomes of it, beside the interpreter. No source begins so.
    fn key(&self) -> Vec<u8> {
        let mut key = b"\0string\0".to_vec();
        for number in [self.start, self.flags, self.file.len() as c_int] {
            key.extend(number.to_le_bytes());
        }
        key.extend(self.file.bytes().chain(self.source.bytes()));
        key
    }

    /// Compiles it as the functions do. `None` where the compiler has anything to say: it says so when the
    /// function compiles it again.
    fn compile<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let (source, file) = (CString::new(self.source).ok()?, CString::new(self.file).ok()?);
        with_warnings_as_errors(py, || {
            let mut flags = compiler_flags(self.flags);
            // SAFETY: both strings end, and the flags are those of this call.
            unsafe {
                Bound::from_owned_ptr_or_err(
                    py,
                    ffi::Py_CompileStringExFlags(
                        source.as_ptr(),
                        file.as_ptr(),
                        self.start,
                        &raw mut flags,
                        -1,
                    ),
                )
            }
        })
        .ok()
    }
}

fn expressions() -> MutexGuard<'static, BTreeMap<Vec<u8>, Py<PyAny>>> {
    EXPRESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_no_code_inside(code: &Bound<'_, PyAny>) -> bool {
    let constants =
        code.getattr("co_consts").and_then(|constants| Ok(constants.cast_into::<PyTuple>()?));
    constants.is_ok_and(|constants| !constants.iter().any(|it| it.is_instance_of::<PyCode>()))
}

/// Runs `compile`, which runs no Python code but for warnings, so that each warning is an error, and nobody
/// is warned.
fn with_warnings_as_errors<'py>(
    py: Python<'py>,
    compile: impl FnOnce() -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    // Where CPython looks as long as nobody has imported `warnings`.
    let warnings = loaded_module(py, "warnings").or_else(|_| loaded_module(py, "_warnings"))?;
    let filters = warnings.getattr(intern!(py, "filters"))?.cast_into::<PyList>()?;
    let filter =
        ("error", py.None(), py.get_type::<PyWarning>(), py.None(), 0).into_pyobject(py)?;
    // SAFETY: the thread is attached. The collector would run finalizers of the program's.
    let was_enabled = unsafe { ffi::PyGC_Disable() } != 0;
    let inserted = filters.insert(0, &filter);
    let outcome = inserted.and_then(|()| compile());
    let place = filters.iter().position(|it| it.is(&filter));
    let removed = place.map_or(Ok(()), |place| filters.del_item(place));
    if was_enabled {
        // SAFETY: as above.
        unsafe { ffi::PyGC_Enable() };
    }
    removed.and(outcome)
}

mod cpython {
    use super::{c_int, ffi};

    unsafe extern "C" {
        pub fn PyEval_MergeCompilerFlags(flags: *mut ffi::PyCompilerFlags) -> c_int;
    }
}

fn compiler_flags(flags: c_int) -> ffi::PyCompilerFlags {
    // The version is looked at for syntax trees only.
    ffi::PyCompilerFlags { cf_flags: flags, cf_feature_version: 0 }
}

/// The flags of a string that the running code has compiled: those that it was compiled with itself
/// (`from __future__ import …`), where they are inherited.
fn flags_of_caller(_: Python<'_>) -> c_int {
    let mut flags = compiler_flags(SOURCE_IS_TEXT);
    // SAFETY: the thread is attached, and the flags are those of this call.
    unsafe { cpython::PyEval_MergeCompilerFlags(&raw mut flags) };
    flags.cf_flags
}

/// The text that a function is called with; `None` where CPython is to do as ever.
fn text<'a, 'py>(
    py: Python<'py>,
    function: usize,
    arguments: &'a [Bound<'py, PyAny>],
) -> Option<Text<'a>> {
    let string = |index: usize| -> Option<&'a str> {
        arguments.get(index)?.cast_exact::<PyString>().ok()?.to_str().ok()
    };
    let mut source =
        string(0).filter(|source| !source.contains('\0') && !has_long_number(source))?;
    let (file, start) = match function {
        EXEC => (NO_FILE, ffi::Py_file_input),
        EVAL => {
            source = source.trim_start_matches([' ', '\t']);
            (NO_FILE, ffi::Py_eval_input)
        }
        _ if arguments.len() != 3 => return None,
        _ => match string(2)? {
            "exec" => (string(1)?, ffi::Py_file_input),
            "eval" => (string(1)?, ffi::Py_eval_input),
            _ => return None,
        },
    };
    let (flags, is_run) = (flags_of_caller(py), function != COMPILE);
    (!file.contains('\0')).then_some(Text { source, file, start, flags, is_run })
}

/// Whether there may be a number that is too long to be read: how long that is, a program sets.
fn has_long_number(source: &str) -> bool {
    source.len() >= DIGITS
        && source
            .as_bytes()
            .split(|byte| !byte.is_ascii_digit() && *byte != b'_')
            .any(|digits| digits.len() >= DIGITS)
}

/// The code object for a call of the function with these arguments; `None` where CPython is to do as ever.
///
/// # Safety
/// The arguments are those of a call, in a thread that is attached to an interpreter.
unsafe fn code(
    function: usize,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> Option<*mut ffi::PyObject> {
    if !is_importing() {
        return None;
    }
    // SAFETY: see above.
    let (py, arguments) = unsafe {
        (
            Python::assume_attached(),
            std::slice::from_raw_parts(arguments, usize::try_from(count).ok()?),
        )
    };
    if arguments.is_empty()
        || arguments.len() > MOST_ARGUMENTS
        || !is_main_interpreter(py)
        || is_audited(py)
    {
        return None;
    }
    // SAFETY: arguments of a call are alive.
    let arguments =
        arguments.iter().map(|&argument| unsafe { Bound::from_borrowed_ptr(py, argument) });
    let arguments: Vec<_> = arguments.collect();
    Some(text(py, function, &arguments)?.code(py)?.into_ptr())
}

/// What the functions do instead, called with keywords or without: the former function does it, with the
/// code object in the place of the string.
///
/// # Safety
/// As for functions with the flags `METH_FASTCALL` and `METH_KEYWORDS`.
unsafe extern "C" fn called_with_keywords<const FUNCTION: usize>(
    module: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let former = |arguments: *const *mut ffi::PyObject| {
        let Some(functions) = FORMER.get() else { return ptr::null_mut() };
        // SAFETY: this is what was there before, with the same flags.
        unsafe {
            std::mem::transmute::<Implementation, ffi::PyCFunctionFastWithKeywords>(
                functions[FUNCTION].former(),
            )(module, arguments.cast_mut(), count, names)
        }
    };
    // SAFETY: CPython calls functions of modules in threads that are attached to an interpreter.
    match unsafe { if names.is_null() { code(FUNCTION, arguments, count) } else { None } } {
        Some(code) => unsafe { with_code::<FUNCTION>(code, arguments, count, former) },
        None => former(arguments),
    }
}

/// As [`called_with_keywords`], for functions with the flag `METH_FASTCALL` alone.
///
/// # Safety
/// As for such functions.
unsafe extern "C" fn called<const FUNCTION: usize>(
    module: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    let former = |arguments: *const *mut ffi::PyObject| {
        let Some(functions) = FORMER.get() else { return ptr::null_mut() };
        // SAFETY: this is what was there before, with the same flags.
        unsafe {
            std::mem::transmute::<Implementation, ffi::PyCFunctionFast>(
                functions[FUNCTION].former(),
            )(module, arguments.cast_mut(), count)
        }
    };
    // SAFETY: CPython calls functions of modules in threads that are attached to an interpreter.
    match unsafe { code(FUNCTION, arguments, count) } {
        Some(code) => unsafe { with_code::<FUNCTION>(code, arguments, count, former) },
        None => former(arguments),
    }
}

/// Calls the former function with a code object, of which this takes the reference, or returns that.
///
/// # Safety
/// `arguments` are `count` ones, [`MOST_ARGUMENTS`] at most, and the first is the string.
unsafe fn with_code<const FUNCTION: usize>(
    code: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    former: impl FnOnce(*const *mut ffi::PyObject) -> *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    if FUNCTION == COMPILE {
        return code;
    }
    let mut replaced = [ptr::null_mut(); MOST_ARGUMENTS];
    // SAFETY: see above; the reference to the code object is ours, and given back.
    unsafe {
        ptr::copy_nonoverlapping(arguments, replaced.as_mut_ptr(), count as usize);
        replaced[0] = code;
        let outcome = former(replaced.as_ptr());
        ffi::Py_DECREF(code);
        outcome
    }
}
