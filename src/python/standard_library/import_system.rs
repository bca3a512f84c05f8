//! Whether CPython's own import system is who asks, and as it was made.
//!
//! What is remembered is for `import` alone: who looks for a spec otherwise gets it from CPython, and so
//! does everybody once a program has changed how modules are found or loaded. Types are compared by their
//! version, which CPython changes whenever it changes a type or what that inherits from.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyModule, PyString, PyTuple, PyType};

use crate::python::BundleFinder;
use crate::python::importlib::Importlib;

/// The types of `_bootstrap_external` that find and load modules in files.
const TYPES: [&str; 4] = ["PathFinder", "FileFinder", "SourceFileLoader", "ExtensionFileLoader"];
/// The functions of `_bootstrap` that are on the stack when an `import` asks finders, from the inside.
const ASKING: [&str; 2] = ["_find_spec", "_find_and_load_unlocked"];

/// What else they use, in `_bootstrap_external` and in `_bootstrap`, that programs have been seen to replace
/// for the time of an import, or might.
const FUNCTIONS: [&str; 13] = [
    "_calc_mode",
    "_classify_pyc",
    "_compile_bytecode",
    "_get_cached",
    "_path_isdir",
    "_path_isfile",
    "_path_join",
    "_path_stat",
    "_validate_hash_pyc",
    "_validate_timestamp_pyc",
    "cache_from_source",
    "decode_source",
    "spec_from_file_location",
];
const BASIC_FUNCTIONS: [&str; 3] =
    ["ModuleSpec", "_call_with_frames_removed", "_init_module_attrs"];
/// Where the code of their functions is from.
const FROZEN: [&str; 2] =
    ["<frozen importlib._bootstrap_external>", "<frozen importlib._bootstrap>"];

/// The import system as it was found.
#[derive(Debug)]
pub(super) struct ImportSystem {
    types: Vec<Known>,
    functions: [Functions; 2],
    /// The code objects of [`ASKING`].
    asking: Vec<Py<PyAny>>,
    path_finder: Py<PyAny>,
    /// `sys.implementation.cache_tag`
    cache_tag: Py<PyAny>,
    /// Whether it was found changed.
    is_changed: AtomicBool,
}

/// Functions of a module.
#[derive(Debug)]
struct Functions {
    /// The module's.
    dictionary: Py<PyDict>,
    known: Vec<(Py<PyString>, Py<PyAny>)>,
}

/// A type, and what it and those that it inherits from had for attributes.
#[derive(Debug)]
struct Known {
    type_: Py<PyType>,
    version: AtomicU32,
    attributes: Vec<(Py<PyType>, Py<PyDict>)>,
}

impl ImportSystem {
    /// The import system as it is now.
    pub(super) fn now(py: Python<'_>) -> PyResult<Self> {
        let importlib = Importlib::get(py)?;
        let external = importlib.bootstrap_external(py);
        let types = TYPES.iter().map(|name| Known::now(external.getattr(*name)?.cast::<PyType>()?));
        let code = |name: &&str| {
            let function = importlib.bootstrap(py).getattr(*name)?;
            function.getattr(intern!(py, "__code__")).map(Bound::unbind)
        };
        let implementation = importlib.sys(py, intern!(py, "implementation"))?;
        let types = types.collect::<PyResult<Vec<_>>>()?;
        let functions = [
            Functions::now(external, &FUNCTIONS)?,
            Functions::now(importlib.bootstrap(py), &BASIC_FUNCTIONS)?,
        ];
        // Who was here before us may have changed it.
        let mut is_changed = false;
        for known in &types {
            is_changed |= !known.is_original(py)?;
        }
        for (_, function) in functions.iter().flat_map(|functions| &functions.known) {
            is_changed |= !is_original(function.bind(py))?;
        }
        Ok(Self {
            types,
            functions,
            asking: ASKING.iter().map(code).collect::<PyResult<_>>()?,
            path_finder: external.getattr("PathFinder")?.unbind(),
            cache_tag: implementation.getattr(intern!(py, "cache_tag"))?.unbind(),
            is_changed: AtomicBool::new(is_changed),
        })
    }

    /// Whether an `import` asks, of finders among which `PathFinder` is the next, and none of what would
    /// be done has changed.
    pub(super) fn asks(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.is_importing(py) && self.is_next(py)? && self.is_unchanged(py)?)
    }

    fn is_importing(&self, py: Python<'_>) -> bool {
        // SAFETY: frames and their code objects are CPython's; the first is borrowed, the others are new
        // references.
        unsafe {
            let mut frame: Option<Bound<'_, PyAny>> =
                Bound::from_borrowed_ptr_or_opt(py, ffi::PyEval_GetFrame().cast());
            for code in &self.asking {
                let Some(found) = &frame else { return false };
                let running = ffi::PyFrame_GetCode(found.as_ptr().cast());
                if !Bound::from_owned_ptr(py, running.cast()).is(code.bind(py)) {
                    return false;
                }
                let back = ffi::PyFrame_GetBack(found.as_ptr().cast());
                frame = Bound::from_owned_ptr_or_opt(py, back.cast());
            }
        }
        true
    }

    /// Whether `PathFinder` comes after our finder.
    fn is_next(&self, py: Python<'_>) -> PyResult<bool> {
        let meta_path = Importlib::get(py)?.sys(py, intern!(py, "meta_path"))?;
        let Ok(meta_path) = meta_path.cast::<PyList>() else { return Ok(false) };
        let mut finders = meta_path.iter();
        let has_ours = finders.any(|finder| finder.is_exact_instance_of::<BundleFinder>());
        Ok(has_ours && finders.next().is_some_and(|next| next.is(&self.path_finder)))
    }

    /// Whether nothing of what finds and loads modules in files has changed.
    pub(super) fn is_unchanged(&self, py: Python<'_>) -> PyResult<bool> {
        if self.is_changed.load(Ordering::Relaxed) {
            return Ok(false);
        }
        if !self.types.iter().all(|known| known.is_unchanged(py)) {
            self.is_changed.store(true, Ordering::Relaxed);
            return Ok(false);
        }
        for functions in &self.functions {
            let dictionary = functions.dictionary.bind(py);
            for (name, function) in &functions.known {
                if !dictionary.get_item(name)?.is_some_and(|found| found.is(function)) {
                    return Ok(false);
                }
            }
        }
        let importlib = Importlib::get(py)?;
        let implementation = importlib.sys(py, intern!(py, "implementation"))?;
        Ok(implementation.getattr(intern!(py, "cache_tag"))?.is(&self.cache_tag)
            && importlib.sys(py, intern!(py, "pycache_prefix"))?.is_none())
    }
}

impl Functions {
    /// Those of `names` that the module has.
    fn now(module: &Bound<'_, PyModule>, names: &[&str]) -> PyResult<Self> {
        let (py, dictionary) = (module.py(), module.dict());
        let mut known = Vec::new();
        for name in names {
            if let Some(function) = dictionary.get_item(name)? {
                known.push((PyString::intern(py, name).unbind(), function.unbind()));
            }
        }
        Ok(Self { dictionary: dictionary.unbind(), known })
    }
}

impl Known {
    fn now(type_: &Bound<'_, PyType>) -> PyResult<Self> {
        let mut attributes = Vec::new();
        for base in type_.getattr(intern!(type_.py(), "__mro__"))?.cast::<PyTuple>()? {
            let base = base.cast_into::<PyType>()?;
            attributes.push((base.clone().unbind(), attributes_of(&base)?.unbind()));
        }
        let version = AtomicU32::new(0);
        Ok(Self { type_: type_.clone().unbind(), version, attributes })
    }

    /// Whether all functions of the types are CPython's own.
    fn is_original(&self, py: Python<'_>) -> PyResult<bool> {
        for (base, attributes) in &self.attributes {
            if base.bind(py).is(py.get_type::<PyAny>()) {
                continue; // `object` is written in C.
            }
            for value in attributes.bind(py).values() {
                if !is_original(&value)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn is_unchanged(&self, py: Python<'_>) -> bool {
        let type_ = self.type_.bind(py);
        let mut version = version_of(type_);
        if version == 0 {
            // A type gets one when it is asked for something.
            let _ = type_.getattr(intern!(py, "__init__"));
            version = version_of(type_);
        }
        if version != 0 && version == self.version.load(Ordering::Relaxed) {
            return true;
        }
        let is_unchanged = self.attributes.iter().all(|(base, attributes)| {
            attributes_of(base.bind(py)).is_ok_and(|found| {
                let attributes = attributes.bind(py);
                found.len() == attributes.len()
                    && attributes.iter().all(|(name, value)| {
                        matches!(found.get_item(name), Ok(Some(found)) if found.is(&value))
                    })
            })
        });
        if is_unchanged {
            self.version.store(version, Ordering::Relaxed);
        }
        is_unchanged
    }
}

/// Whether a value is what CPython has put there: a function in frozen code, or none.
fn is_original(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let py = value.py();
    let kind = value.get_type().name()?;
    let function = match kind.to_str()? {
        "function" => value.clone(),
        "staticmethod" | "classmethod" => value.getattr(intern!(py, "__func__"))?,
        "property" => value.getattr(intern!(py, "fget"))?,
        "type" => return value.getattr(intern!(py, "__module__"))?.eq("_frozen_importlib"),
        "str"
        | "int"
        | "tuple"
        | "dict"
        | "NoneType"
        | "getset_descriptor"
        | "builtin_function_or_method" => return Ok(true),
        _ => return Ok(false),
    };
    let code = function.getattr(intern!(py, "__code__"))?;
    let file = code.getattr(intern!(py, "co_filename"))?;
    Ok(file.extract::<&str>().is_ok_and(|file| FROZEN.contains(&file)))
}

/// A copy of what a type itself has for attributes.
fn attributes_of<'py>(type_: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyDict>> {
    let py = type_.py();
    let attributes = type_.getattr(intern!(py, "__dict__"))?.call_method0(intern!(py, "copy"))?;
    Ok(attributes.cast_into::<PyDict>()?)
}

/// The version of a type: zero where it was not asked for anything since it was changed.
fn version_of(type_: &Bound<'_, PyType>) -> u32 {
    // SAFETY: the type is alive, and the thread holds the lock under which it is changed.
    unsafe { (*type_.as_type_ptr()).tp_version_tag }
}
