//! Exchanging what a function of CPython's does that is written in C.
//!
//! The function object stays the one that it is, and so does everything that a program can see of it: name,
//! signature, module, identity. Only the pointer to its implementation, in a table of CPython's that all
//! interpreters of the process share, points to one of ours, which calls the former one.

use std::ffi::c_int;
use std::sync::atomic::{AtomicPtr, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;

use crate::python::loaded::loaded_module;

/// The implementation of a function as CPython's table has it.
pub(super) type Implementation = *mut std::ffi::c_void;

/// A function of CPython's, and what it did before.
#[derive(Debug)]
pub(super) struct Exchangeable {
    definition: AtomicPtr<ffi::PyMethodDef>,
    former: AtomicPtr<std::ffi::c_void>,
    /// What it is bound to: its module, where it is no method.
    bound_to: AtomicPtr<ffi::PyObject>,
}

impl Exchangeable {
    /// What `function` does, if that is a function in C that is called as `flags` (`METH_*`)
    /// say. Its module has to stay alive.
    pub(super) fn of(function: &Bound<'_, PyAny>, flags: c_int) -> Option<Self> {
        let object = function.as_ptr();
        // SAFETY: the object is alive, and looked into only if it is of the type with this layout. A
        // definition is in a static table of CPython's.
        unsafe {
            if ffi::PyCFunction_CheckExact(object) == 0 {
                return None;
            }
            let object = object.cast::<ffi::PyCFunctionObject>();
            let definition = (*object).m_ml;
            ((*definition).ml_flags == flags).then(|| Self {
                definition: AtomicPtr::new(definition),
                former: AtomicPtr::new(
                    (&raw const (*definition).ml_meth).cast::<Implementation>().read(),
                ),
                bound_to: AtomicPtr::new((*object).m_self),
            })
        }
    }

    /// Has the function do something else from now on.
    ///
    /// # Safety
    /// `implementation` is a function that may be called as the flags of [`Self::of`] say, from any
    /// interpreter of the process, for as long as it lives.
    pub(super) unsafe fn exchange(&self, _: Python<'_>, implementation: Implementation) {
        // SAFETY: the definition is static, CPython reads it with the lock that this thread holds, and its
        // implementation is a union of pointers to functions.
        unsafe {
            let definition = self.definition.load(Ordering::Relaxed);
            (&raw mut (*definition).ml_meth).cast::<Implementation>().write(implementation);
        }
    }

    /// Has the function do again what it did.
    pub(super) fn restore(&self, py: Python<'_>) {
        // SAFETY: what was there before may be called so.
        unsafe { self.exchange(py, self.former()) };
    }

    /// What the function did.
    pub(super) fn former(&self) -> Implementation {
        self.former.load(Ordering::Relaxed)
    }

    /// What the function is bound to in the main interpreter.
    pub(super) fn bound_to(&self) -> *mut ffi::PyObject {
        self.bound_to.load(Ordering::Relaxed)
    }
}

/// A built-in module of which nobody else sees that it is there: `sys.modules` stays as it is. Its
/// functions are other objects than those that the program gets, with the same definitions.
///
/// # Errors
/// What Python raises, should there be no such module.
pub fn unseen_builtin_module<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let specification = loaded_module(py, "_frozen_importlib")?.getattr("ModuleSpec")?;
    let specification = specification.call1((name, py.None()))?;
    loaded_module(py, "_imp")?.call_method1("create_builtin", (specification,))
}

/// Whether this thread runs in the main interpreter: objects of others are not ours to touch.
pub(super) fn is_main_interpreter(_: Python<'_>) -> bool {
    // SAFETY: the thread is attached to an interpreter.
    unsafe { ffi::PyInterpreterState_Get() == ffi::PyInterpreterState_Main() }
}
