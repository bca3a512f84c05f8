//! Which objects do something when they go.
//!
//! The collector knows all objects that can hold others. Those of a type are judged alike: by the
//! finalizer that the type has or inherits, or one by one where only some have an effect: files that are
//! open, generators that have not finished, weak references with callbacks. Objects that the collector
//! does not know are told by their types, which it knows.

use std::collections::HashMap;
use std::ffi::{CStr, c_int, c_void};

use foldhash::fast::FixedState;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyFunction, PyList, PyType};

use super::Reason;

/// Types that are known by their bases' names, whose objects write when they go, or call what they were
/// given. Those of distributions are in libraries that are harmless but for them.
const WITH_EFFECTS: [&CStr; 5] = [
    c"_cffi_backend.__CDataGCP",
    c"lxml.etree._IncrementalFileWriter",
    NDITER,
    c"sqlite3.Blob",
    c"sqlite3.Connection",
];
/// Writes what it has buffered, and is not known to the collector.
const NDITER: &CStr = c"numpy.nditer";
/// Types with a finalizer that closes them, which is noticed only if they are open.
const FILES: [&CStr; 6] = [
    c"_io.FileIO",
    c"_io.BufferedReader",
    c"_io.BufferedWriter",
    c"_io.BufferedRandom",
    c"_io.BufferedRWPair",
    c"_io.TextIOWrapper",
];
/// Types whose finalizer has no effect.
const IN_MEMORY: [&CStr; 2] = [c"_io.BytesIO", c"_io.StringIO"];
/// What weak references are, and those that stand for their referents.
const WEAK_REFERENCES: [&CStr; 3] =
    [c"weakref.ReferenceType", c"weakref.ProxyType", c"weakref.CallableProxyType"];
/// Types of what can be suspended, with the attribute that is `None` once it has finished. A generator that
/// was not started has nothing to finish.
const SUSPENDED: [(&CStr, &str); 3] =
    [(c"generator", "gi_frame"), (c"coroutine", "cr_frame"), (c"async_generator", "ag_frame")];
/// What is suspended anywhere in its code, in C too; subclasses included.
const GREENLET: &CStr = c"greenlet.greenlet";
/// Callbacks of weak references that only tidy up: modules, and names in them.
const TIDYING: [(&str, &str); 6] = [
    ("_frozen_importlib", "_get_module_lock.<locals>.cb"),
    ("_weakrefset", "WeakSet.__init__.<locals>._remove"),
    ("importlib._bootstrap", "_get_module_lock.<locals>.cb"),
    ("logging", "_removeHandlerRef"),
    ("weakref", "WeakKeyDictionary.__init__.<locals>.remove"),
    ("weakref", "WeakValueDictionary.__init__.<locals>.remove"),
];

/// The callback that every `weakref.WeakMethod` has.
const OF_WEAK_METHODS: (&str, &str) = ("weakref", "WeakMethod.__new__.<locals>._cb");
/// Such callbacks that are written in C: of abstract base classes, and of objects of threads.
const TIDYING_IN_C: [&str; 3] = ["_destroy", "_localdummy_destroyed", "clear_locals"];

/// The type of such a callback that is no function: it forgets a type of `ctypes`.
const TIDYING_OF_CTYPES: &CStr = c"_ctypes.DictRemover";

/// The beginning of `PyWeakReference`, of `Include/cpython/weakrefobject.h`.
#[repr(C)]
struct WeakReference {
    ob_base: ffi::PyObject,
    wr_object: *mut ffi::PyObject,
    wr_callback: *mut ffi::PyObject,
}

/// What is known of all objects of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Harmless,
    /// Finalizing it has an effect, or may have.
    Effective,
    /// If it is open.
    File,
    /// If the attribute is not `None`.
    Suspended(&'static str),
    /// If it was switched away from.
    Greenlet,
    /// If it has a callback.
    WeakReference,
    /// It is a type: objects of it may be such that the collector does not know.
    Type,
}

/// Checks all objects but `spared`.
///
/// # Errors
/// What was found that does something when it goes.
pub(super) fn check(
    gc: &Bound<'_, PyAny>,
    modules: &Bound<'_, PyDict>,
    spared: &[Bound<'_, PyAny>],
) -> Result<(), Reason> {
    let objects = gc.call_method0("get_objects").map_err(|error| error.to_string())?;
    let objects = objects.cast::<PyList>().map_err(|error| error.to_string())?;
    let mut verdicts: HashMap<*mut ffi::PyTypeObject, Verdict, FixedState> = HashMap::default();
    let mut search = Search::of_numpy(modules);
    for object in objects.iter() {
        let kind = object.get_type_ptr();
        if let Some(search) = &mut search
            && search.finds_in(&object)
        {
            return Err(format!("there is a `{}`", NDITER.to_string_lossy()));
        }
        let verdict = *verdicts.entry(kind).or_insert_with(|| verdict(kind));
        let has_effect = match verdict {
            Verdict::Harmless => false,
            Verdict::Effective => true,
            Verdict::File => is_open(&object),
            Verdict::Suspended(frame) => is_suspended(&object, frame),
            Verdict::Greenlet => is_switched_away(&object),
            Verdict::WeakReference => has_callback(&object),
            Verdict::Type => makes_unknown_finalizers(&object),
        };
        if has_effect && !spared.iter().any(|stream| stream.is(&object)) {
            return Err(told(&object, verdict));
        }
    }
    Ok(())
}

/// The search for objects of a type that the collector does not know, in those that it knows.
struct Search {
    wanted: *mut ffi::PyTypeObject,
    is_found: bool,
    /// Containers that the collector does not know, because nothing in them can refer to them.
    pending: Vec<*mut ffi::PyObject>,
}

impl Search {
    /// For `numpy.nditer`, where numpy is imported.
    fn of_numpy(modules: &Bound<'_, PyDict>) -> Option<Self> {
        let numpy = modules.get_item("numpy").ok()??;
        let kind = numpy.getattr("nditer").ok()?.cast_into::<PyType>().ok()?;
        Some(Self { wanted: kind.as_type_ptr(), is_found: false, pending: Vec::new() })
    }

    /// Whether `object` refers to what is wanted, itself or by way of tuples and dictionaries that the
    /// collector does not know. (Nor does it know arrays of objects.)
    fn finds_in(&mut self, object: &Bound<'_, PyAny>) -> bool {
        self.pending.push(object.as_ptr());
        while let Some(object) = self.pending.pop() {
            // SAFETY: the object is alive; its type visits what it refers to, as for the collector, which
            // changes nothing, and the visitor gets this search.
            unsafe {
                if let Some(traverse) = (*ffi::Py_TYPE(object)).tp_traverse {
                    traverse(object, Self::visit, (&raw mut *self).cast());
                }
            }
        }
        self.is_found
    }

    extern "C" fn visit(object: *mut ffi::PyObject, search: *mut c_void) -> c_int {
        // SAFETY: the object is alive, and the search is that of the call above.
        unsafe {
            let search = &mut *search.cast::<Self>();
            search.is_found |= ffi::Py_TYPE(object) == search.wanted;
            let is_container =
                ffi::PyTuple_CheckExact(object) != 0 || ffi::PyDict_CheckExact(object) != 0;
            if is_container && ffi::PyObject_GC_IsTracked(object) == 0 {
                search.pending.push(object);
            }
        }
        0
    }
}

/// What was found, for who wants to know.
fn told(object: &Bound<'_, PyAny>, verdict: Verdict) -> Reason {
    let kind = name(object.get_type_ptr()).to_string_lossy();
    // What is a program's own is asked only for who wants to know.
    let is_wanted = tracing::enabled!(target: "mmport::exit", tracing::Level::DEBUG);
    let detail = match verdict {
        _ if !is_wanted => None,
        Verdict::WeakReference => callback_of(object).and_then(|it| it.repr().ok()),
        Verdict::Type => object.repr().ok(),
        _ => None,
    };
    let detail = detail.map_or_else(String::new, |detail| format!(": {detail}"));
    format!("there is a `{kind}`{detail}")
}

fn verdict(kind: *mut ffi::PyTypeObject) -> Verdict {
    let is_exactly = |names: &[&CStr]| names.contains(&name(kind));
    if is_exactly(&FILES) {
        return Verdict::File;
    }
    if is_exactly(&IN_MEMORY) {
        return Verdict::Harmless;
    }
    if let Some((_, frame)) = SUSPENDED.iter().find(|(known, _)| name(kind) == *known) {
        return Verdict::Suspended(frame);
    }
    if greenlet_of(kind).is_some() && !has_finalizer(kind) {
        return Verdict::Greenlet;
    }
    // SAFETY: `kind` is the type of a live object, and so ready.
    let is_type = unsafe { ffi::PyType_IsSubtype(kind, &raw mut ffi::PyType_Type) } != 0;
    let is_weak_reference = bases(kind).any(|base| WEAK_REFERENCES.contains(&name(base)));
    if has_finalizer(kind) || bases(kind).any(|base| WITH_EFFECTS.contains(&name(base))) {
        Verdict::Effective
    } else if is_type {
        Verdict::Type
    } else if is_weak_reference {
        Verdict::WeakReference
    } else {
        Verdict::Harmless
    }
}

/// The type and those it inherits from.
fn bases(kind: *mut ffi::PyTypeObject) -> impl Iterator<Item = *mut ffi::PyTypeObject> {
    let mut next = kind;
    std::iter::from_fn(move || {
        let this = next;
        if this.is_null() {
            return None;
        }
        // SAFETY: bases live as long as the types that inherit from them.
        next = unsafe { (*this).tp_base };
        Some(this)
    })
}

fn name(kind: *mut ffi::PyTypeObject) -> &'static CStr {
    // SAFETY: the name of a live type is a C string; it is only looked at while the type lives.
    unsafe { CStr::from_ptr((*kind).tp_name) }
}

/// Whether a type has a finalizer, its own or an inherited one.
fn has_finalizer(kind: *mut ffi::PyTypeObject) -> bool {
    // SAFETY: `kind` is a live type.
    unsafe { (*kind).tp_finalize.is_some() || (*kind).tp_del.is_some() }
}

/// Whether objects of the type `object` may be unknown to the collector, and have a finalizer in Python.
/// Those of the standard library's types in C close what the process has open anyway.
fn makes_unknown_finalizers(object: &Bound<'_, PyAny>) -> bool {
    let kind = object.as_ptr().cast::<ffi::PyTypeObject>();
    // SAFETY: the object is a type.
    let is_collected = unsafe { ffi::PyType_HasFeature(kind, ffi::Py_TPFLAGS_HAVE_GC) } != 0;
    let is_in_python = || {
        let finalizer = object.getattr("__del__");
        finalizer
            .is_ok_and(|finalizer| finalizer.get_type().name().is_ok_and(|it| it == "function"))
    };
    !is_collected && has_finalizer(kind) && is_in_python()
}

/// Whether the end of a generator or coroutine, whose frame is in this attribute, runs its code or warns.
fn is_suspended(object: &Bound<'_, PyAny>, frame: &str) -> bool {
    let Ok(frame) = object.getattr(frame) else { return true };
    if frame.is_none() {
        return false;
    }
    // As `inspect.getgeneratorstate` says it. A coroutine that was not started is warned of.
    let has_started = if name(object.get_type_ptr()) != c"generator" {
        Ok(true)
    } else if cfg!(Py_3_11) {
        object.getattr("gi_suspended").and_then(|it| it.is_truthy())
    } else {
        frame.getattr("f_lasti").and_then(|it| it.extract::<i32>()).map(|last| last >= 0)
    };
    has_started.unwrap_or(true)
}

/// The type of greenlets, if `kind` is that or inherits from it.
fn greenlet_of(kind: *mut ffi::PyTypeObject) -> Option<*mut ffi::PyTypeObject> {
    bases(kind).find(|base| name(*base) == GREENLET)
}

/// Whether a greenlet has started and not finished. So has that of the thread, which alone has no parent.
fn is_switched_away(object: &Bound<'_, PyAny>) -> bool {
    let kind = object.get_type_ptr();
    let Some(greenlet) = greenlet_of(kind) else { return true };
    // SAFETY: the object is one of that type, whose own answer is asked for: a program's class may have
    // another, and is not to be asked.
    let is_active = unsafe {
        let numbers = (*greenlet).tp_as_number;
        let answer = if numbers.is_null() { None } else { (*numbers).nb_bool };
        answer.is_none_or(|answer| answer(object.as_ptr()) != 0)
    };
    let is_of_thread =
        || kind == greenlet && object.getattr("parent").is_ok_and(|parent| parent.is_none());
    is_active && !is_of_thread()
}

fn is_open(file: &Bound<'_, PyAny>) -> bool {
    !file.getattr("closed").is_ok_and(|closed| closed.is_truthy().unwrap_or(false))
}

/// The callback of a weak reference; proxies do not show theirs.
fn callback_of<'py>(reference: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    let reference_object = reference.as_ptr().cast::<WeakReference>();
    // SAFETY: the object is a weak reference. Its callback is null, or an object that lives as long as it
    // stays there, which nothing changes while this thread holds the interpreter's lock.
    unsafe { Bound::from_borrowed_ptr_or_opt(reference.py(), (*reference_object).wr_callback) }
}

/// Whether something else than tidying up happens when the referent of a weak reference goes.
fn has_callback(reference: &Bound<'_, PyAny>) -> bool {
    let Some(callback) = callback_of(reference) else { return false };
    // `weakref.finalize` does nothing any more once its exit handler has run.
    let text = |attribute: &str| callback.getattr(attribute)?.extract::<String>();
    let kind = callback.get_type();
    if kind.fully_qualified_name().is_ok_and(|name| name == "weakref.finalize") {
        let is_over = kind.getattr("_shutdown");
        return !is_over.is_ok_and(|is_over| is_over.is_truthy().unwrap_or(false));
    }
    if name(callback.get_type_ptr()) == TIDYING_OF_CTYPES {
        return false;
    }
    if callback.is_instance_of::<PyCFunction>() {
        return !text("__name__").is_ok_and(|name| TIDYING_IN_C.contains(&name.as_str()));
    }
    if !callback.is_instance_of::<PyFunction>() {
        return true;
    }
    match (text("__module__"), text("__qualname__")) {
        // It calls what was given to it, if anything was.
        (Ok(module), Ok(name)) if (&*module, &*name) == OF_WEAK_METHODS => {
            !captures_nothing(&callback, "callback").unwrap_or(false)
        }
        (Ok(module), Ok(name)) => !TIDYING.contains(&(module.as_str(), name.as_str())),
        _ => true,
    }
}

/// Whether the variable `name` that a function has captured is `None`.
fn captures_nothing(function: &Bound<'_, PyAny>, name: &str) -> PyResult<bool> {
    let names: Vec<String> = function.getattr("__code__")?.getattr("co_freevars")?.extract()?;
    let Some(index) = names.iter().position(|found| found == name) else { return Ok(false) };
    let cell = function.getattr("__closure__")?.get_item(index)?;
    Ok(cell.getattr("cell_contents")?.is_none())
}
