//! Executing a module of the standard library from remembered code.
//!
//! Its loader is the one that CPython would have made. For the one call by which `import` executes the
//! module it has an `exec_module` of its own, which takes itself away first: what runs the module's code,
//! and everybody after that, finds the loader as it always is.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use pyo3::exceptions::PyImportError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::bytecode::{HeaderKind, PycHeader};
use crate::directory::Stamp;
use crate::python::bytecode_cache::Memory;
use crate::python::execution_log::logged;
use crate::python::import_time::while_importing;
use crate::python::importlib::Importlib;

use super::taught::teach;

/// What keeps remembered code apart from what else is remembered.
const SUBJECT: &str = "module";

/// A loader's `exec_module`, for once.
#[pyclass(frozen, module = "mmport")]
#[derive(Debug)]
pub(super) struct Execution {
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
    fn key(&self) -> Vec<u8> {
        self.stamp.key(SUBJECT, &self.path)
    }

    /// The code object that is remembered of it.
    fn recall<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        let code = Memory::get(py)?.recall(py, &self.key())?;
        code.is_exact_instance_of::<pyo3::types::PyCode>().then_some(code)
    }

    /// Remembers `code`, which CPython has made of it, for the next process.
    fn keep(&self, py: Python<'_>, name: &str, code: &Bound<'_, PyAny>) {
        let Some(memory) = Memory::get(py).filter(|memory| memory.may_keep(py)) else { return };
        if !self.stamp.is_settled(SystemTime::now()) {
            return;
        }
        match fs::read(&self.cached) {
            Ok(data) => {
                // What CPython has just read, unless it is to be used whatever the source is: then its
                // file would have to be looked at, too.
                let Ok(importlib) = Importlib::get(py) else { return };
                let Ok(header) = PycHeader::parse(&data, importlib.magic, name) else { return };
                let is_of_source = match header.kind {
                    HeaderKind::Timestamp { modified, size } => {
                        (modified, size) == self.stamp.recorded()
                    }
                    HeaderKind::Unchecked { .. } | HeaderKind::CheckedHash { .. } => false,
                };
                if is_of_source && self.is_as_found() {
                    memory.keep_marshalled(&self.key(), name, &self.path, header.marshal);
                }
            }
            // Nobody could write it, and it was compiled.
            Err(_) if self.is_as_found() => memory.keep(py, &self.key(), name, &self.path, code),
            Err(_) => {}
        }
    }

    fn is_as_found(&self) -> bool {
        Stamp::of(Path::new(&self.path)) == Some(self.stamp)
    }
}

impl Execution {
    /// Has `loader` execute the module `name`, once, from what is remembered of `source`.
    pub(super) fn by_loader(
        loader: &Bound<'_, PyAny>,
        name: &Bound<'_, PyString>,
        source: Source,
    ) -> PyResult<()> {
        let py = loader.py();
        let (owner, name) = (loader.clone().unbind(), name.clone().unbind());
        let execution = Bound::new(py, Self { loader: owner, name, source })?;
        loader.setattr(intern!(py, "exec_module"), execution)
    }
}

impl Execution {
    fn execute(
        &self,
        loader: &Bound<'_, PyAny>,
        name: &str,
        module: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let py = module.py();
        let importlib = Importlib::get(py)?;
        let recalled = self.source.recall(py);
        tracing::debug!(
            target: "mmport::bytecode",
            module = name,
            "{}", if recalled.is_some() { "module recalled" } else { "module not known" }
        );
        let is_known = recalled.is_some();
        let code = match recalled {
            Some(code) => {
                importlib.fix_co_filename(py, &code, &self.source.path)?;
                code
            }
            None => loader.call_method1(intern!(py, "get_code"), (name,))?,
        };
        if code.is_none() {
            let message = format!("cannot load module {name:?} when get_code() returns None");
            return Err(PyImportError::new_err(message));
        }
        let namespace = module.getattr(intern!(py, "__dict__"))?;
        importlib.exec(py, &code, namespace.cast::<PyDict>()?)?;
        if !is_known {
            self.source.keep(py, name, &code);
        }
        teach(name, module);
        Ok(())
    }
}

#[pymethods]
impl Execution {
    fn __call__(&self, module: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = module.py();
        let loader = self.loader.bind(py);
        loader.delattr(intern!(py, "exec_module"))?;
        let name = self.name.bind(py).to_str()?;
        let execute = || while_importing(py, || self.execute(loader, name, module));
        logged(name, || self.source.path.clone(), execute)
    }
}
