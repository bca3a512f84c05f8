//! The end of a program's process: finalizing the interpreter, or proving that nobody could tell.
//!
//! Finalization is up to a third of a short run, and most of it takes objects apart whose end has no
//! effect. What a program can see of its end is done first, in CPython's order: other threads are waited
//! for, exit handlers run, standard streams are flushed. Then all objects are looked at once. If none of
//! them does anything when it goes, and no code is loaded of which that is not known, the process ends, by
//! way of the C library's own exit handlers. Otherwise the interpreter is finalized as ever, and always
//! where the process goes on: a program that embeds the crate gets its interpreter ended.
//!
//! | file | owns |
//! | --- | --- |
//! | `objects.rs` | which objects do something when they go |
//! | `known.rs` | extension modules of distributions that were read |
//! | `libraries.rs` | which libraries are known to do nothing |

mod known;
mod libraries;
mod objects;

use std::env;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::exceptions::PyResourceWarning;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};

use super::Status;
use super::main_module::Ending;
use super::unwinding::finalize;
use crate::python::{
    is_audited, loaded_module, loaded_modules, remember_patterns, unseen_builtin_module,
};

/// The variable, and its value, that ask for finalization.
const VARIABLE: (&str, &str) = ("MMPORT_EXIT", "finalize");

/// Whether the process ends as soon as the program has.
static ENDS_PROCESS: AtomicBool = AtomicBool::new(false);

/// Says that the process ends with the program that it runs, by the status that running it returns, so that
/// the interpreter need not be finalized where nobody could tell.
pub fn end_process_with_program() {
    ENDS_PROCESS.store(true, Ordering::Relaxed);
}

/// Has this process finalize the interpreter, whether anybody could tell or not.
pub fn always_finalize() {
    ENDS_PROCESS.store(false, Ordering::Relaxed);
}

fn may_stay_unfinalized() -> bool {
    let (name, value) = VARIABLE;
    ENDS_PROCESS.load(Ordering::Relaxed) && env::var_os(name).is_none_or(|found| found != value)
}

/// The status of a Python whose standard streams could not be flushed at the end.
const FLUSH_FAILED: Status = 120;

/// Why the interpreter has to be finalized.
type Reason = String;

/// Ends the interpreter as `Py_RunMain` does, as far as anybody can tell.
pub(super) fn finish(ending: Ending) -> Status {
    Python::attach(remember_patterns);
    if let Ending::Status(status) = ending
        && may_stay_unfinalized()
    {
        match Python::attach(end_unnoticed) {
            Ok(()) => return status,
            Err(reason) => {
                tracing::debug!(target: "mmport::exit", reason, "the interpreter is finalized");
            }
        }
    }
    let flushed = finalize();
    match ending {
        Ending::Interrupted => die_of_interrupt(),
        Ending::Status(_) if !flushed => FLUSH_FAILED,
        Ending::Status(status) => status,
    }
}

/// Does what finalization does first, and proves that the rest would not be noticed; an error is why the
/// proof fails. Finalization may follow.
fn end_unnoticed(py: Python<'_>) -> Result<(), Reason> {
    let modules = &loaded_modules(py);
    // As `Py_FinalizeEx` does: `wait_for_thread_shutdown`, `_Py_FinishPendingCalls`, `_PyAtExit_Call`.
    if let Ok(Some(threading)) = modules.get_item("threading")
        && let Err(error) = threading.call_method0("_shutdown")
    {
        error.write_unraisable(py, Some(&threading));
    }
    // SAFETY: this thread holds the interpreter's lock.
    if unsafe { ffi::Py_MakePendingCalls() } < 0 {
        PyErr::fetch(py).write_unraisable(py, None);
    }
    // Handlers are the interpreter's, whatever became of the module.
    let atexit = unseen_builtin_module(py, "atexit").map_err(reason)?;
    atexit.call_method0("_run_exitfuncs").map_err(reason)?;
    // Who listens hears of the end, and would hear of what looks at objects here.
    if is_audited(py) {
        return Err("somebody listens to audit events".into());
    }
    let sys = loaded_module(py, "sys").map_err(reason)?;
    check_settings(&sys, modules)?;
    check_warnings(modules)?;
    libraries::check(modules)?;
    let streams = StandardStreams::of(&sys)?;
    objects::check(&collector(modules)?, modules, &streams.objects)?;
    streams.flush()
}

/// Variables that have something written at the end, by CPython and by numpy.
const TELLING_VARIABLES: [&str; 4] =
    ["PYTHONMALLOCSTATS", "PYTHONDUMPREFS", "PYTHONDUMPREFSFILE", "NUMPY_WARN_IF_NO_MEM_POLICY"];

/// Looks for what makes the end itself visible, and for what is alive beside this thread.
fn check_settings(sys: &Bound<'_, PyAny>, modules: &Bound<'_, PyDict>) -> Result<(), Reason> {
    let flags = sys.getattr("flags").map_err(reason)?;
    for name in ["verbose", "dev_mode", "debug", "inspect"] {
        if flags.getattr(name).and_then(|flag| flag.is_truthy()).map_err(reason)? {
            return Err(format!("sys.flags.{name} is set"));
        }
    }
    for name in TELLING_VARIABLES {
        if env::var_os(name).is_some_and(|value| !value.is_empty()) {
            return Err(format!("{name} is set"));
        }
    }
    // SAFETY: this thread holds the interpreter's lock, so no interpreter comes or goes.
    let (is_only_interpreter, is_only_thread) = unsafe {
        let interpreter = ffi::PyInterpreterState_Get();
        let thread = ffi::PyInterpreterState_ThreadHead(interpreter);
        (
            ffi::PyInterpreterState_Head() == interpreter
                && ffi::PyInterpreterState_Next(interpreter).is_null(),
            ffi::PyThreadState_Next(thread).is_null(),
        )
    };
    if !is_only_interpreter {
        return Err("there are other interpreters".into());
    }
    // One that runs on may write while the streams are flushed; finalization stops it and flushes again.
    if !is_only_thread {
        return Err("there are other threads".into());
    }
    // Not imported: the program's own finders would be asked.
    let gc = collector(modules)?;
    for name in ["callbacks", "garbage"] {
        // Only who has imported the module has put something there.
        let list = gc.getattr(name).and_then(|list| Ok(list.cast_into::<PyList>()?));
        if list.is_ok_and(|list| !list.is_empty()) {
            return Err(format!("gc.{name} is not empty"));
        }
    }
    if gc.call_method0("get_debug").and_then(|flags| flags.is_truthy()).map_err(reason)? {
        return Err("gc.get_debug() is not 0".into());
    }
    // What the program has frozen, nobody can look at.
    if frozen(&gc).map_err(reason)? > FROZEN_AT_START.load(Ordering::Relaxed) {
        return Err("gc.get_freeze_count() is not 0".into());
    }
    Ok(())
}

/// `gc`, imported or not.
fn collector<'py>(modules: &Bound<'py, PyDict>) -> Result<Bound<'py, PyAny>, Reason> {
    match modules.get_item("gc").map_err(reason)? {
        Some(gc) => Ok(gc),
        None => unseen_builtin_module(modules.py(), "gc").map_err(reason),
    }
}

/// How many objects were frozen before the program started: 3.12 freezes those of its own start.
static FROZEN_AT_START: AtomicUsize = AtomicUsize::new(0);

fn frozen(gc: &Bound<'_, PyAny>) -> PyResult<usize> {
    gc.call_method0("get_freeze_count")?.extract()
}

/// Notes what the proof at the end compares with, before the program starts.
pub(super) fn note_start(py: Python<'_>) {
    if !cfg!(Py_3_12) || cfg!(Py_3_13) {
        return;
    }
    if let Ok(count) = unseen_builtin_module(py, "gc").and_then(|gc| frozen(&gc)) {
        FROZEN_AT_START.store(count, Ordering::Relaxed);
    }
}

/// Makes sure that nobody wants to be told of what is still open: `ResourceWarning` is ignored, as it is
/// unless asked for.
fn check_warnings(modules: &Bound<'_, PyDict>) -> Result<(), Reason> {
    let py = modules.py();
    let resource_warning = py.get_type::<PyResourceWarning>();
    let filters = match modules.get_item("warnings") {
        Ok(Some(warnings)) => warnings.getattr("filters"),
        _ => loaded_module(py, "_warnings").and_then(|warnings| warnings.getattr("filters")),
    };
    for filter in filters.and_then(|filters| filters.try_iter()).map_err(reason)? {
        let (action, message, category, module, _): (
            String,
            Bound<'_, PyAny>,
            Bound<'_, PyType>,
            Bound<'_, PyAny>,
            usize,
        ) = filter.and_then(|filter| filter.extract()).map_err(reason)?;
        if !resource_warning.is_subclass(&category).map_err(reason)? {
            continue;
        }
        match (&*action, message.is_none() && module.is_none()) {
            ("ignore", true) => return Ok(()),
            // It hides some; the others come to the next filter.
            ("ignore", false) => {}
            _ => return Err("a filter shows `ResourceWarning`".into()),
        }
    }
    Err("no filter ignores `ResourceWarning`".into())
}

/// The standard streams as CPython has made them.
struct StandardStreams<'py> {
    /// `sys.stdout` and `sys.stderr`.
    written: Vec<Bound<'py, PyAny>>,
    /// All of them, with the buffers and files below them.
    objects: Vec<Bound<'py, PyAny>>,
}

impl<'py> StandardStreams<'py> {
    fn of(sys: &Bound<'py, PyAny>) -> Result<Self, Reason> {
        let mut streams = Self { written: Vec::new(), objects: Vec::new() };
        for name in ["stdin", "stdout", "stderr"] {
            let stream = sys.getattr(name).map_err(reason)?;
            let original = sys.getattr(format!("__{name}__").as_str()).map_err(reason)?;
            if !stream.is(&original) {
                return Err(format!("sys.{name} was replaced"));
            }
            if stream.is_none() {
                continue;
            }
            let kind = stream.get_type().fully_qualified_name().map_err(reason)?;
            let is_text = kind == "_io.TextIOWrapper";
            if !is_text || stream.getattr("closed").map_err(reason)?.is_truthy().unwrap_or(true) {
                return Err(format!("sys.{name} is no open TextIOWrapper"));
            }
            let buffer = stream.getattr("buffer").map_err(reason)?;
            // Without a buffer, as with `-u`, this is the file itself.
            if let Ok(raw) = buffer.getattr("raw") {
                streams.objects.push(raw);
            }
            streams.objects.push(buffer);
            streams.objects.push(stream.clone());
            if name != "stdin" {
                streams.written.push(stream);
            }
        }
        Ok(streams)
    }

    /// As `flush_std_files` does. What cannot be flushed is told by finalization, which tries again.
    fn flush(&self) -> Result<(), Reason> {
        self.written
            .iter()
            .try_for_each(|stream| stream.call_method0("flush").map(drop))
            .map_err(reason)
    }
}

fn reason(error: impl std::fmt::Display) -> Reason {
    error.to_string()
}

/// Ends the process by SIGINT, so that a shell sees what happened, as `python` does after an
/// unhandled `KeyboardInterrupt`.
fn die_of_interrupt() -> Status {
    // SAFETY: both calls are async-signal-safe and have no preconditions.
    unsafe {
        libc::signal(libc::SIGINT, libc::SIG_DFL);
        libc::kill(libc::getpid(), libc::SIGINT);
    }
    // Only where the signal is blocked.
    128 + libc::SIGINT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_gets_the_interpreter_ended() {
        assert!(!may_stay_unfinalized());
        end_process_with_program();
        assert!(may_stay_unfinalized());
        always_finalize();
        assert!(!may_stay_unfinalized());
    }
}
