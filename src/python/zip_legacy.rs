//! What `zipimporter` has from before specs: `load_module`, and warnings that it is deprecated.

use pyo3::exceptions::{PyDeprecationWarning, PyImportError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyList, PyModule, PyString};

use super::importlib::Importlib;
use super::zip_archive::{verbose, zipimport};
use super::zip_code::module_code;
use super::zip_importer::ZipImporterBase;

/// `zipimporter.load_module(fullname)`, without its warning.
pub(super) fn load_module<'py>(
    importer: &Bound<'py, ZipImporterBase>,
    fullname: &Bound<'py, PyString>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = importer.py();
    let found = module_code(importer, fullname)?;
    let importlib = Importlib::get(py)?;
    let modules = importlib.sys(py, intern!(py, "modules"))?;
    let module = match modules.call_method1("get", (fullname,))? {
        module if module.is_instance_of::<PyModule>() => module,
        _ => {
            let module = py.get_type::<PyModule>().call1((fullname,))?;
            modules.set_item(fullname, &module)?;
            module
        }
    };
    module.setattr("__loader__", importer)?;
    let execute = || -> PyResult<()> {
        let external = importlib.bootstrap_external(py);
        if found.is_package {
            let archive = importer.getattr(intern!(py, "archive"))?;
            let place = ZipImporterBase::module_path(importer, fullname)?;
            let path = external.call_method1("_path_join", (archive, place))?;
            module.setattr("__path__", PyList::new(py, [path])?)?;
        }
        if !module.hasattr("__builtins__")? {
            module.setattr("__builtins__", zipimport(py)?.getattr("__builtins__")?)?;
        }
        let namespace = module.getattr("__dict__")?;
        external.call_method1("_fix_up_module", (&namespace, fullname, &found.path))?;
        importlib.exec(py, &found.code, namespace.cast()?)
    };
    if let Err(error) = execute() {
        modules.del_item(fullname)?;
        return Err(error);
    }
    let Ok(module) = modules.get_item(fullname) else {
        let name = fullname.repr()?;
        let message = format!("Loaded module {} not found in sys.modules", name.to_str()?);
        return Err(PyImportError::new_err(message));
    };
    verbose(py, 1, || ("import {} # loaded from Zip {}", fullname, found.path).into_pyobject(py))?;
    Ok(module)
}

/// A `DeprecationWarning` that, as one of `zipimport`, belongs to `zipimport`, so that the default
/// filters do not show it.
pub(super) fn warn_deprecated(py: Python<'_>, message: &str) -> PyResult<()> {
    let namespace = zipimport(py)?.dict();
    let registry =
        namespace.call_method1("setdefault", ("__warningregistry__", PyDict::new(py)))?;
    let arguments =
        (message, py.get_type::<PyDeprecationWarning>(), "<frozen zipimport>", 1, "zipimport");
    let options = [("registry", registry)].into_py_dict(py)?;
    py.import("_warnings")?.getattr("warn_explicit")?.call(arguments, Some(&options)).map(drop)
}
