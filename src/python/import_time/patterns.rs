//! Regular expressions that a program compiles while it imports.
//!
//! `re` keeps the patterns that it has compiled. What a program put there while it imported is kept for its
//! next start, in the form that CPython's own engine takes, and put there again as soon as `re` is
//! imported: `re.compile` finds it, and neither parses nor generates anything. What the program compiles
//! beyond that is added at its end, a few times ([`GENERATIONS`]).
//!
//! Not kept: patterns that `re` would not keep, and those that may have been warned of. A pattern that is
//! damaged does not pass the engine's own check, and is compiled by `re`.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::{Mutex, OnceLock, PoisonError};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCFunction, PyDict, PyList, PyString, PyTuple};

use super::exchange::{Exchangeable, Implementation, is_main_interpreter, unseen_builtin_module};
use super::is_importing;
use crate::python::bytecode_cache::Memory;
use crate::python::loaded::{loaded_module, loaded_modules};

/// The module that keeps patterns.
pub(in crate::python) const REGULAR_EXPRESSIONS: &str = "re";

/// How many times what a program compiles is added to what it compiled before.
const GENERATIONS: u8 = 4;
/// How many patterns are worth being added.
const WORTH: usize = 8;
/// How many patterns are put into the cache of `re`, which drops some when it has 512 (256 since 3.13 of
/// the quick ones).
const MOST: usize = 400;
/// `re.LOCALE`: what such a pattern matches depends on more than itself.
const LOCALE: u32 = 4;

const FLAGS: c_int = ffi::METH_FASTCALL | ffi::METH_KEYWORDS;

/// How `_sre.compile` is called: pattern, flags, code, number of groups, their names, and the names by number.
const ARGUMENTS: usize = 6;
const CODE: usize = 2;

/// What the functions did that are observed.
#[derive(Debug)]
struct Former {
    /// `_sre.compile`
    compile: Exchangeable,
    /// `_warnings.warn`
    warn: Exchangeable,
}

impl Former {
    fn restore(&self, py: Python<'_>) {
        self.compile.restore(py);
        self.warn.restore(py);
    }
}

static FORMER: OnceLock<Former> = OnceLock::new();
thread_local! {
    /// Whether anything was warned of since the last pattern was compiled: of this one, perhaps.
    static IS_WARNED: Cell<bool> = const { Cell::new(false) };
    /// How many warnings are being shown, in the course of which other patterns may be compiled.
    static WARNING: Cell<usize> = const { Cell::new(0) };
}
/// What was compiled, and what it was compiled from, until the program ends.
static COMPILED: Mutex<Vec<(Py<PyAny>, Py<PyTuple>)>> = Mutex::new(Vec::new());
static PROGRAM: OnceLock<Program> = OnceLock::new();

/// What is run, and how often it has added patterns.
#[derive(Debug)]
struct Program {
    name: String,
    generation: OnceLock<u8>,
}

impl Program {
    fn key(&self, generation: u8) -> Vec<u8> {
        // No source begins so.
        [b"\0patterns\0", &[generation][..], self.name.as_bytes()].concat()
    }
}

/// Remembers from now on which patterns `program` compiles.
pub(super) fn remember(py: Python<'_>, program: &str) -> PyResult<()> {
    let program = Program { name: program.to_owned(), generation: OnceLock::new() };
    let _ = PROGRAM.set(program);
    if let Some(module) = loaded_modules(py).get_item(REGULAR_EXPRESSIONS)? {
        fill_cache(&module);
    }
    Ok(())
}

/// Puts patterns of earlier runs into the cache of `re`. A module that is not as we know it is left so.
pub(in crate::python) fn fill_cache(module: &Bound<'_, PyAny>) {
    if let Some(program) = PROGRAM.get()
        && let Err(error) = fill(module, program)
    {
        tracing::debug!(target: "mmport::exec_module", %error, "re is left as it is");
    }
}

fn fill(module: &Bound<'_, PyAny>, program: &Program) -> PyResult<()> {
    let py = module.py();
    let Some(memory) = Memory::get(py) else { return Ok(()) };
    let cache = module.getattr(intern!(py, "_cache"))?.cast_into_exact::<PyDict>()?;
    let engine = loaded_module(py, "_sre")?;
    let compile = engine.getattr(intern!(py, "compile"))?;
    let mut generation = 0;
    while generation < GENERATIONS
        && let Some(patterns) = memory.recall(py, &program.key(generation))
    {
        for pattern in patterns.cast::<PyList>()?.iter() {
            let (flags, arguments) = pattern.extract::<(Bound<'_, PyAny>, Bound<'_, PyTuple>)>()?;
            let text = arguments.get_item(0)?;
            let key = (text.get_type(), text, flags).into_pyobject(py)?;
            if cache.len() < MOST && !cache.contains(&key)? {
                cache.set_item(key, compile.call1(&arguments)?)?;
            }
        }
        generation += 1;
    }
    tracing::debug!(target: "mmport::bytecode", generation, patterns = cache.len(), "patterns recalled");
    if generation < GENERATIONS && program.generation.set(generation).is_ok() && memory.may_keep(py)
    {
        observe(py, &compile)?;
    }
    Ok(())
}

/// Has patterns noted that are compiled from now on.
fn observe(py: Python<'_>, compile: &Bound<'_, PyAny>) -> PyResult<()> {
    let warn = unseen_builtin_module(py, "_warnings")?.getattr("warn")?;
    let found = Exchangeable::of(compile, FLAGS).zip(Exchangeable::of(&warn, FLAGS));
    let Some((compile, warn)) = found else { return Ok(()) };
    let former = FORMER.get_or_init(|| Former { compile, warn });
    // SAFETY: both have the signature that the flags ask for, and do in all other interpreters than the main
    // one what was done before.
    unsafe {
        former.compile.exchange(py, noted_compile as Implementation);
        former.warn.exchange(py, noted_warn as Implementation);
    }
    Ok(())
}

/// `_sre.compile`, noted.
unsafe extern "C" fn noted_compile(
    module: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(former) = FORMER.get() else { return std::ptr::null_mut() };
    // SAFETY: what was there before is called as it was; arguments of a call are alive, and CPython calls
    // functions of modules in threads that are attached to an interpreter.
    unsafe {
        let compiled = former_function(&former.compile)(module, arguments.cast_mut(), count, names);
        if WARNING.get() > 0 || IS_WARNED.replace(false) {
            return compiled;
        }
        if compiled.is_null() || !is_importing() || !names.is_null() {
            return compiled;
        }
        let py = Python::assume_attached();
        if compiled_patterns().len() >= MOST {
            former.restore(py);
            return compiled;
        }
        if count == ARGUMENTS as ffi::Py_ssize_t && is_main_interpreter(py) {
            let arguments = std::slice::from_raw_parts(arguments, ARGUMENTS);
            let arguments =
                arguments.iter().map(|&argument| Bound::from_borrowed_ptr(py, argument));
            if let Ok(arguments) = PyTuple::new(py, arguments.collect::<Vec<Bound<'_, PyAny>>>()) {
                let compiled = Bound::from_borrowed_ptr(py, compiled).unbind();
                compiled_patterns().push((compiled, arguments.unbind()));
            }
        }
        compiled
    }
}

/// `_warnings.warn`, noted.
unsafe extern "C" fn noted_warn(
    module: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(former) = FORMER.get() else { return std::ptr::null_mut() };
    WARNING.set(WARNING.get() + 1);
    // SAFETY: what was there before is called as it was.
    let outcome =
        unsafe { former_function(&former.warn)(module, arguments.cast_mut(), count, names) };
    WARNING.set(WARNING.get() - 1);
    IS_WARNED.set(true);
    outcome
}

/// # Safety
/// The function has the flags [`FLAGS`].
unsafe fn former_function(function: &Exchangeable) -> ffi::PyCFunctionFastWithKeywords {
    // SAFETY: see above.
    unsafe {
        std::mem::transmute::<Implementation, ffi::PyCFunctionFastWithKeywords>(function.former())
    }
}

fn compiled_patterns() -> std::sync::MutexGuard<'static, Vec<(Py<PyAny>, Py<PyTuple>)>> {
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps what the program has compiled, for its next start, and notes nothing more.
pub fn remember_patterns(py: Python<'_>) {
    let compiled = std::mem::take(&mut *compiled_patterns());
    if let Some(former) = FORMER.get() {
        former.restore(py);
    }
    if compiled.is_empty() {
        return;
    }
    if let Err(error) = keep(py, &compiled) {
        tracing::debug!(target: "mmport::exec_module", %error, "patterns are not remembered");
    }
}

fn keep(py: Python<'_>, compiled: &[(Py<PyAny>, Py<PyTuple>)]) -> PyResult<()> {
    let Some((program, memory)) = PROGRAM.get().zip(Memory::get(py)) else { return Ok(()) };
    let Some(&generation) = program.generation.get() else { return Ok(()) };
    // Warnings of a function that is none of CPython's are not noted.
    let warn = loaded_module(py, "warnings").and_then(|warnings| warnings.getattr("warn"));
    if warn.is_ok_and(|warn| !warn.is_instance_of::<PyCFunction>()) {
        return Ok(());
    }
    let cache = loaded_module(py, REGULAR_EXPRESSIONS)?.getattr(intern!(py, "_cache"))?;
    let patterns = PyList::empty(py);
    // A copy: other threads may add to it.
    for (key, pattern) in cache.cast_exact::<PyDict>()?.copy()?.iter() {
        let is_it = |(one, _): &&(Py<PyAny>, Py<PyTuple>)| one.is(&pattern);
        let Some((_, arguments)) = compiled.iter().find(is_it) else { continue };
        let (_, text, flags) = key.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>, u32)>()?;
        // Strings of the program's own types are not to be kept.
        let is_plain =
            text.is_exact_instance_of::<PyString>() || text.is_exact_instance_of::<PyBytes>();
        let arguments = arguments.bind(py);
        let all_flags: u32 = arguments.get_item(1)?.extract()?;
        if is_plain && all_flags & LOCALE == 0 {
            patterns.append((flags, plain(arguments)?))?;
        }
    }
    tracing::debug!(target: "mmport::bytecode", generation, patterns = patterns.len(), "patterns noted");
    let worth = if generation == 0 { 1 } else { WORTH };
    if patterns.len() >= worth && memory.may_keep(py) {
        let key = program.key(generation);
        memory.keep(py, &key, "regular expressions", &program.name, &patterns);
    }
    Ok(())
}

/// The arguments, with operation codes that are numbers only: those of `re` have names, too.
fn plain<'py>(arguments: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyTuple>> {
    let mut plain: Vec<Bound<'py, PyAny>> = arguments.iter().collect();
    let code: Vec<u64> = plain[CODE].extract()?;
    plain[CODE] = PyList::new(arguments.py(), code)?.into_any();
    PyTuple::new(arguments.py(), plain)
}
