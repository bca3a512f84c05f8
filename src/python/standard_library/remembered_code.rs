//! Code objects of the standard library that are remembered.
//!
//! The loader of a module is the one that CPython would have made. For the one call by which its
//! `exec_module` asks for the code it has a `get_code` of its own, which takes itself away first: what runs
//! the module's code, and everybody after that, finds the loader as it always is. So the code is run by
//! CPython alone.
//!
//! What is remembered stands for a source and its bytecode, both as they were: a code object is found again
//! only where CPython would read the same file, and find that it stands for the same source.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCode, PyString};

use crate::bytecode::{HeaderKind, PycHeader};
use crate::directory::{Kind, Stamp};
use crate::python::bytecode_cache::Memory;
use crate::python::import_time::while_importing;
use crate::python::importlib::Importlib;

/// What keeps remembered code apart from what else is remembered.
const SUBJECT: &str = "module";

/// A loader's `get_code`, for once.
#[pyclass(frozen, module = "mmport")]
#[derive(Debug)]
pub(super) struct RememberedCode {
    loader: Py<PyAny>,
    name: Py<PyString>,
    source: Source,
}

/// A source file as it was found.
#[derive(Debug)]
pub(super) struct Source {
    /// Its path.
    pub path: String,
    /// Its bytecode's path.
    pub cached: String,
    /// What it was found with.
    pub stamp: Stamp,
}

impl Source {
    /// The bytecode's state; `None` where there is no file.
    fn cached_stamp(&self) -> Option<Stamp> {
        Stamp::of(Path::new(&self.cached)).filter(|stamp| stamp.kind() == Kind::File)
    }

    fn key(&self, cached: Option<Stamp>) -> Vec<u8> {
        let mut key = self.stamp.key(SUBJECT, &self.path);
        key.extend(cached.map_or_else(|| vec![0], |cached| cached.key("", "")));
        key
    }

    /// The code object, remembered or read from the file that CPython would read; `None` where it would
    /// not be that.
    fn code<'py>(&self, py: Python<'py>, memory: &Memory, name: &str) -> Option<Bound<'py, PyAny>> {
        let cached = self.cached_stamp();
        let key = self.key(cached);
        if let Some(code) = memory.recall(py, &key).filter(Bound::is_exact_instance_of::<PyCode>) {
            return Some(code);
        }
        let data = fs::read(&self.cached).ok()?;
        let header = PycHeader::parse(&data, Importlib::get(py).ok()?.magic, name).ok()?;
        match header.kind {
            HeaderKind::Timestamp { modified, size }
                if (modified, size) == self.stamp.recorded() => {}
            HeaderKind::Unchecked { .. } => {}
            HeaderKind::Timestamp { .. } | HeaderKind::CheckedHash { .. } => return None,
        }
        let code = pyo3::marshal::loads(py, header.marshal).ok()?;
        if !code.is_exact_instance_of::<PyCode>() {
            return None;
        }
        if self.is_settled(cached) && memory.may_keep(py) && self.is_as_found(cached) {
            memory.keep_marshalled(&key, name, &self.path, header.marshal);
        }
        Some(code)
    }

    /// Remembers `code`, which CPython has compiled, where it could not write it down.
    fn keep(&self, py: Python<'_>, name: &str, code: &Bound<'_, PyAny>) {
        if let Some(memory) = Memory::get(py).filter(|memory| memory.may_keep(py))
            && self.cached_stamp().is_none()
            && self.is_settled(None)
            && self.is_as_found(None)
        {
            memory.keep(py, &self.key(None), name, &self.path, code);
        }
    }

    /// Whether neither can change without a trace.
    fn is_settled(&self, cached: Option<Stamp>) -> bool {
        let now = SystemTime::now();
        self.stamp.is_settled(now) && cached.is_none_or(|cached| cached.is_settled(now))
    }

    fn is_as_found(&self, cached: Option<Stamp>) -> bool {
        Stamp::of(Path::new(&self.path)) == Some(self.stamp) && self.cached_stamp() == cached
    }
}

impl RememberedCode {
    /// Has `loader` give the code of the module `name`, once, from what is remembered of `source`.
    pub(super) fn by_loader(
        loader: &Bound<'_, PyAny>,
        name: &Bound<'_, PyString>,
        source: Source,
    ) -> PyResult<()> {
        let py = loader.py();
        let (owner, name) = (loader.clone().unbind(), name.clone().unbind());
        let code = Bound::new(py, Self { loader: owner, name, source })?;
        loader.setattr(intern!(py, "get_code"), code)
    }
}

#[pymethods]
impl RememberedCode {
    fn __call__<'py>(&self, fullname: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = fullname.py();
        let loader = self.loader.bind(py);
        loader.delattr(intern!(py, "get_code"))?;
        let name = self.name.bind(py);
        let is_asked_for = fullname.eq(name)?;
        if is_asked_for && let Some(memory) = Memory::get(py) {
            let text = name.to_str()?;
            // Many objects are made, and none goes.
            if let Some(code) = while_importing(py, || self.source.code(py, &memory, text)) {
                Importlib::get(py)?.fix_co_filename(py, &code, &self.source.path)?;
                return Ok(code);
            }
        }
        let code = loader.call_method1(intern!(py, "get_code"), (fullname,))?;
        if is_asked_for && code.is_exact_instance_of::<PyCode>() {
            self.source.keep(py, name.to_str()?, &code);
        }
        Ok(code)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loader)
    }
}
