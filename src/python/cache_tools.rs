//! Filling the store of code objects without importing anything, and showing what is in it.

use std::path::Path;

use pyo3::exceptions::PyOSError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyBytes, PyString};

use crate::bundle::{Bundle, Found, FoundKind};
use crate::native::cache_root;

use super::bytecode_cache::{SourceCode, keeps_code};
use super::code::CodeRequest;
use super::errors::{ImportFailure, full_message};
use super::hooks::running_suffixes;
use super::importlib::Importlib;

/// What became of the modules of a bundle or a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Warmed {
    /// Sources whose code object is in the store now.
    pub compiled: usize,
    /// Modules that the bundle has bytecode of, for the running Python.
    pub with_bytecode: usize,
    /// Sources that do not compile, each with the reason.
    pub refused: Vec<(String, String)>,
}

impl Warmed {
    fn note(&mut self, name: &str, code: PyResult<Option<Bound<'_, PyAny>>>) {
        match code {
            Ok(_) => self.compiled += 1,
            Err(error) => self.refused.push((name.to_owned(), full_message(&error))),
        }
    }
}

/// Compiles everything in the bundle, zip or directory at `path` that has no bytecode for the running
/// Python, so that the store has it.
///
/// As `compileall`, it writes whatever `sys.dont_write_bytecode` says, which is about imports.
///
/// # Errors
/// `ImportError` when it cannot be read, `OSError` when nothing can be kept.
pub fn warm(py: Python<'_>, path: &Path) -> PyResult<Warmed> {
    let sys = py.import("sys")?;
    let name = intern!(py, "dont_write_bytecode");
    let dont_write = sys.getattr(name)?;
    sys.setattr(name, false)?;
    let warmed = if path.is_dir() { warm_directory(py, path) } else { warm_bundle(py, path) };
    sys.setattr(name, dont_write)?;
    let warmed = warmed?;
    if warmed.compiled > 0 && !keeps_code(py)? {
        let place = cache_root().map(|root| format!(" in `{}`", root.display()));
        let message = format!(
            "expected a cache{} that can be written to; is MMPORT_NO_CACHE set? \
             MMPORT_LOG=mmport::bytecode=warn says what was found",
            place.unwrap_or_default()
        );
        return Err(PyOSError::new_err(message));
    }
    Ok(warmed)
}

fn warm_bundle(py: Python<'_>, path: &Path) -> PyResult<Warmed> {
    let path = std::path::absolute(path)?;
    let bundle = Bundle::open(&path, running_suffixes(py)?).map_err(ImportFailure::from)?;
    let mut warmed = Warmed::default();
    for entry in bundle.files_below("").map_err(ImportFailure::from)? {
        let name = entry.name();
        let Some(stem) = name.strip_suffix(".py") else { continue };
        let place = stem.strip_suffix("/__init__").unwrap_or(stem);
        let (prefix, module) = place.rfind('/').map_or(("", place), |at| place.split_at(at + 1));
        let Some(Found::Module(found)) = bundle.find(prefix, module) else { continue };
        let file = format!("{}/{name}", path.display());
        let module = place.replace('/', ".");
        let request =
            CodeRequest { bundle: &bundle, name: &module, path: &PyString::new(py, &file) };
        if !matches!(found.kind, FoundKind::Source { .. }) {
            continue; // An extension module comes before its source.
        }
        // Bytecode of another Python is as none.
        if request.code_of_bytecode(py, found.kind).is_ok_and(|code| code.is_none()) {
            warmed.note(&name, request.code(py, found.kind));
        } else {
            warmed.with_bytecode += 1;
        }
    }
    Ok(warmed)
}

fn warm_directory(py: Python<'_>, path: &Path) -> PyResult<Warmed> {
    let path = std::path::absolute(path)?;
    let mut warmed = Warmed::default();
    for entry in walkdir::WalkDir::new(&path).sort_by_file_name().into_iter().filter_map(Result::ok)
    {
        let file = entry.path();
        if !entry.file_type().is_file() || file.extension().is_none_or(|suffix| suffix != "py") {
            continue;
        }
        let place = file.strip_prefix(&path).unwrap_or(file).with_extension("");
        let module = place.to_string_lossy().replace('/', ".");
        let module = module.strip_suffix(".__init__").unwrap_or(&module);
        let shown = PyString::new(py, &file.to_string_lossy()).into_any();
        let code = std::fs::read(file).map_err(PyErr::from).and_then(|source| {
            SourceCode { module, source: &source, path: &shown }.code(py).map(Some)
        });
        warmed.note(&file.to_string_lossy(), code);
    }
    Ok(warmed)
}

/// The instructions of a marshalled code object, as `dis.dis` shows them. Its file name becomes `path`.
///
/// # Errors
/// What `marshal` raises for bytecode of another Python.
pub fn disassemble(py: Python<'_>, marshalled: &[u8], path: &str) -> PyResult<String> {
    let code = py.import("marshal")?.call_method1("loads", (PyBytes::new(py, marshalled),))?;
    Importlib::get(py)?.fix_co_filename(py, &code, path)?;
    let text = py.import("io")?.call_method0("StringIO")?;
    let options = [("file", &text)].into_py_dict(py)?;
    py.import("dis")?.call_method("dis", (code,), Some(&options))?;
    text.call_method0("getvalue")?.extract()
}
