//! `ZipImporter`: a drop-in for `zipimport.zipimporter`, for any zip, from its memory map.
//!
//! Where `BundleImporter` serves a bundle as an installation would look, this class does what the
//! running Python's `zipimport` does, to the words of its errors: bytecode beside a source is the
//! module's `__file__`, nothing is materialized, a file that changes is seen. Its state is in the
//! attributes that `zipimporter` has (`archive`, `prefix`, `_files`), so a program may change them.
//!
//! `mmport.ZipImporter` is the Rust class of this file, before `zipimport.zipimporter` in the
//! order of its bases: every method is found here first, and what was registered for `zipimporter`
//! (`pkgutil`, `pkg_resources`, `isinstance`) holds for it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::{PyImportError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
#[cfg(not(Py_3_12))]
use pyo3::types::PyList;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyString, PyTuple, PyType};

use crate::bundle::ZipFile;

use super::bytecode_cache::SetAside;
use super::importlib::Importlib;
use super::zip_archive::{EntryData, directory_cache, lookup, read_directory, zipimport};
use super::zip_code::{SEARCH_ORDER, module_code, module_file, not_found};
use super::zip_legacy::{load_module, warn_deprecated};
use super::zip_path::split_path;

/// The methods of `ZipImporter`.
#[pyclass(frozen, subclass, module = "mmport")]
#[derive(Debug, Default)]
pub struct ZipImporterBase {
    /// The map that was used last, to be used again if the file is the same.
    file: Mutex<Option<Arc<ZipFile>>>,
    /// A code object that was made for a module's path.
    set_aside: SetAside,
}

/// `mmport.ZipImporter`.
///
/// # Errors
/// What Python raises, should `zipimport` be damaged.
pub fn zip_importer_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let make = || -> PyResult<Py<PyType>> {
        // Where `zipimporter` was replaced already, this is made only once anyway.
        let bases =
            (py.get_type::<ZipImporterBase>(), zipimport(py)?.getattr(intern!(py, "zipimporter"))?);
        let attributes = PyDict::new(py);
        attributes.set_item("__module__", "mmport")?;
        attributes.set_item(
            "__doc__",
            "Find and load the modules of a zip, or of a directory in one, as \
             zipimport.zipimporter does.",
        )?;
        let made = py.get_type::<PyType>().call1(("ZipImporter", bases, attributes))?;
        Ok(made.cast_into()?.unbind())
    };
    Ok(TYPE.get_or_try_init(py, make)?.bind(py))
}

impl ZipImporterBase {
    /// What the archive holds, by name.
    pub(super) fn files<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        if cfg!(Py_3_13) {
            slf.call_method0(intern!(slf.py(), "_get_files"))
        } else {
            slf.getattr(intern!(slf.py(), "_files"))
        }
    }

    /// The place of a module in the archive, without a suffix.
    pub(super) fn module_path<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyString>> {
        let py = slf.py();
        let prefix = slf.getattr(intern!(py, "prefix"))?;
        let path = match fullname.to_str() {
            Ok(name) => prefix.add(name.rsplit_once('.').map_or(name, |(_, tail)| tail))?,
            Err(_) => {
                let parts = fullname.call_method1(intern!(py, "rpartition"), (".",))?;
                prefix.add(parts.get_item(2)?)?
            }
        };
        Ok(path.cast_into()?)
    }

    /// The data of an entry, from the archive as it is now.
    pub(super) fn read<'py>(
        slf: &Bound<'py, Self>,
        described: &Bound<'py, PyAny>,
    ) -> PyResult<EntryData<'py>> {
        let py = slf.py();
        let archive = slf.getattr(intern!(py, "archive"))?;
        let path: PathBuf = archive.extract()?;
        let file = slf.get().current(&path).map_err(|error| os_error(py, &error, &archive))?;
        EntryData::read(&file, &archive, described)
    }

    /// Where a code object is kept that was made for a module's path.
    pub(super) fn set_aside(&self) -> &SetAside {
        &self.set_aside
    }

    fn current(&self, path: &Path) -> std::io::Result<Arc<ZipFile>> {
        let held = self.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let file = ZipFile::current(path, held)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Whether a module is a package; `None` where there is no such module.
    fn module_info(
        slf: &Bound<'_, Self>,
        fullname: &Bound<'_, PyString>,
    ) -> PyResult<Option<bool>> {
        let files = Self::files(slf)?;
        let place = Self::module_path(slf, fullname)?;
        for candidate in &SEARCH_ORDER {
            let name = place.add(candidate.suffix)?.cast_into::<PyString>()?;
            if lookup(&files, &name)?.is_some() {
                return Ok(Some(candidate.is_package));
            }
        }
        Ok(None)
    }

    /// The path of a directory that may be a portion of a namespace package.
    fn portion<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let place = Self::module_path(slf, fullname)?;
        let name = place.add("/")?.cast_into::<PyString>()?;
        if lookup(&Self::files(slf)?, &name)?.is_none() {
            return Ok(None);
        }
        slf.getattr(intern!(py, "archive"))?.add("/")?.add(place).map(Some)
    }

    fn key_in_archive<'py>(
        slf: &Bound<'py, Self>,
        path: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyString>> {
        let archive = slf.getattr(intern!(slf.py(), "archive"))?.add("/")?;
        let key = path.call_method1(intern!(slf.py(), "removeprefix"), (archive,))?;
        Ok(key.cast_into()?)
    }
}

#[pymethods]
impl ZipImporterBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs), text_signature = "(path)")]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::default()
    }

    fn __init__(slf: &Bound<'_, Self>, path: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let (path, prefix) = split_path(path)?;
        let cache = directory_cache(py)?;
        let files = match cache.get_item(&path)? {
            Some(files) => files,
            None => {
                let files = read_directory(&path)?.into_any();
                cache.set_item(&path, &files)?;
                files
            }
        };
        if cfg!(not(Py_3_13)) {
            slf.setattr(intern!(py, "_files"), files)?;
        }
        slf.setattr(intern!(py, "archive"), path)?;
        slf.setattr(intern!(py, "prefix"), prefix)
    }

    #[cfg(not(Py_3_12))]
    #[pyo3(signature = (fullname, path=None))]
    fn find_loader<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
        path: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Option<Bound<'py, Self>>, Bound<'py, PyList>)> {
        let _ = path;
        let py = slf.py();
        warn_deprecated(
            py,
            "zipimporter.find_loader() is deprecated and slated for removal in Python 3.12; \
             use find_spec() instead",
        )?;
        if Self::module_info(slf, fullname)?.is_some() {
            return Ok((Some(slf.clone()), PyList::empty(py)));
        }
        Ok((None, PyList::new(py, Self::portion(slf, fullname)?)?))
    }

    #[cfg(not(Py_3_12))]
    #[pyo3(signature = (fullname, path=None))]
    fn find_module<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
        path: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        warn_deprecated(
            slf.py(),
            "zipimporter.find_module() is deprecated and slated for removal in Python 3.12; \
             use find_spec() instead",
        )?;
        slf.call_method1("find_loader", (fullname, path))?.get_item(0)
    }

    #[pyo3(signature = (fullname, target=None))]
    fn find_spec<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
        target: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let _ = target; // zipimport makes no use of it either.
        let py = slf.py();
        let importlib = Importlib::get(py)?;
        if let Some(is_package) = Self::module_info(slf, fullname)? {
            let options = [("is_package", is_package)].into_py_dict(py)?;
            let make = importlib.bootstrap(py).getattr(intern!(py, "spec_from_loader"))?;
            return make.call((fullname, slf), Some(&options)).map(Some);
        }
        let Some(portion) = Self::portion(slf, fullname)? else { return Ok(None) };
        let options = [("is_package", true)].into_py_dict(py)?;
        let spec = importlib.module_spec.bind(py).call((fullname, py.None()), Some(&options))?;
        spec.getattr("submodule_search_locations")?.call_method1("append", (portion,))?;
        Ok(Some(spec))
    }

    fn create_module(&self, py: Python<'_>, spec: &Bound<'_, PyAny>) -> Py<PyAny> {
        let _ = spec; // Modules of a zip are plain ones.
        py.None()
    }

    fn exec_module(slf: &Bound<'_, Self>, module: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = slf.py();
        let name = module.getattr(intern!(py, "__name__"))?;
        let code = slf.call_method1(intern!(py, "get_code"), (&name,))?;
        if code.is_none() {
            let name = name.repr()?;
            return Err(PyImportError::new_err(format!(
                "cannot load module {} when get_code() returns None",
                name.to_string_lossy()
            )));
        }
        let namespace = module.getattr(intern!(py, "__dict__"))?;
        Importlib::get(py)?.exec(py, &code, namespace.cast()?)
    }

    fn get_code<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        module_code(slf, fullname).map(|module| module.code)
    }

    fn get_data<'py>(
        slf: &Bound<'py, Self>,
        pathname: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let key = Self::key_in_archive(slf, pathname)?;
        match lookup(&Self::files(slf)?, &key)? {
            Some(described) => Ok(Self::read(slf, &described)?.into_bytes(slf.py())),
            None => Err(PyOSError::new_err((0, "", key.unbind()))),
        }
    }

    fn get_filename<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        module_file(slf, fullname)
    }

    fn get_source<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let Some(is_package) = Self::module_info(slf, fullname)? else {
            return Err(not_found(fullname)?);
        };
        let suffix = if is_package { "/__init__.py" } else { ".py" };
        let name = Self::module_path(slf, fullname)?.add(suffix)?.cast_into::<PyString>()?;
        let Some(described) = lookup(&Self::files(slf)?, &name)? else { return Ok(None) };
        let source = Self::read(slf, &described)?.into_bytes(py);
        source.call_method0(intern!(py, "decode")).map(Some)
    }

    fn is_package(slf: &Bound<'_, Self>, fullname: &Bound<'_, PyString>) -> PyResult<bool> {
        match Self::module_info(slf, fullname)? {
            Some(is_package) => Ok(is_package),
            None => Err(not_found(fullname)?),
        }
    }

    fn load_module<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        warn_deprecated(
            py,
            "zipimport.zipimporter.load_module() is deprecated and slated for removal in Python \
             3.12; use exec_module() instead",
        )?;
        load_module(slf, fullname)
    }

    fn get_resource_reader<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        if cfg!(not(Py_3_13)) {
            match slf.call_method1(intern!(py, "is_package"), (fullname,)) {
                Ok(is_package) if is_package.is_truthy()? => {}
                Ok(_) => return Ok(None),
                Err(error) => {
                    let expected = zipimport(py)?.getattr(intern!(py, "ZipImportError"))?;
                    return if error.matches(py, expected)? { Ok(None) } else { Err(error) };
                }
            }
        }
        py.import("importlib.readers")?.call_method1("ZipReader", (slf, fullname)).map(Some)
    }

    #[cfg(Py_3_13)]
    fn _get_files<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let cache = directory_cache(py)?;
        let archive = slf.getattr(intern!(py, "archive"))?;
        if let Some(files) = cache.get_item(&archive)? {
            return Ok(files);
        }
        match read_or_nothing(&archive)? {
            Some(files) => {
                cache.set_item(archive, &files)?;
                Ok(files.into_any())
            }
            None => Ok(PyDict::new(py).into_any()),
        }
    }

    fn invalidate_caches(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let cache = directory_cache(py)?;
        let archive = slf.getattr(intern!(py, "archive"))?;
        let files = if cfg!(Py_3_13) { None } else { read_or_nothing(&archive)? };
        match &files {
            Some(files) => cache.set_item(&archive, files)?,
            None => {
                cache.call_method1(intern!(py, "pop"), (&archive, py.None()))?;
            }
        }
        if cfg!(not(Py_3_13)) {
            let files = files.unwrap_or_else(|| PyDict::new(py));
            slf.setattr(intern!(py, "_files"), files)?;
        }
        Ok(())
    }

    // A class with a part of its own in Rust is not pickled by itself.
    /// Pickle the attributes, which are all that counts.
    fn __reduce_ex__<'py>(
        slf: &Bound<'py, Self>,
        protocol: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let _ = protocol; // The same for all.
        let py = slf.py();
        let state = match slf.getattr_opt(intern!(py, "__getstate__"))? {
            Some(state) => state.call0()?,
            None => slf.getattr(intern!(py, "__dict__"))?, // before 3.11
        };
        let make = py.import("copyreg")?.getattr("__newobj__")?;
        (make, (slf.get_type(),), state).into_pyobject(py)
    }

    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let parts = (slf.getattr(intern!(py, "archive"))?, slf.getattr(intern!(py, "prefix"))?);
        PyString::new(py, "<zipimporter object \"{}/{}\">").call_method1("format", parts)
    }
}

/// Reads a directory; `None` where it cannot be read.
fn read_or_nothing<'py>(archive: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let py = archive.py();
    match read_directory(archive) {
        Ok(files) => Ok(Some(files)),
        Err(error) => {
            let expected = zipimport(py)?.getattr(intern!(py, "ZipImportError"))?;
            if error.matches(py, expected)? { Ok(None) } else { Err(error) }
        }
    }
}

/// What `open(archive)` raises.
fn os_error(py: Python<'_>, error: &std::io::Error, archive: &Bound<'_, PyAny>) -> PyErr {
    let number = error.raw_os_error().unwrap_or(libc::EIO);
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (number,)));
    match text {
        Ok(text) => PyOSError::new_err((number, text.unbind(), archive.clone().unbind())),
        Err(error) => error,
    }
}
