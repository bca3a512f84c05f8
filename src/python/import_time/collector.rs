//! The garbage collector while modules are imported.
//!
//! Importing makes many objects and little garbage, and CPython's collector looks at them again and again: a
//! tenth of a start. While a module of a bundle is executed, it waits until many more objects are there
//! than otherwise ([`OBJECTS`], so that a program that runs for hours in the course of an import is
//! collected nevertheless). It is enabled, or not, as the program will have it.
//!
//! What the program may ask or set (see [`OBSERVED`]) is put back before it is told; whoever does has the
//! collector to himself from then on.
//!
//! When the import is over, the young objects are put among the old ones, as `gc.freeze()` with
//! `gc.unfreeze()` does: the collector would come to the same, after one look at all of them. What garbage is
//! among them goes when the old ones are looked at. When an import within others is over, that is done
//! where there are many ([`MANY`]), so that one that takes long by its many modules is not collected in its
//! course.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::python::loaded::loaded_module;

use super::exchange::{Exchangeable, Implementation, is_main_interpreter, unseen_builtin_module};

/// How many more objects that can be in cycles are made than go before the collector looks at the young
/// ones, while modules are imported. The default of CPython is 700, or 2,000 in 3.13.
const OBJECTS: i32 = 50_000;
/// The same where they cannot be put among the old ones.
const OBJECTS_THAT_STAY: i32 = 200_000;
/// How many young objects are worth the two calls that put them among the old ones.
const MANY: usize = 10_000;
/// How many are put there at most: what large applications make for their start. From then on the collector
/// looks at them as ever, so that a program that imports again and again keeps no garbage.
const MOST: usize = 300_000;

/// The functions that tell the program about it, or change it, with the flags of their definitions.
const OBSERVED: [(&str, i32, Implementation); 5] = [
    ("set_threshold", ffi::METH_VARARGS, observed::<SET_THRESHOLD> as Implementation),
    ("get_threshold", ffi::METH_NOARGS, observed::<GET_THRESHOLD> as Implementation),
    ("get_count", ffi::METH_NOARGS, observed::<GET_COUNT> as Implementation),
    ("freeze", ffi::METH_NOARGS, observed::<FREEZE> as Implementation),
    ("unfreeze", ffi::METH_NOARGS, observed::<UNFREEZE> as Implementation),
];
const SET_THRESHOLD: usize = 0;
const GET_THRESHOLD: usize = 1;
const GET_COUNT: usize = 2;
const FREEZE: usize = 3;
const UNFREEZE: usize = 4;

/// The collector of the main interpreter.
#[derive(Debug)]
struct Collector {
    functions: [Exchangeable; OBSERVED.len()],
    /// What the program has.
    thresholds: Py<PyTuple>,
    /// What is set while modules are imported.
    raised: Py<PyTuple>,
    is_raised: AtomicBool,
    /// How many young objects the program's thresholds allow.
    young: usize,
    /// Whether nothing is frozen: 3.12 freezes what is there when it has started.
    may_freeze: bool,
    /// How many young objects were put among the old ones.
    put: AtomicUsize,
}

static COLLECTOR: OnceLock<Collector> = OnceLock::new();
/// Whether the collector is this module's business: until the program makes it its own.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Has the collector wait while modules of bundles are executed, in the main interpreter.
///
/// # Errors
/// What Python raises, should `gc` not be there.
pub(super) fn let_it_wait(py: Python<'_>) -> PyResult<()> {
    let gc = unseen_builtin_module(py, "gc")?;
    let thresholds = gc.call_method0("get_threshold")?.cast_into::<PyTuple>()?;
    let (young, middle, old) = thresholds.extract::<(i32, i32, i32)>()?;
    let mut functions = Vec::new();
    for (name, flags, _) in OBSERVED {
        functions.extend(Exchangeable::of(&gc.getattr(name)?, flags));
    }
    // A collector that never looks, or whose functions are not as we know them, is left as it is.
    let Ok(functions) = <[Exchangeable; OBSERVED.len()]>::try_from(functions) else {
        return Ok(());
    };
    if young == 0 || young >= OBJECTS {
        return Ok(());
    }
    let may_freeze = gc.call_method0("get_freeze_count")?.extract::<usize>()? == 0;
    let objects = if may_freeze { OBJECTS } else { OBJECTS_THAT_STAY };
    let raised = (objects, middle, old).into_pyobject(py)?.unbind();
    let collector = Collector {
        functions,
        thresholds: thresholds.unbind(),
        raised,
        is_raised: AtomicBool::new(false),
        young: young as usize,
        may_freeze,
        put: AtomicUsize::new(0),
    };
    let collector = COLLECTOR.get_or_init(|| collector);
    // The module that the functions are bound to stays.
    std::mem::forget(gc);
    for (function, (_, _, implementation)) in collector.functions.iter().zip(OBSERVED) {
        // SAFETY: each has the signature that its flags ask for, and does nothing in other interpreters
        // than the main one but call the former function.
        unsafe { function.exchange(py, implementation) };
    }
    IS_OURS.store(true, Ordering::Relaxed);
    Ok(())
}

/// Has the collector wait, because imports begin.
pub(super) fn wait(py: Python<'_>) {
    set(py, true);
}

/// Has the collector go on, because imports are over.
pub(super) fn go_on(py: Python<'_>) {
    set(py, false);
}

/// Has the collector see fewer young objects, because an import within others is over.
pub(super) fn put_among_old(py: Python<'_>) {
    if IS_OURS.load(Ordering::Relaxed)
        && let Some(collector) = COLLECTOR.get()
        && collector.is_raised.load(Ordering::Relaxed)
    {
        collector.put_among_old(py, MANY);
    }
}

fn set(py: Python<'_>, raise: bool) {
    if IS_OURS.load(Ordering::Relaxed)
        && let Some(collector) = COLLECTOR.get()
    {
        collector.set(py, raise);
    }
}

impl Collector {
    /// Raises the threshold or puts it back, unless the program has made the collector its own.
    fn set(&self, py: Python<'_>, raise: bool) {
        if raise && has_callbacks(py) {
            return self.leave(py);
        }
        if !IS_OURS.load(Ordering::Relaxed)
            || self.is_raised.swap(raise, Ordering::Relaxed) == raise
        {
            return;
        }
        let thresholds = if raise { &self.raised } else { &self.thresholds };
        if !raise {
            self.put_among_old(py, self.young);
        }
        let _ = self.call(py, SET_THRESHOLD, Some(thresholds.bind(py)));
    }

    /// Puts young objects among the old ones, if there are more than `many`.
    fn put_among_old(&self, py: Python<'_>, many: usize) {
        if !self.may_freeze || self.put.load(Ordering::Relaxed) > MOST {
            return;
        }
        let young = self.young_objects(py);
        if young > many {
            self.put.fetch_add(young, Ordering::Relaxed);
            let _ = self.call(py, FREEZE, None);
            let _ = self.call(py, UNFREEZE, None);
        }
    }

    fn young_objects(&self, py: Python<'_>) -> usize {
        let count = self.call(py, GET_COUNT, None).and_then(|count| count.get_item(0)?.extract());
        count.unwrap_or_default()
    }

    /// Calls what a function did before, in the main interpreter.
    fn call<'py>(
        &self,
        py: Python<'py>,
        index: usize,
        arguments: Option<&Bound<'py, PyTuple>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let function = &self.functions[index];
        let arguments = arguments.map_or(std::ptr::null_mut(), Bound::as_ptr);
        // SAFETY: the function is called as its flags ask: with arguments or with none. The module that it
        // is bound to lives for ever.
        unsafe {
            let implementation =
                std::mem::transmute::<Implementation, ffi::PyCFunction>(function.former());
            Bound::from_owned_ptr_or_err(py, implementation(function.bound_to(), arguments))
        }
    }

    /// Leaves the collector to the program, as it would be without us.
    fn leave(&self, py: Python<'_>) {
        self.set(py, false);
        if self.young_objects(py) > self.young {
            // Where nothing may be frozen, the collector looks at them before the program counts them.
            // SAFETY: the module that the functions are bound to lives for ever.
            let gc = unsafe { Bound::from_borrowed_ptr(py, self.functions[GET_COUNT].bound_to()) };
            let _ = gc.call_method1("collect", (0,));
        }
        IS_OURS.store(false, Ordering::Relaxed);
        for function in &self.functions {
            function.restore(py);
        }
    }
}

/// Whether the program is told of each collection.
fn has_callbacks(py: Python<'_>) -> bool {
    let callbacks = loaded_module(py, "gc").and_then(|gc| gc.getattr(intern!(py, "callbacks")));
    callbacks.is_ok_and(|callbacks| callbacks.len().is_ok_and(|length| length > 0))
}

/// A function of `gc` that the program calls: leaves the collector to it first.
unsafe extern "C" fn observed<const INDEX: usize>(
    module: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let Some(collector) = COLLECTOR.get() else { return std::ptr::null_mut() };
    // SAFETY: CPython calls functions of modules in threads that are attached to an interpreter; the former
    // function has the same signature, and gets what CPython has given.
    unsafe {
        let py = Python::assume_attached();
        if is_main_interpreter(py) && IS_OURS.load(Ordering::Relaxed) {
            collector.leave(py);
        }
        let former = collector.functions[INDEX].former();
        std::mem::transmute::<Implementation, ffi::PyCFunction>(former)(module, arguments)
    }
}
