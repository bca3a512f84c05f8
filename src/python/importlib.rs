//! The pieces of CPython's own import system that the bridge calls, looked up once.

use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyModule};

use crate::bytecode::HashCheck;

use super::syntax_errors::show_line;

/// Functions and types of `importlib` and `_imp`.
pub(super) struct Importlib {
    /// `importlib.machinery.ModuleSpec`
    pub module_spec: Py<PyAny>,
    /// `importlib._bootstrap._call_with_frames_removed`: a call through it is cut out of
    /// tracebacks, together with the frames of `importlib` above it.
    call_with_frames_removed: Py<PyAny>,
    /// `builtins.exec`
    exec: Py<PyAny>,
    /// `builtins.compile`
    compile: Py<PyAny>,
    /// `_imp._fix_co_filename`
    fix_co_filename: Py<PyAny>,
    /// `_imp`
    imp: Py<PyModule>,
    /// `importlib._bootstrap_external`
    bootstrap_external: Py<PyModule>,
    /// `importlib._bootstrap`
    bootstrap: Py<PyModule>,
    /// `sys`
    sys: Py<PyModule>,
    /// `importlib.util.MAGIC_NUMBER`
    pub magic: [u8; 4],
    /// `--check-hash-based-pycs`
    pub hash_check: HashCheck,
}

/// What a value of `--check-hash-based-pycs` asks for.
fn hash_check(policy: &str) -> HashCheck {
    match policy {
        "always" => HashCheck::Always,
        "never" => HashCheck::Never,
        _ => HashCheck::Default,
    }
}

static IMPORTLIB: PyOnceLock<Importlib> = PyOnceLock::new();

impl Importlib {
    pub(super) fn get(py: Python<'_>) -> PyResult<&'static Self> {
        IMPORTLIB.get_or_try_init(py, || Self::look_up(py))
    }

    fn look_up(py: Python<'_>) -> PyResult<Self> {
        let bootstrap = py.import("_frozen_importlib")?;
        let bootstrap_external = py.import("_frozen_importlib_external")?;
        let imp = py.import("_imp")?;
        let builtins = py.import("builtins")?;
        let policy = imp.getattr("check_hash_based_pycs")?.extract::<String>()?;
        Ok(Self {
            module_spec: bootstrap.getattr("ModuleSpec")?.unbind(),
            call_with_frames_removed: bootstrap.getattr("_call_with_frames_removed")?.unbind(),
            exec: builtins.getattr("exec")?.unbind(),
            compile: builtins.getattr("compile")?.unbind(),
            fix_co_filename: imp.getattr("_fix_co_filename")?.unbind(),
            magic: bootstrap_external.getattr("MAGIC_NUMBER")?.extract()?,
            hash_check: hash_check(&policy),
            imp: imp.unbind(),
            bootstrap_external: bootstrap_external.unbind(),
            bootstrap: bootstrap.unbind(),
            sys: py.import("sys")?.unbind(),
        })
    }

    /// `exec(code, namespace)`, cut out of tracebacks.
    pub(super) fn exec(
        &self,
        py: Python<'_>,
        code: &Bound<'_, PyAny>,
        namespace: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        self.call_with_frames_removed.bind(py).call1((&self.exec, code, namespace)).map(drop)
    }

    /// `compile(source, path, "exec", dont_inherit=True)`, cut out of tracebacks.
    pub(super) fn compile<'py>(
        &self,
        py: Python<'py>,
        source: &Bound<'py, PyAny>,
        path: impl IntoPyObject<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let path = path.into_bound_py_any(py)?;
        let arguments = PyDict::new(py);
        arguments.set_item("dont_inherit", true)?;
        self.call_with_frames_removed
            .bind(py)
            .call((&self.compile, source, &path, "exec"), Some(&arguments))
            .inspect_err(|error| show_line(py, error, source, &path))
    }

    /// Makes `path` the file name of a code object and of all code objects in it.
    pub(super) fn fix_co_filename<'py>(
        &self,
        py: Python<'py>,
        code: &Bound<'py, PyAny>,
        path: impl IntoPyObject<'py>,
    ) -> PyResult<()> {
        let path = path.into_bound_py_any(py)?;
        self.fix_co_filename.bind(py).call1((code, path)).map(drop)
    }

    /// `_imp.source_hash` of a source.
    pub(super) fn source_hash(&self, py: Python<'_>, source: &[u8]) -> PyResult<[u8; 8]> {
        let key = u32::from_le_bytes(self.magic);
        let source = PyBytes::new(py, source);
        self.imp.bind(py).call_method1("source_hash", (key, source))?.extract()
    }

    /// `_imp.create_dynamic(spec)`, cut out of tracebacks.
    pub(super) fn create_dynamic<'py>(
        &self,
        spec: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = spec.py();
        let create = self.imp.bind(py).getattr("create_dynamic")?;
        self.call_with_frames_removed.bind(py).call1((create, spec))
    }

    /// `_imp.exec_dynamic(module)`, cut out of tracebacks.
    pub(super) fn exec_dynamic(&self, module: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = module.py();
        let exec = self.imp.bind(py).getattr("exec_dynamic")?;
        self.call_with_frames_removed.bind(py).call1((exec, module)).map(drop)
    }

    /// `importlib.util.decode_source(source)`.
    pub(super) fn decode_source<'py>(
        &self,
        py: Python<'py>,
        source: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let source = PyBytes::new(py, source);
        self.bootstrap_external.bind(py).call_method1("decode_source", (source,))
    }

    /// The spec that `FileFinder` gives the source module of `spec`.
    pub(super) fn spec_of_file<'py>(
        &self,
        spec: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = spec.py();
        let bootstrap = self.bootstrap_external.bind(py);
        let (name, path) = (spec.getattr("name")?, spec.getattr("origin")?);
        let arguments = PyDict::new(py);
        let loader = bootstrap.call_method1("SourceFileLoader", (&name, &path))?;
        arguments.set_item("loader", loader)?;
        let locations = "submodule_search_locations";
        arguments.set_item(locations, spec.getattr(locations)?)?;
        bootstrap.call_method("spec_from_file_location", (name, path), Some(&arguments))
    }

    /// The legacy `load_module`, as `importlib` has it for every loader with `exec_module`.
    pub(super) fn load_module<'py>(
        &self,
        loader: &Bound<'py, PyAny>,
        fullname: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.bootstrap.bind(loader.py()).call_method1("_load_module_shim", (loader, fullname))
    }

    /// The code object of some function of CPython's own.
    pub(super) fn some_code<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.call_with_frames_removed.bind(py).getattr(pyo3::intern!(py, "__code__"))
    }

    /// A function or type of `importlib._bootstrap`.
    pub(super) fn bootstrap<'py>(&self, py: Python<'py>) -> &Bound<'py, PyModule> {
        self.bootstrap.bind(py)
    }

    /// A function or type of `importlib._bootstrap_external`.
    pub(super) fn bootstrap_external<'py>(&self, py: Python<'py>) -> &Bound<'py, PyModule> {
        self.bootstrap_external.bind(py)
    }

    /// `--check-hash-based-pycs` as it is now; CPython's `zipimport` looks each time.
    pub(super) fn current_hash_check(&self, py: Python<'_>) -> PyResult<HashCheck> {
        let policy = self.imp.bind(py).getattr(pyo3::intern!(py, "check_hash_based_pycs"))?;
        Ok(hash_check(&policy.extract::<String>()?))
    }

    /// An attribute of `sys`, which a program may have replaced.
    pub(super) fn sys<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, pyo3::types::PyString>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.sys.bind(py).getattr(name)
    }
}
