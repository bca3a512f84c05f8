//! Compiling by way of the store of code objects: a source that was compiled before is not compiled
//! again, wherever it is and whenever it was written.
//!
//! Code objects are kept without a file name of their own ([`NOWHERE`]) and are given the one that they
//! are loaded from, with all code objects in them, by `_imp._fix_co_filename`. As with `.pyc` files,
//! what the compiler warns of is only said when it compiles.
//!
//! `zipimport` makes the code of each module twice: `find_spec` asks for the module's path, which is
//! that of the code, and `exec_module` for the code. What was made for the path alone is
//! [set aside][`SetAside`] for whoever asks for the code next.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyCode};

use crate::bytecode::{
    BytecodeStore, CodeShape, DEFAULT_LIMIT, Key, Target, limit_from_environment, normalize,
    process_store,
};
use crate::native::cache_root;

use super::errors::full_message;
use super::importlib::Importlib;

/// `co_filename` of what is kept.
const NOWHERE: &str = "<mmport>";

/// The store, and what the interpreter compiles for.
struct Cache {
    store: &'static BytecodeStore,
    target: Target,
}

static CACHE: PyOnceLock<Option<Cache>> = PyOnceLock::new();

/// The code object that was made last and that nobody has got, if there is one.
#[derive(Debug, Default)]
pub(super) struct SetAside(Mutex<Option<Unused>>);

#[derive(Debug)]
struct Unused {
    key: Key,
    path: Py<PyAny>,
    code: Py<PyAny>,
}

impl SetAside {
    /// Puts `unused` in the place of what is there. No Python object goes while the lock is held.
    fn replace(&self, unused: Option<Unused>) -> Option<Unused> {
        std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), unused)
    }
}

/// A module's source, to be compiled.
pub(super) struct SourceCode<'a, 'py> {
    /// The module's full name.
    pub module: &'a str,
    /// What the compiler is given.
    pub source: &'a [u8],
    /// The path that tracebacks show.
    pub path: &'a Bound<'py, PyAny>,
}

impl<'py> SourceCode<'_, 'py> {
    /// The code object of this source, from the store or from the compiler.
    pub(super) fn code(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Some(cache) = CACHE.get_or_try_init(py, || Cache::open(py))? else {
            return self.compile(py);
        };
        self.code_under(py, cache, &cache.target.key(self.source))
    }

    /// The code object of this source, for whoever uses it: the one that was set aside, if it is.
    pub(super) fn code_or(&self, py: Python<'py>, aside: &SetAside) -> PyResult<Bound<'py, PyAny>> {
        let Some(unused) = aside.replace(None) else { return self.code(py) };
        let Some(cache) = CACHE.get_or_try_init(py, || Cache::open(py))? else {
            return self.compile(py);
        };
        let key = cache.target.key(self.source);
        if unused.key == key && unused.path.is(self.path) {
            return Ok(unused.code.into_bound(py));
        }
        self.code_under(py, cache, &key)
    }

    /// Makes the code object of this source, because that may fail, and sets it aside.
    pub(super) fn set_aside(&self, py: Python<'py>, aside: &SetAside) -> PyResult<()> {
        let Some(cache) = CACHE.get_or_try_init(py, || Cache::open(py))? else {
            return self.compile(py).map(drop);
        };
        let key = cache.target.key(self.source);
        let code = self.code_under(py, cache, &key)?.unbind();
        aside.replace(Some(Unused { key, path: self.path.clone().unbind(), code }));
        Ok(())
    }

    fn code_under(&self, py: Python<'py>, cache: &Cache, key: &Key) -> PyResult<Bound<'py, PyAny>> {
        if let Some(code) = self.stored(py, cache, key) {
            tracing::debug!(target: "mmport::bytecode", module = self.module, %key, "cache hit");
            return Ok(code);
        }
        tracing::debug!(target: "mmport::bytecode", module = self.module, %key, "cache miss");
        let code = self.compile(py)?;
        let dont_write = Importlib::get(py)?.sys(py, intern!(py, "dont_write_bytecode"))?;
        if !dont_write.is_truthy()? {
            // A program may have changed its mind since the store was opened.
            cache.store.allow_writing();
            self.keep(py, cache, key, &code)
                .inspect_err(|error| {
                    tracing::debug!(target: "mmport::bytecode", %error, "not kept");
                })
                .ok();
        }
        Ok(code)
    }

    fn compile(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Importlib::get(py)?.compile(py, PyBytes::new(py, self.source).as_any(), self.path)
    }

    fn stored(&self, py: Python<'py>, cache: &Cache, key: &Key) -> Option<Bound<'py, PyAny>> {
        let code = cache.store.find(key, |data| {
            let code = pyo3::marshal::loads(py, data)?;
            if !code.is_exact_instance_of::<PyCode>() {
                return Err(PyRuntimeError::new_err("expected a code object"));
            }
            Importlib::get(py)?.fix_co_filename(py, &code, self.path)?;
            Ok(code)
        })?;
        code.inspect_err(|error: &PyErr| {
            tracing::warn!(
                target: "mmport::bytecode",
                module = self.module,
                error = full_message(error),
                "stored code object cannot be unmarshalled: compiled again"
            );
        })
        .ok()
    }

    fn keep(
        &self,
        py: Python<'py>,
        cache: &Cache,
        key: &Key,
        code: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let importlib = Importlib::get(py)?;
        importlib.fix_co_filename(py, code, NOWHERE)?;
        let data = pyo3::marshal::dumps(code, pyo3::marshal::VERSION);
        importlib.fix_co_filename(py, code, self.path)?;
        let data = data?;
        let data = data.as_bytes();
        // The same from every process, whatever else refers to its constants.
        let normal = normalize(data, CodeShape::of(py.version_info().minor.into()));
        let origin = self.path.to_string();
        cache.store.insert(key, self.module, &origin, normal.as_deref().unwrap_or(data));
        Ok(())
    }
}

impl Cache {
    /// Opens the store for the running interpreter; `None` where there is to be none.
    fn open(py: Python<'_>) -> PyResult<Option<Self>> {
        if std::env::var_os("MMPORT_NO_CACHE").is_some_and(|value| !value.is_empty()) {
            return Ok(None);
        }
        // As CPython, which writes no bytecode without a tag.
        let Some(target) = running_target(py)? else { return Ok(None) };
        let Some(root) = cache_root() else { return Ok(None) };
        let dont_write = Importlib::get(py)?.sys(py, intern!(py, "dont_write_bytecode"))?;
        let may_write = !dont_write.is_truthy()?;
        let limit = limit_from_environment().unwrap_or_else(|text| {
            tracing::warn!(
                target: "mmport::bytecode",
                found = text,
                "expected a size such as 512MiB in MMPORT_BYTECODE_SIZE; using the default"
            );
            DEFAULT_LIMIT
        });
        let store = process_store(|| Some(BytecodeStore::open(&root, &target, limit, may_write)));
        Ok(store.map(|store| Self { store, target }))
    }
}

/// What else is remembered in the store, by whatever decides it: objects that can be marshalled.
pub(super) struct Memory(&'static Cache);

impl Memory {
    /// The memory of the running interpreter; `None` where there is to be none.
    pub(super) fn get(py: Python<'_>) -> Option<Self> {
        CACHE.get_or_try_init(py, || Cache::open(py)).ok()?.as_ref().map(Self)
    }

    /// What was kept under `key`, made anew.
    pub(super) fn recall<'py>(&self, py: Python<'py>, key: &[u8]) -> Option<Bound<'py, PyAny>> {
        let key = self.0.target.key(key);
        self.0.store.find(&key, |data| pyo3::marshal::loads(py, data).ok())?
    }

    /// Whether anything may be kept.
    pub(super) fn may_keep(&self, py: Python<'_>) -> bool {
        let dont_write = Importlib::get(py)
            .and_then(|importlib| importlib.sys(py, intern!(py, "dont_write_bytecode")))
            .and_then(|dont_write| dont_write.is_truthy());
        dont_write.is_ok_and(|dont_write| !dont_write) && self.0.store.is_added_to()
    }

    /// Keeps `object` under `key`; `name` and `origin` are for who looks into the store.
    pub(super) fn keep(
        &self,
        py: Python<'_>,
        key: &[u8],
        name: &str,
        origin: &str,
        object: &Bound<'_, PyAny>,
    ) {
        let data = match pyo3::marshal::dumps(object, pyo3::marshal::VERSION) {
            Ok(data) => data,
            Err(error) => {
                tracing::debug!(target: "mmport::bytecode", name, %error, "not kept");
                return;
            }
        };
        let data = data.as_bytes();
        let normal = normalize(data, CodeShape::of(py.version_info().minor.into()));
        self.keep_marshalled(key, name, origin, normal.as_deref().unwrap_or(data));
    }

    /// As [`Self::keep`], of an object that is marshalled already.
    pub(super) fn keep_marshalled(&self, key: &[u8], name: &str, origin: &str, data: &[u8]) {
        self.0.store.insert(&self.0.target.key(key), name, origin, data);
    }
}

/// Whether code objects that are compiled from now on are kept, as far as can be known.
pub(super) fn keeps_code(py: Python<'_>) -> PyResult<bool> {
    let cache = CACHE.get_or_try_init(py, || Cache::open(py))?;
    Ok(cache.as_ref().is_some_and(|cache| cache.store.is_added_to()))
}

/// What the running interpreter compiles for; `None` where `sys.implementation.cache_tag` is.
///
/// # Errors
/// What Python raises, should `sys` be damaged.
pub fn running_target(py: Python<'_>) -> PyResult<Option<Target>> {
    let importlib = Importlib::get(py)?;
    let implementation = importlib.sys(py, intern!(py, "implementation"))?;
    let tag: Option<String> = implementation.getattr(intern!(py, "cache_tag"))?.extract()?;
    let Some(tag) = tag else { return Ok(None) };
    let flags = importlib.sys(py, intern!(py, "flags"))?;
    let optimization: u8 = flags.getattr(intern!(py, "optimize"))?.extract()?;
    Ok(Some(Target::new(&tag, importlib.magic, optimization, has_debug_ranges(py)?)))
}

/// Whether code objects keep the columns of their instructions: not under `-X no_debug_ranges` and
/// `PYTHONNODEBUGRANGES`. Asked of a code object that is made anew, because nothing else says so; to ask the
/// compiler costs a process that compiles nothing two milliseconds.
fn has_debug_ranges(py: Python<'_>) -> PyResult<bool> {
    if !cfg!(Py_3_11) {
        return Ok(false);
    }
    let code = Importlib::get(py)?.some_code(py)?.call_method0(intern!(py, "replace"))?;
    for position in code.call_method0(intern!(py, "co_positions"))?.try_iter()? {
        if !position?.get_item(2)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}
