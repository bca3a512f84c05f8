//! Archives of `ZipImporter`: `zipimport`'s directory cache, filled by Rust, and data from the map.
//!
//! `zipimport._zip_directory_cache` itself is used, with the values that `zipimport` puts there,
//! so that an archive read by one importer is known to the other, and whoever clears or changes
//! the cache (`pkg_resources`, test suites) reaches both.

use std::ops::Deref;
use std::path::PathBuf;

use pyo3::exceptions::{PyEOFError, PyIndexError, PyKeyError, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{IntoPyDict, PyBytes, PyDict, PyModule, PyString, PyTuple};

use crate::bundle::{
    Compression, ZipDataError, ZipDirectoryError, ZipEntry, ZipFile, ZipRules, read_zip_directory,
};

use super::importlib::Importlib;

/// The rules of the Python that is running.
const RULES: ZipRules = if cfg!(Py_3_13) { ZipRules::Wide } else { ZipRules::Narrow };

/// `zipimport`, whose cache, errors and helpers are used.
pub(super) fn zipimport<'py>(py: Python<'py>) -> PyResult<&'py Bound<'py, PyModule>> {
    static ZIPIMPORT: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = ZIPIMPORT.get_or_try_init(py, || py.import("zipimport").map(Bound::unbind))?;
    Ok(module.bind(py))
}

/// `zipimport.ZipImportError(message)`, with `name` or `path` where there is one.
pub(super) fn zip_import_error(
    py: Python<'_>,
    message: &str,
    attribute: Option<(&str, &Bound<'_, PyAny>)>,
) -> PyErr {
    let make = || {
        let attributes = attribute.into_iter().into_py_dict(py)?;
        zipimport(py)?.getattr(intern!(py, "ZipImportError"))?.call((message,), Some(&attributes))
    };
    make().map_or_else(|error| error, PyErr::from_value)
}

/// `ZipImportError(f"{text}: {archive!r}", path=archive)`.
fn archive_error(text: &str, archive: &Bound<'_, PyAny>) -> PyErr {
    match archive.repr() {
        Ok(shown) => {
            let message = format!("{text}: {}", shown.to_string_lossy());
            zip_import_error(archive.py(), &message, Some(("path", archive)))
        }
        Err(error) => error,
    }
}

/// What `python -v` shows.
pub(super) fn verbose<'py>(
    py: Python<'py>,
    level: u8,
    arguments: impl FnOnce() -> PyResult<Bound<'py, PyTuple>>,
) -> PyResult<()> {
    static VERBOSE: PyOnceLock<u8> = PyOnceLock::new();
    let verbose = VERBOSE.get_or_try_init(py, || {
        py.import("sys")?.getattr("flags")?.getattr("verbose")?.extract()
    })?;
    if *verbose < level {
        return Ok(());
    }
    let options = [("verbosity", level)].into_py_dict(py)?;
    let show = Importlib::get(py)?.bootstrap(py).getattr("_verbose_message")?;
    show.call(arguments()?, Some(&options)).map(drop)
}

/// `zipimport._zip_directory_cache`.
pub(super) fn directory_cache<'py>(py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
    let cache = zipimport(py)?.getattr(intern!(py, "_zip_directory_cache"))?;
    Ok(cache.cast_into()?)
}

/// `files[key]`, or `None` where there is no such key.
pub(super) fn lookup<'py>(
    files: &Bound<'py, PyAny>,
    key: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(files) = files.cast_exact::<PyDict>() {
        return files.get_item(key);
    }
    match files.get_item(key) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_instance_of::<PyKeyError>(files.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `zipimport._read_directory(archive)`: names with the tuples that describe them.
pub(super) fn read_directory<'py>(archive: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    let py = archive.py();
    let path: PathBuf = archive.extract()?;
    let file =
        ZipFile::current(&path, None).map_err(|_| archive_error("can't open Zip file", archive))?;
    let read = |map: &[u8]| -> Result<Vec<ZipEntry<'static>>, ZipDirectoryError> {
        Ok(read_zip_directory(map, RULES)?.into_iter().map(ZipEntry::into_owned).collect())
    };
    // Or cut off under our eyes.
    let cut_off = Err(ZipDirectoryError::Refused("can't read Zip file"));
    let entries = file.with_bytes(read).unwrap_or(cut_off);
    let entries = entries.map_err(|error| match error {
        ZipDirectoryError::Refused(text) => archive_error(text, archive),
        ZipDirectoryError::Count { .. } => match archive.repr() {
            Ok(shown) => {
                let message = format!("{error} in {}", shown.to_string_lossy());
                zip_import_error(py, &message, Some(("path", archive)))
            }
            Err(error) => error,
        },
        ZipDirectoryError::EndOfFile => PyEOFError::new_err(error.to_string()),
        // Raises what is wrong with it.
        ZipDirectoryError::Name(name) => PyBytes::new(py, &name)
            .call_method0(intern!(py, "decode"))
            .err()
            .unwrap_or_else(|| archive_error("can't read Zip file", archive)),
        ZipDirectoryError::Extra => PyIndexError::new_err(error.to_string()),
    })?;
    let base = archive.call_method1(intern!(py, "rstrip"), ("/",))?;
    let files = PyDict::new(py);
    for entry in &entries {
        let name = &*entry.name;
        // As `_path_join`: what is empty is left out, and slashes at the end.
        let path = if name.is_empty() {
            base.clone()
        } else {
            base.add(format!("/{}", name.trim_end_matches('/')))?
        };
        let described = (
            path,
            entry.method,
            entry.compressed_size,
            entry.size,
            entry.local_header,
            entry.time,
            entry.date,
            entry.crc,
        );
        files.set_item(name, described)?;
    }
    verbose(py, 1, || {
        ("zipimport: found {} names in {!r}", entries.len(), archive).into_pyobject(py)
    })?;
    Ok(files)
}

/// What `zipimport` keeps of an entry: path, method, sizes, offset, time, date, checksum.
type Described<'py> = (
    Bound<'py, PyAny>,
    u16,
    i64,
    u64,
    u64,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
    Bound<'py, PyAny>,
);

/// The data of an entry.
pub(super) enum EntryData<'py> {
    /// Read by Rust.
    Read(Vec<u8>),
    /// Decompressed by `zlib`.
    Python(Bound<'py, PyBytes>),
}

impl Deref for EntryData<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Read(data) => data,
            Self::Python(data) => data.as_bytes(),
        }
    }
}

impl<'py> EntryData<'py> {
    /// The data as Python has it.
    pub(super) fn into_bytes(self, py: Python<'py>) -> Bound<'py, PyBytes> {
        match self {
            Self::Python(data) => data,
            data => PyBytes::new(py, &data),
        }
    }

    /// `zipimport._get_data(archive, described)` from `file`, the archive as it is now.
    pub(super) fn read(
        file: &ZipFile,
        archive: &Bound<'py, PyAny>,
        described: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let py = archive.py();
        let (_, method, compressed_size, size, at, ..): Described<'py> = described.extract()?;
        let Ok(compressed_size) = u64::try_from(compressed_size) else {
            return Err(zip_import_error(py, "negative data size", None));
        };
        let unreachable = |error: ZipDataError| match error {
            ZipDataError::EndOfFile => PyEOFError::new_err(error.to_string()),
            ZipDataError::LocalHeader => archive_error(&error.to_string(), archive),
            ZipDataError::Data => PyOSError::new_err(error.to_string()),
        };
        let compression = Compression::of_method(method);
        if let Some(compression) = compression {
            let read = || file.read(at, compressed_size, compression, size);
            let data = py.detach(read).map_err(unreachable)?;
            if compression == Compression::Deflated {
                require_zlib(py)?;
            }
            if let Some(data) = data {
                return Ok(Self::Read(data));
            }
        } else {
            require_zlib(py)?;
        }
        let stored = file.data(at, compressed_size).map_err(unreachable)?;
        // Not what the directory says. `zlib` takes some of it, and has its own words for the rest.
        let data =
            py.import("zlib")?.call_method1("decompress", (PyBytes::new(py, &stored), -15))?;
        Ok(Self::Python(data.cast_into()?))
    }
}

/// Decompressing is Rust's, but a Python that has no `zlib` refuses compressed archives; and it has
/// none while it is importing one from such an archive.
fn require_zlib(py: Python<'_>) -> PyResult<()> {
    match zipimport(py)?.call_method0(intern!(py, "_get_decompress_func")) {
        Ok(_) => Ok(()),
        Err(_) => Err(zip_import_error(py, "can't decompress data; zlib not available", None)),
    }
}
