//! Source lines in the tracebacks that CPython itself writes.
//!
//! The last traceback of a process and that of a thread (before 3.13), and that of an exception which
//! nobody can handle (`__del__`), are written by C code that finds source lines only in real files.
//! The hooks here write the same text with Python's own `traceback` module, which asks the loader
//! for lines. They take the place of CPython's default hooks, under both of their names, so that a
//! program which looks whether a hook is still the default one sees that it is. Where `traceback`
//! cannot be used (the interpreter is ending), the default hook is called.

use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyDict, PyTuple};

/// CPython's hooks, in the order of [`HOOKS`].
static DEFAULTS: PyOnceLock<[Py<PyAny>; 3]> = PyOnceLock::new();

/// Module, attributes: where CPython keeps a default hook.
const HOOKS: [(&str, &[&str]); 3] = [
    ("sys", &["excepthook", "__excepthook__"]),
    ("sys", &["unraisablehook", "__unraisablehook__"]),
    // `threading` takes its hook from here when it is imported.
    ("_thread", &["_excepthook"]),
];

/// Puts the hooks in place of CPython's; once per process, before the program starts.
///
/// # Errors
/// What Python raises, should `sys` be damaged.
pub fn install_traceback_hooks(py: Python<'_>) -> PyResult<()> {
    let mut defaults = Vec::with_capacity(HOOKS.len());
    for (module, attributes) in HOOKS {
        defaults.push(py.import(module)?.getattr(attributes[0])?.unbind());
    }
    let Ok(defaults) = <[Py<PyAny>; 3]>::try_from(defaults) else { return Ok(()) };
    if DEFAULTS.set(py, defaults).is_err() {
        return Ok(());
    }
    let ours = [
        wrap_pyfunction!(excepthook, py)?,
        wrap_pyfunction!(unraisablehook, py)?,
        wrap_pyfunction!(thread_excepthook, py)?,
    ];
    // Since 3.13 CPython's own use `traceback`, but for the second.
    let asks_loaders = py.version_info() >= (3, 13);
    for (number, ((module, attributes), hook)) in HOOKS.into_iter().zip(ours).enumerate() {
        if asks_loaders && number != 1 {
            continue;
        }
        let module = py.import(module)?;
        for attribute in attributes {
            module.setattr(*attribute, &hook)?;
        }
    }
    Ok(())
}

/// Writes with Python's `traceback`, or failing that calls CPython's hook.
fn write_or(
    py: Python<'_>,
    default: usize,
    arguments: &Bound<'_, PyTuple>,
    write: impl FnOnce() -> PyResult<()>,
) -> PyResult<()> {
    if write().is_ok() {
        return Ok(());
    }
    match DEFAULTS.get(py) {
        Some(defaults) => defaults[default].bind(py).call1(arguments).map(drop),
        None => Ok(()),
    }
}

/// Handle an exception by displaying it with a traceback on sys.stderr.
#[pyfunction]
#[pyo3(signature = (exctype, value, traceback, /))]
fn excepthook(
    py: Python<'_>,
    exctype: &Bound<'_, PyAny>,
    value: &Bound<'_, PyAny>,
    traceback: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let arguments = (exctype, value, traceback).into_pyobject(py)?;
    write_or(py, 0, &arguments, || {
        let stream = py.import("sys")?.getattr("stderr")?;
        if stream.is_none() {
            return Ok(());
        }
        let file = [("file", stream)].into_py_dict(py)?;
        py.import("traceback")?.call_method("print_exception", &arguments, Some(&file)).map(drop)
    })?;
    if exctype.is(py.get_type::<PyKeyboardInterrupt>()) {
        raise_interrupt_again(py);
    }
    Ok(())
}

/// CPython ends the process by SIGINT if the last string of code that it has executed ended with
/// `KeyboardInterrupt`; writing a traceback imports modules that execute others.
fn raise_interrupt_again(py: Python<'_>) {
    let namespace = PyDict::new(py);
    let execute = py.import("builtins").and_then(|builtins| builtins.getattr("exec"));
    let _ = execute.and_then(|exec| exec.call1(("raise KeyboardInterrupt", namespace)));
}

/// Handle an unraisable exception.
#[pyfunction]
#[pyo3(signature = (unraisable, /))]
fn unraisablehook(py: Python<'_>, unraisable: &Bound<'_, PyAny>) -> PyResult<()> {
    let arguments = (unraisable,).into_pyobject(py)?;
    write_or(py, 1, &arguments, || {
        let module = py.import("traceback")?;
        let message = unraisable.getattr("err_msg")?;
        let object = unraisable.getattr("object")?;
        let message = if message.is_none() {
            "Exception ignored in".into()
        } else {
            message.str()?.to_string()
        };
        let mut text = match object.is_none() {
            false => format!("{message}: {}\n", object.repr()?),
            true if message == "Exception ignored in" => String::new(),
            true => format!("{message}:\n"),
        };
        let traceback = unraisable.getattr("exc_traceback")?;
        if !traceback.is_none() {
            text.push_str("Traceback (most recent call last):\n");
            let lines: Vec<String> = module.call_method1("format_tb", (traceback,))?.extract()?;
            text.extend(lines);
        }
        let exception = (unraisable.getattr("exc_type")?, unraisable.getattr("exc_value")?);
        let lines: Vec<String> =
            module.call_method1("format_exception_only", exception)?.extract()?;
        text.extend(lines);
        write_to_stderr(py, &text)
    })
}

/// Handle uncaught Thread.run() exception.
#[pyfunction]
#[pyo3(signature = (args, /))]
fn thread_excepthook(py: Python<'_>, args: &Bound<'_, PyAny>) -> PyResult<()> {
    let exctype = args.getattr("exc_type")?;
    if exctype.is(py.get_type::<PySystemExit>()) {
        return Ok(()); // A thread may end that way.
    }
    let arguments = (args,).into_pyobject(py)?;
    write_or(py, 2, &arguments, || {
        let thread = args.getattr("thread")?;
        let name = if thread.is_none() {
            py.import("_thread")?.call_method0("get_ident")?
        } else {
            thread.getattr("name")?
        };
        let exception = (exctype, args.getattr("exc_value")?, args.getattr("exc_traceback")?);
        let lines: Vec<String> =
            py.import("traceback")?.call_method1("format_exception", exception)?.extract()?;
        write_to_stderr(py, &format!("Exception in thread {name}:\n{}", lines.concat()))
    })
}

fn write_to_stderr(py: Python<'_>, text: &str) -> PyResult<()> {
    let stream = py.import("sys")?.getattr("stderr")?;
    if !stream.is_none() {
        stream.call_method1("write", (text,))?;
        stream.call_method0("flush")?;
    }
    Ok(())
}
