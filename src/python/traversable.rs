//! `BundlePath`: a place in a bundle as `importlib.resources` and `importlib.metadata` read it.
//!
//! Has the methods of `importlib.resources.abc.Traversable` and those of `zipfile.Path` that
//! readers of metadata use. Data comes from the map; nothing is unpacked.

use std::sync::Arc;

use pyo3::exceptions::{PyFileNotFoundError, PyIsADirectoryError, PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::bundle::join_place;

use super::errors::{ImportFailure, full_message};
use super::mount::MountedBundle;

/// A file or directory in a bundle.
#[pyclass(frozen, module = "mmport")]
#[derive(Debug)]
pub struct BundlePath {
    mounted: Arc<MountedBundle>,
    /// Without slashes at its ends; empty for the bundle itself.
    place: Box<str>,
}

impl BundlePath {
    pub(super) fn new(mounted: Arc<MountedBundle>, place: &str) -> Self {
        Self { mounted, place: place.into() }
    }

    /// The path as Python shows it.
    fn path(&self) -> String {
        if self.place.is_empty() {
            self.mounted.archive().to_owned()
        } else {
            format!("{}/{}", self.mounted.archive(), self.place)
        }
    }

    fn child(&self, name: &str) -> Self {
        let place =
            if self.place.is_empty() { name.to_owned() } else { format!("{}/{name}", self.place) };
        Self::new(Arc::clone(&self.mounted), &place)
    }

    fn data(&self) -> PyResult<Vec<u8>> {
        if self.is_dir() {
            let error = (libc::EISDIR, "Is a directory", self.path());
            return Err(PyIsADirectoryError::new_err(error));
        }
        let entry = self.mounted.bundle().entry(&self.place).map_err(ImportFailure::from)?;
        let Some(entry) = entry else {
            let error = (libc::ENOENT, "No such file or directory", self.path());
            return Err(PyFileNotFoundError::new_err(error));
        };
        let data = entry.read().map_err(|error| PyOSError::new_err(full_message(&error)))?;
        Ok(data)
    }
}

#[pymethods]
impl BundlePath {
    #[getter]
    fn name(&self) -> String {
        let path = self.path();
        path.rsplit_once('/').map_or(path.clone(), |(_, name)| name.to_owned())
    }

    #[getter]
    fn stem(&self) -> String {
        let name = self.name();
        match name.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
            _ => name,
        }
    }

    #[getter]
    fn suffix(&self) -> String {
        let name = self.name();
        match name.rsplit_once('.') {
            Some((stem, suffix)) if !stem.is_empty() => format!(".{suffix}"),
            _ => String::new(),
        }
    }

    #[getter]
    fn parent<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        if self.place.is_empty() {
            // Outside the bundle: the directory that it lies in.
            let path = py.import("pathlib")?.call_method1("Path", (self.mounted.archive(),))?;
            return path.getattr("parent");
        }
        let parent = self.place.rsplit_once('/').map_or("", |(parent, _)| parent);
        let parent = Self::new(Arc::clone(&self.mounted), parent);
        Ok(Bound::new(py, parent)?.into_any())
    }

    fn iterdir(&self) -> PyResult<Vec<Self>> {
        let prefix = match &*self.place {
            "" => String::new(),
            place => format!("{place}/"),
        };
        let children = self.mounted.bundle().children(&prefix).map_err(ImportFailure::from)?;
        Ok(children.iter().map(|child| self.child(&child.name)).collect())
    }

    fn is_dir(&self) -> bool {
        self.place.is_empty() || self.mounted.bundle().is_directory(&self.place)
    }

    fn is_file(&self) -> bool {
        !self.is_dir() && matches!(self.mounted.bundle().entry(&self.place), Ok(Some(_)))
    }

    fn exists(&self) -> bool {
        self.is_dir() || self.is_file()
    }

    #[pyo3(signature = (*others))]
    fn joinpath(&self, others: Vec<std::path::PathBuf>) -> PyResult<Self> {
        let mut place = self.place.to_string();
        for other in &others {
            place = join_place(&place, &other.to_string_lossy()).ok_or_else(|| {
                PyValueError::new_err(format!("{} leads out of the bundle", other.display()))
            })?;
        }
        Ok(Self::new(Arc::clone(&self.mounted), &place))
    }

    fn __truediv__(&self, other: std::path::PathBuf) -> PyResult<Self> {
        self.joinpath(vec![other])
    }

    #[pyo3(signature = (mode="r", *args, **kwargs))]
    fn open<'py>(
        &self,
        py: Python<'py>,
        mode: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !matches!(mode, "r" | "rt" | "rb") {
            let message = format!("a bundle is read-only: mode {mode:?} is not 'r' or 'rb'");
            return Err(PyValueError::new_err(message));
        }
        let io = py.import("io")?;
        let stream = io.call_method1("BytesIO", (PyBytes::new(py, &self.data()?),))?;
        if mode == "rb" {
            return Ok(stream);
        }
        let arguments = (stream,).into_pyobject(py)?.as_sequence().concat(args.as_sequence())?;
        io.call_method("TextIOWrapper", arguments.to_tuple()?, kwargs)
    }

    fn read_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.data()?))
    }

    #[pyo3(signature = (*args, **kwargs))]
    fn read_text<'py>(
        &self,
        py: Python<'py>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.open(py, "r", args, kwargs)?.call_method0("read")
    }

    fn __str__(&self) -> String {
        self.path()
    }

    fn __repr__(&self) -> String {
        format!("BundlePath({:?})", self.path())
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().path() == self.path())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.path().into_pyobject(py)?.hash()
    }
}
