//! Loading: the code objects of a [`BundleImporter`]'s modules, and executing them.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::bundle::{Found, FoundKind, FoundModule};

use super::BundleImporter;
use super::code::CodeRequest;
use super::importlib::Importlib;
use super::namespace_resources::{BACKPORT_READERS, read_namespaces};
use super::pkg_resources::{PKG_RESOURCES, register_loader};
use super::standard_library::teach;

impl BundleImporter {
    /// The code object of a module, which has `path` in tracebacks.
    fn code_of<'py>(
        &self,
        fullname: &str,
        kind: FoundKind,
        path: &Bound<'py, PyString>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        CodeRequest { bundle: self.bundle(), name: fullname, path }.code(path.py(), kind)
    }

    /// The code object of `fullname`, with its path in tracebacks.
    pub(super) fn code<'py>(
        &self,
        py: Python<'py>,
        fullname: &str,
    ) -> PyResult<(Option<Bound<'py, PyAny>>, String)> {
        let located = self.require(py, fullname)?;
        let path = PyString::new(py, &located.path);
        let code = self.code_of(fullname, located.found.kind, &path)?;
        Ok((code, located.path))
    }

    /// The path of a module that this importer has found.
    fn origin_of<'py>(&self, module: &Bound<'py, PyAny>) -> Option<Bound<'py, PyString>> {
        let py = module.py();
        let spec = module.getattr(intern!(py, "__spec__")).ok()?;
        let loader = spec.getattr(intern!(py, "loader")).ok()?;
        let origin = spec.getattr(intern!(py, "origin")).ok()?;
        self.__eq__(&loader).then(|| origin.cast_into_exact().ok()).flatten()
    }

    pub(super) fn execute(&self, module: &Bound<'_, PyAny>, name: &str) -> PyResult<()> {
        let py = module.py();
        let importlib = Importlib::get(py)?;
        let found = self.find(name);
        if let Some(Found::Module(FoundModule { kind: FoundKind::Extension(_), .. })) = found {
            return importlib.exec_dynamic(module);
        }
        let code = match (found, self.origin_of(module)) {
            // It was located when it was found.
            (Some(Found::Module(found)), Some(path)) => self.code_of(name, found.kind, &path)?,
            _ => self.code(py, name)?.0,
        };
        if let Some(code) = code {
            let namespace = module.getattr(intern!(py, "__dict__"))?;
            importlib.exec(py, &code, namespace.cast::<PyDict>()?)?;
            match name {
                PKG_RESOURCES => register_loader(module),
                BACKPORT_READERS => read_namespaces(module),
                // Where the standard library is in the bundle.
                name => teach(name, module),
            }
        }
        Ok(())
    }
}
