//! Code objects of `ZipImporter`, by the rules of `zipimport._get_module_code`.
//!
//! Bytecode wins over the source beside it if it may stand for it, and keeps the file names that
//! it was compiled with. Where bytecode is refused, CPython's own functions find the words. What
//! `zipimport` compiles each time is compiled once: see [`super::bytecode_cache`].

use pyo3::exceptions::{PyImportError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCode, PyDict, PyString, PyTuple};

use crate::bytecode::{HeaderKind, PycHeader, source_is_as_recorded};

use super::bytecode_cache::{SetAside, SourceCode};
use super::importlib::Importlib;
use super::zip_archive::{lookup, verbose, zip_import_error, zipimport};
use super::zip_importer::ZipImporterBase;

/// A place where a module may be.
pub(super) struct Candidate {
    pub suffix: &'static str,
    pub is_bytecode: bool,
    pub is_package: bool,
}

/// `zipimport._zip_searchorder`.
pub(super) const SEARCH_ORDER: [Candidate; 4] = [
    Candidate { suffix: "/__init__.pyc", is_bytecode: true, is_package: true },
    Candidate { suffix: "/__init__.py", is_bytecode: false, is_package: true },
    Candidate { suffix: ".pyc", is_bytecode: true, is_package: false },
    Candidate { suffix: ".py", is_bytecode: false, is_package: false },
];

/// What `zipimport._get_module_code` returns.
pub(super) struct ModuleCode<'py> {
    pub code: Bound<'py, PyAny>,
    pub is_package: bool,
    /// `__file__`
    pub path: Bound<'py, PyAny>,
}

/// The code of the module `fullname`.
pub(super) fn module_code<'py>(
    importer: &Bound<'py, ZipImporterBase>,
    fullname: &Bound<'py, PyString>,
) -> PyResult<ModuleCode<'py>> {
    module_by(importer, fullname, |source, aside| source.code_or(importer.py(), aside))
}

/// `__file__` of the module `fullname`: the path of its code, which there has to be.
pub(super) fn module_file<'py>(
    importer: &Bound<'py, ZipImporterBase>,
    fullname: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = importer.py();
    let set_aside = |source: SourceCode<'_, 'py>, aside: &SetAside| {
        source.set_aside(py, aside).map(|()| py.None().into_bound(py))
    };
    module_by(importer, fullname, set_aside).map(|module| module.path)
}

/// The module `fullname`, and what `make` makes of its source where there is no bytecode.
fn module_by<'py>(
    importer: &Bound<'py, ZipImporterBase>,
    fullname: &Bound<'py, PyString>,
    make: impl Fn(SourceCode<'_, 'py>, &SetAside) -> PyResult<Bound<'py, PyAny>>,
) -> PyResult<ModuleCode<'py>> {
    let py = importer.py();
    let files = ZipImporterBase::files(importer)?;
    let place = ZipImporterBase::module_path(importer, fullname)?;
    let mut refused: Option<PyErr> = None;
    for candidate in &SEARCH_ORDER {
        let name = place.add(candidate.suffix)?.cast_into::<PyString>()?;
        verbose(py, 2, || {
            ("trying {}{}{}", importer.getattr("archive")?, "/", &name).into_pyobject(py)
        })?;
        let Some(described) = lookup(&files, &name)? else { continue };
        let path = described.get_item(0)?;
        let data = ZipImporterBase::read(importer, &described)?;
        let code = if candidate.is_bytecode {
            let bytecode = Bytecode { importer, files: &files, path: &path, name: &name, fullname };
            match bytecode.code(&data) {
                Ok(code) => code,
                Err(error) if error.is_instance_of::<PyImportError>(py) => {
                    refused = Some(error);
                    None
                }
                Err(error) => return Err(error),
            }
        } else {
            // `zipimport` turns line ends into `\n` first, which the compiler does too.
            let module = fullname.to_string_lossy();
            let source = SourceCode { module: &module, source: &data, path: &path };
            Some(make(source, importer.get().set_aside())?)
        };
        if let Some(code) = code {
            return Ok(ModuleCode { code, is_package: candidate.is_package, path });
        }
    }
    let name = Some(("name", fullname.as_any()));
    Err(match refused {
        Some(cause) => {
            let message = format!("module load failed: {}", cause.value(py).str()?);
            let error = zip_import_error(py, &message, name);
            error.set_cause(py, Some(cause));
            error
        }
        None => not_found(fullname)?,
    })
}

/// `ZipImportError(f"can't find module {fullname!r}", name=fullname)`.
pub(super) fn not_found(fullname: &Bound<'_, PyString>) -> PyResult<PyErr> {
    let message = format!("can't find module {}", fullname.repr()?.to_string_lossy());
    Ok(zip_import_error(fullname.py(), &message, Some(("name", fullname.as_any()))))
}

/// The bytecode of a module, being looked at.
struct Bytecode<'a, 'py> {
    importer: &'a Bound<'py, ZipImporterBase>,
    files: &'a Bound<'py, PyAny>,
    /// The module's `__file__`, if this is what it is loaded from.
    path: &'a Bound<'py, PyAny>,
    /// The entry's name.
    name: &'a Bound<'py, PyString>,
    fullname: &'a Bound<'py, PyString>,
}

impl<'py> Bytecode<'_, 'py> {
    /// `zipimport._unmarshal_code`: `None` where the source is another one.
    fn code(&self, data: &[u8]) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.fullname.py();
        let importlib = Importlib::get(py)?;
        let header = match PycHeader::parse(data, importlib.magic, "") {
            Ok(header) => header,
            Err(error) => {
                return Err(self.refusal("_classify_pyc", None, data, &error.to_string()));
            }
        };
        if let HeaderKind::Timestamp { modified, size } = header.kind {
            if !self.is_current(modified, size)? {
                verbose(py, 1, || {
                    let shown = self.fullname.repr()?;
                    (format!("bytecode is stale for {}", shown.to_string_lossy()),)
                        .into_pyobject(py)
                })?;
                return Ok(None);
            }
        } else if let Some(recorded) = header.hash_to_check(importlib.current_hash_check(py)?)
            && let Some(described) = self.source()?
        {
            let source = ZipImporterBase::read(self.importer, &described)?;
            let hash = importlib.source_hash(py, &source)?;
            if hash != recorded {
                let text = "hash in bytecode doesn't match hash of source";
                return Err(self.refusal("_validate_hash_pyc", Some(hash), data, text));
            }
        }
        let code = pyo3::marshal::loads(py, header.marshal)?;
        if code.is_exact_instance_of::<PyCode>() {
            return Ok(Some(code));
        }
        let path = self.path.repr()?;
        let message = format!("compiled module {} is not a code object", path.to_string_lossy());
        Err(PyTypeError::new_err(message))
    }

    /// The source beside the bytecode, as the directory describes it.
    fn source(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        let name = self.name.to_string_lossy();
        let source = name.strip_suffix('c').unwrap_or(&name);
        lookup(self.files, &PyString::new(self.fullname.py(), source))
    }

    /// Whether the source beside the bytecode, if there is one, is that from which it was made.
    fn is_current(&self, modified: u32, size: u32) -> PyResult<bool> {
        let Some(source) = self.source()? else { return Ok(true) };
        let py = self.fullname.py();
        let dos = (source.get_item(6)?, source.get_item(5)?);
        let seconds: f64 =
            zipimport(py)?.call_method1(intern!(py, "_parse_dostime"), dos)?.extract()?;
        // The epoch itself counts as no time at all.
        Ok(seconds == 0.0
            || source_is_as_recorded(
                modified,
                size,
                seconds as i64,
                source.get_item(3)?.extract()?,
            ))
    }

    /// What CPython raises for this bytecode: `function(data, *hash, fullname, details)` of
    /// `importlib._bootstrap_external`.
    fn refusal(
        &self,
        function: &str,
        hash: Option<[u8; 8]>,
        data: &[u8],
        otherwise: &str,
    ) -> PyErr {
        let py = self.fullname.py();
        let raise = || -> PyResult<()> {
            let details = PyDict::new(py);
            details.set_item("name", self.fullname)?;
            details.set_item("path", self.name)?;
            let mut arguments = vec![PyBytes::new(py, data).into_any()];
            arguments.extend(hash.map(|hash| PyBytes::new(py, &hash).into_any()));
            arguments.extend([self.fullname.clone().into_any(), details.into_any()]);
            let external = Importlib::get(py)?.bootstrap_external(py);
            external.getattr(function)?.call1(PyTuple::new(py, arguments)?).map(drop)
        };
        raise().err().unwrap_or_else(|| PyImportError::new_err(otherwise.to_owned()))
    }
}
