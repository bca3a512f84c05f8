//! Code objects: unmarshalled from the map, or, where the bundle has no bytecode that stands for the
//! source, from the store of what was compiled before, or compiled.
//!
//! The rules are those of `SourceLoader.get_code` and `SourcelessFileLoader.get_code` in
//! `Lib/importlib/_bootstrap_external.py`; time stamps are compared as `Lib/zipimport.py` does.

use pyo3::prelude::*;
use pyo3::types::{PyCode, PyString};

use crate::bundle::{Bundle, FoundKind};
use crate::bytecode::{BytecodeError, HeaderKind, PycHeader, source_is_as_recorded};

use super::bytecode_cache::SourceCode;
use super::errors::{ImportFailure, failed_import, import_error};
use super::importlib::Importlib;

/// What a code object is made for.
pub(super) struct CodeRequest<'request, 'py> {
    /// Where the entries are.
    pub bundle: &'request Bundle,
    /// The module's full name.
    pub name: &'request str,
    /// The path that tracebacks show: the module's `__file__`.
    pub path: &'request Bound<'py, PyString>,
}

impl<'py> CodeRequest<'_, 'py> {
    /// The code object of the module, or `None` for an extension module.
    pub(super) fn code(
        &self,
        py: Python<'py>,
        kind: FoundKind,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match kind {
            FoundKind::Extension(_) => Ok(None),
            FoundKind::Bytecode(bytecode) => self.sourceless(py, bytecode).map(Some),
            FoundKind::Source { source, .. } => match self.code_of_bytecode(py, kind)? {
                Some(code) => Ok(Some(code)),
                None => self.compile(py, source).map(Some),
            },
        }
    }

    /// The code object of a source's bytecode, where there is some that may stand for it.
    pub(super) fn code_of_bytecode(
        &self,
        py: Python<'py>,
        kind: FoundKind,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let FoundKind::Source { source, cached, beside } = kind else { return Ok(None) };
        for bytecode in cached.into_iter().chain(beside) {
            if let Some(code) = self.for_source(py, bytecode, source)? {
                return Ok(Some(code));
            }
        }
        Ok(None)
    }

    fn failed(&self, py: Python<'_>, failure: impl Into<ImportFailure>) -> PyErr {
        failed_import(py, failure, self.name, &self.path.to_string_lossy())
    }

    fn sourceless(&self, py: Python<'py>, bytecode: u32) -> PyResult<Bound<'py, PyAny>> {
        let magic = Importlib::get(py)?.magic;
        self.with_data(py, bytecode, |data| {
            let header = PycHeader::parse(data, magic, self.name).map_err(|error| match error {
                // As CPython: a cut-off header is an EOFError, the rest ImportErrors.
                BytecodeError::Truncated { .. } => {
                    pyo3::exceptions::PyEOFError::new_err(error.to_string())
                }
                error => self.failed(py, error),
            })?;
            self.unmarshal(py, header.marshal)
        })
    }

    /// Runs `read` on the data of the entry at `ordinal`, in place.
    fn with_data<T>(
        &self,
        py: Python<'_>,
        ordinal: u32,
        read: impl FnOnce(&[u8]) -> PyResult<T>,
    ) -> PyResult<T> {
        self.bundle
            .entry_at(ordinal)
            .and_then(|entry| entry.read_with(read))
            .map_err(|error| self.failed(py, error))?
    }

    /// The code object of `bytecode` if it may stand for `source`.
    fn for_source(
        &self,
        py: Python<'py>,
        bytecode: u32,
        source: u32,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let importlib = Importlib::get(py)?;
        let code = self.with_data(py, bytecode, |data| {
            let header = match PycHeader::parse(data, importlib.magic, self.name) {
                Ok(header) => header,
                Err(error) => {
                    tracing::debug!(
                        target: "mmport::bytecode", module = self.name, %error, "bytecode not used"
                    );
                    return Ok(None);
                }
            };
            if !self.is_current(py, &header, source)? {
                tracing::debug!(
                    target: "mmport::bytecode",
                    module = self.name,
                    error = "made from another source",
                    "bytecode not used"
                );
                return Ok(None);
            }
            self.unmarshal(py, header.marshal).map(Some)
        })?;
        if let Some(code) = &code {
            importlib.fix_co_filename(py, code, self.path)?;
        }
        Ok(code)
    }

    fn is_current(&self, py: Python<'_>, header: &PycHeader, source: u32) -> PyResult<bool> {
        let importlib = Importlib::get(py)?;
        if let Some(recorded) = header.hash_to_check(importlib.hash_check) {
            let source = self
                .bundle
                .entry_at(source)
                .and_then(|entry| entry.read())
                .map_err(|error| self.failed(py, error))?;
            return Ok(importlib.source_hash(py, &source)? == recorded);
        }
        let HeaderKind::Timestamp { modified, size } = header.kind else { return Ok(true) };
        let entry = self.bundle.entry_at(source).map_err(|error| self.failed(py, error))?;
        let (time, date) = entry.modified();
        // zipimport turns the local time of a zip into seconds; it is the rule here too.
        let seconds = py.import("zipimport")?.call_method1("_parse_dostime", (date, time))?;
        let seconds = seconds.extract::<f64>()?;
        Ok(source_is_as_recorded(modified, size, seconds as i64, entry.size()))
    }

    /// Turns marshal data into a code object, in place.
    fn unmarshal(&self, py: Python<'py>, marshal: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let code = pyo3::marshal::loads(py, marshal)?;
        if code.is_exact_instance_of::<PyCode>() {
            return Ok(code);
        }
        let path = self.path.to_string_lossy();
        let message = format!("Non-code object in {path:?}");
        Err(import_error(py, &message, self.name, Some(&path)))
    }

    fn compile(&self, py: Python<'py>, source: u32) -> PyResult<Bound<'py, PyAny>> {
        let source = self
            .bundle
            .entry_at(source)
            .and_then(|entry| entry.read())
            .map_err(|error| self.failed(py, error))?;
        SourceCode { module: self.name, source: &source, path: self.path.as_any() }.code(py)
    }
}
