//! What a program does while it imports, done once.
//!
//! | file | owns |
//! | --- | --- |
//! | `collector.rs` | the garbage collector, which waits |
//! | `strings.rs` | code objects of `exec`, `eval` and `compile` on strings |
//! | `patterns.rs` | compiled regular expressions |
//! | `exchange.rs` | how functions of CPython's are observed |
//! | `audit.rs` | whether somebody listens to audit events |
//!
//! "While it imports" is: while a module of a bundle is executed, by any thread. A program sees nothing of
//! it: every object is the one that CPython has made, every answer is the one that it would give. What is
//! remembered is in the store of code objects, by content; `MMPORT_NO_CACHE` does without.

mod audit;
mod collector;
mod exchange;
mod patterns;
mod strings;

use std::cell::Cell;
use std::env;
use std::ffi::OsStr;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyCFunction};

use super::loaded::loaded_module;
use super::standard_library::remember_standard_library;

pub use audit::is_audited;
pub use exchange::unseen_builtin_module;
pub use patterns::remember_patterns;
pub(super) use patterns::{REGULAR_EXPRESSIONS, fill_cache};

/// The variables, with their values, that leave things to CPython.
const ORDINARY_COLLECTOR: (&str, &str) = ("MMPORT_GC", "ordinary");
const NO_MEMORY: (&str, &str) = ("MMPORT_REMEMBER", "nothing");
const LIBRARY_FROM_FILES: (&str, &str) = ("MMPORT_STANDARD_LIBRARY", "files");

/// How many modules of bundles are being executed, by all threads.
static DEPTH: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// How many of them this thread executes.
    static OWN_DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Makes imports of bundles cheaper from now on, in the main interpreter. `program` names what is run: what
/// it did the last time is what it is going to need.
///
/// # Errors
/// What Python raises, should its own modules be damaged.
pub fn speed_up_imports(py: Python<'_>, program: &str) -> PyResult<()> {
    if !is_set(ORDINARY_COLLECTOR) {
        collector::let_it_wait(py)?;
    }
    if !is_set(NO_MEMORY) {
        strings::remember(py)?;
        patterns::remember(py, program)?;
    }
    if !is_set(LIBRARY_FROM_FILES) {
        remember_standard_library(py)?;
    }
    after_forks(py)
}

/// Has child processes know of the thread alone that has made them: others do not execute anything there.
fn after_forks(py: Python<'_>) -> PyResult<()> {
    let in_child = PyCFunction::new_closure(py, None, None, |arguments, _| -> PyResult<()> {
        let own = OWN_DEPTH.get();
        DEPTH.store(own, Ordering::Relaxed);
        if own == 0 {
            collector::go_on(arguments.py());
        }
        Ok(())
    })?;
    let given = [("after_in_child", in_child)].into_py_dict(py)?;
    loaded_module(py, "posix")?.call_method("register_at_fork", (), Some(&given)).map(drop)
}

fn is_set((name, value): (&str, &str)) -> bool {
    env::var_os(name).as_deref() == Some(OsStr::new(value))
}

/// Runs `execute`, which executes a module of a bundle.
pub(super) fn while_importing<T>(py: Python<'_>, execute: impl FnOnce() -> T) -> T {
    OWN_DEPTH.set(OWN_DEPTH.get() + 1);
    DEPTH.fetch_add(1, Ordering::Relaxed);
    collector::wait(py);
    let outcome = execute();
    OWN_DEPTH.set(OWN_DEPTH.get() - 1);
    if DEPTH.fetch_sub(1, Ordering::Relaxed) == 1 {
        collector::go_on(py);
    } else {
        collector::put_among_old(py);
    }
    outcome
}

/// Whether a module of a bundle is being executed.
fn is_importing() -> bool {
    DEPTH.load(Ordering::Relaxed) > 0
}
