//! `BundleImporter`: path-entry finder and loader for one directory of a bundle.
//!
//! As with `zipimport.zipimporter`, one object finds and loads the modules of one `sys.path` or
//! `__path__` entry; it keeps no state of its own, so it can be shared and dropped freely. A spec
//! has the attributes that CPython's `FileFinder` would give it, with `BUNDLE/pkg/mod.py` (or its
//! place among the materialized files) as origin and the bytecode's entry as `__cached__`.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::bundle::{Bundle, Found, FoundKind, FoundModule};

use super::errors::{ImportFailure, failed_import, import_error};
use super::execution_log::logged;
use super::extension::create_extension;
use super::import_time::while_importing;
use super::importlib::Importlib;
use super::mount::MountedBundle;
use super::resources::{read_data, resource_reader};

/// Finds and loads the modules in one directory of a bundle.
#[pyclass(frozen, module = "mmport")]
#[derive(Debug, Clone)]
pub struct BundleImporter {
    mounted: Arc<MountedBundle>,
    /// The directory: empty, or ending in `/`.
    prefix: Box<str>,
    /// The path by which Python knows the directory.
    location: Box<str>,
    /// Whether this is the directory above the materialized packages. The bundle itself, on the path
    /// too, has what can be imported there.
    is_tree: bool,
    /// Whether the bundle stands for a `site-packages`, which has no `__main__`: whoever searches for
    /// one runs another place, and must not start the bundle's application again.
    is_site_packages: bool,
}

/// A module that was found, and where Python is told it is.
pub(super) struct Located {
    pub found: FoundModule,
    /// `__file__`
    pub path: String,
    /// The package's only `__path__` entry.
    directory: Option<String>,
}

impl BundleImporter {
    /// The importer of `directory` (no slash at its end) as Python knows it by `location`.
    pub(super) fn new(mounted: Arc<MountedBundle>, directory: &str, location: &str) -> Self {
        let prefix = if directory.is_empty() { "".into() } else { format!("{directory}/").into() };
        let is_tree = directory.is_empty() && location != mounted.archive();
        Self { mounted, prefix, location: location.into(), is_tree, is_site_packages: false }
    }

    /// The importer of a whole bundle that stands for a `site-packages`.
    pub(super) fn of_site_packages(mounted: Arc<MountedBundle>) -> Self {
        Self { is_site_packages: true, ..Self::of_bundle(mounted) }
    }

    /// The importer of a whole bundle.
    #[must_use]
    pub fn of_bundle(mounted: Arc<MountedBundle>) -> Self {
        let location = mounted.archive().to_owned();
        Self::new(mounted, "", &location)
    }

    /// What the bundle has for the module `fullname` in this directory.
    pub(super) fn find(&self, fullname: &str) -> Option<Found> {
        if self.is_tree {
            return None;
        }
        self.mounted.bundle().find(&self.prefix, tail(fullname))
    }

    /// Whether a search must not find `fullname` here: `__main__` where the bundle stands for a
    /// `site-packages`. Reloading, which has a target, is no search.
    pub(super) fn hides(&self, fullname: &str, target: Option<&Bound<'_, PyAny>>) -> bool {
        self.is_site_packages && fullname == "__main__" && target.is_none_or(|it| it.is_none())
    }

    /// The bundle.
    pub(super) fn mounted(&self) -> Arc<MountedBundle> {
        Arc::clone(&self.mounted)
    }

    /// The bundle's own part.
    pub(super) fn bundle(&self) -> &Bundle {
        self.mounted.bundle()
    }

    /// Whether this is a directory among the materialized packages.
    pub(super) fn is_in_tree(&self) -> bool {
        &*self.location != self.mounted.archive() && !self.is_in_bundle(&self.location)
    }

    /// Whether `path` is a path through the bundle file rather than a materialized file.
    pub(super) fn is_in_bundle(&self, path: &str) -> bool {
        path.strip_prefix(self.mounted.archive()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Works out the paths of a module, bringing out files where it needs them.
    fn locate(&self, py: Python<'_>, fullname: &str, found: FoundModule) -> PyResult<Located> {
        let name = tail(fullname);
        let fail = |error: crate::native::StoreError| {
            failed_import(py, error, fullname, &format!("{}/{name}", self.location))
        };
        let directory = if found.is_package {
            // Writing files can take long; other threads may run meanwhile.
            let place = format!("{}{name}", self.prefix);
            Some(py.detach(|| self.mounted.location(&place)).map_err(fail)?)
        } else {
            None
        };
        let stem = match &directory {
            Some(directory) => format!("{directory}/__init__"),
            None => format!("{}/{name}", self.location),
        };
        let path = match found.kind {
            FoundKind::Source { .. } => stem + ".py",
            FoundKind::Bytecode(_) => stem + ".pyc",
            FoundKind::Extension(entry) => {
                let entry = self
                    .mounted
                    .bundle()
                    .entry_at(entry)
                    .map_err(|error| failed_import(py, error, fullname, &stem))?;
                let file = py.detach(|| self.mounted.library_file(&entry)).map_err(fail)?;
                match file {
                    Some(file) => file.to_string_lossy().into_owned(),
                    None => format!("{}/{}", self.mounted.archive(), entry.name()),
                }
            }
        };
        Ok(Located { found, path, directory })
    }

    /// Finds `fullname` or raises the `ImportError` that a loader raises for a module it has not.
    pub(super) fn require(&self, py: Python<'_>, fullname: &str) -> PyResult<Located> {
        match self.find(fullname) {
            Some(Found::Module(found)) => self.locate(py, fullname, found),
            _ => Err(import_error(py, &format!("can't find module {fullname:?}"), fullname, None)),
        }
    }

    /// The spec of what [`Self::find`] found.
    pub(super) fn spec<'py>(
        slf: &Bound<'py, Self>,
        fullname: &str,
        found: Found,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let this = slf.get();
        let module_spec = Importlib::get(py)?.module_spec.bind(py);
        let arguments = PyDict::new(py);
        let Found::Module(found) = found else {
            arguments.set_item(intern!(py, "is_package"), true)?;
            let spec = module_spec.call((fullname, py.None()), Some(&arguments))?;
            let portion = format!("{}/{}", this.location, tail(fullname));
            spec.setattr(intern!(py, "submodule_search_locations"), PyList::new(py, [portion])?)?;
            return Ok(spec);
        };
        let located = this.locate(py, fullname, found)?;
        arguments.set_item(intern!(py, "origin"), &located.path)?;
        let spec = module_spec.call((fullname, slf), Some(&arguments))?;
        // What `spec_from_file_location` sets: the origin is a place that modules show.
        spec.setattr(intern!(py, "_set_fileattr"), true)?;
        if let Some(cached) = this.cached_path(found.kind, &located.path) {
            spec.setattr(intern!(py, "cached"), cached)?;
        }
        if let Some(directory) = located.directory {
            spec.setattr(intern!(py, "submodule_search_locations"), PyList::new(py, [directory])?)?;
        }
        Ok(spec)
    }

    /// `__cached__`: the place of the bytecode in the bundle.
    fn cached_path(&self, kind: FoundKind, path: &str) -> Option<String> {
        let entry = match kind {
            FoundKind::Extension(_) => return None,
            FoundKind::Bytecode(_) => return Some(path.to_owned()),
            FoundKind::Source { cached, beside, .. } => cached.or(beside)?,
        };
        let entry = self.mounted.bundle().entry_at(entry).ok()?;
        Some(format!("{}/{}", self.mounted.archive(), entry.name()))
    }
}

#[pymethods]
impl BundleImporter {
    /// The bundle's path.
    #[getter]
    fn archive(&self) -> &str {
        self.mounted.archive()
    }

    /// The directory in the bundle: empty, or ending in `/`.
    #[getter]
    fn prefix(&self) -> &str {
        &self.prefix
    }

    #[pyo3(signature = (fullname, target=None))]
    fn find_spec<'py>(
        slf: &Bound<'py, Self>,
        fullname: &Bound<'py, PyString>,
        target: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        // A name that is no text (lone surrogates) is no entry's.
        let Ok(fullname) = fullname.to_str() else { return Ok(None) };
        if slf.get().hides(fullname, target) {
            return Ok(None);
        }
        let Some(found) = slf.get().find(fullname) else { return Ok(None) };
        let is_source =
            matches!(found, Found::Module(FoundModule { kind: FoundKind::Source { .. }, .. }));
        let spec = Self::spec(slf, fullname, found)?;
        // Who asks past the meta-path finder goes on to read the file, or to replace its loader:
        // pytest, which rewrites assertions, and import hooks that check types.
        if is_source
            && !slf.get().is_in_bundle(spec.getattr(intern!(spec.py(), "origin"))?.extract()?)
        {
            return Importlib::get(spec.py())?.spec_of_file(&spec).map(Some);
        }
        Ok(Some(spec))
    }

    fn invalidate_caches(&self) {}

    fn create_module<'py>(&self, spec: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = spec.py();
        let name: String = spec.getattr(intern!(py, "name"))?.extract()?;
        match self.find(&name) {
            Some(Found::Module(FoundModule { kind: FoundKind::Extension(entry), .. })) => {
                while_importing(py, || create_extension(&self.mounted, spec, &name, entry))
                    .map(Some)
            }
            _ => Ok(None),
        }
    }

    fn exec_module(&self, module: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = module.py();
        let name = name_of(module)?;
        let origin = || match self.find(&name) {
            Some(_) => self.get_filename(py, &name).unwrap_or_default(),
            None => String::new(),
        };
        logged(&name, origin, || while_importing(py, || self.execute(module, &name)))
    }

    fn load_module<'py>(slf: &Bound<'py, Self>, fullname: &str) -> PyResult<Bound<'py, PyAny>> {
        Importlib::get(slf.py())?.load_module(slf.as_any(), fullname)
    }

    fn is_package(&self, py: Python<'_>, fullname: &str) -> PyResult<bool> {
        Ok(self.require(py, fullname)?.found.is_package)
    }

    fn get_filename(&self, py: Python<'_>, fullname: &str) -> PyResult<String> {
        Ok(self.require(py, fullname)?.path)
    }

    fn get_code<'py>(
        &self,
        py: Python<'py>,
        fullname: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.code(py, fullname).map(|(code, _)| code)
    }

    fn get_source<'py>(
        &self,
        py: Python<'py>,
        fullname: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let main_name;
        let fullname = match self.find(fullname) {
            None if fullname == "__main__" => {
                main_name = self.name_of_main(py)?;
                &main_name
            }
            _ => fullname,
        };
        let located = self.require(py, fullname)?;
        let FoundKind::Source { source, .. } = located.found.kind else { return Ok(None) };
        let data = self
            .mounted
            .bundle()
            .entry_at(source)
            .and_then(|entry| entry.read())
            .map_err(|error| failed_import(py, error, fullname, &located.path))?;
        Importlib::get(py)?.decode_source(py, &data).map(Some)
    }

    #[pyo3(signature = (data, path, *, _optimize=-1))]
    fn source_to_code<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        path: &str,
        _optimize: i32,
    ) -> PyResult<Bound<'py, PyAny>> {
        Importlib::get(py)?.compile(py, data, path)
    }

    fn get_data<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyBytes>> {
        read_data(py, &self.mounted, path)
    }

    fn get_resource_reader<'py>(
        slf: &Bound<'py, Self>,
        fullname: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Ok(located) = slf.get().require(slf.py(), fullname) else { return Ok(None) };
        // As CPython's file loaders, and `zipimport` from 3.13 on: resources of a module are those
        // beside it.
        let place = if located.found.is_package {
            format!("{}{}", slf.get().prefix, tail(fullname))
        } else {
            slf.get().prefix.trim_end_matches('/').to_owned()
        };
        resource_reader(slf, &place, &located.path).map(Some)
    }

    /// For `pkgutil.iter_modules`: the modules of this directory and whether each is a package.
    #[pyo3(signature = (prefix=""))]
    fn iter_modules(&self, prefix: &str) -> PyResult<Vec<(String, bool)>> {
        if self.is_tree {
            return Ok(Vec::new());
        }
        let modules =
            self.mounted.bundle().modules_in(&self.prefix).map_err(ImportFailure::from)?;
        let qualified = |(name, is_package)| (format!("{prefix}{name}"), is_package);
        Ok(modules.into_iter().map(qualified).collect())
    }

    /// Pickles as what `pkgutil.get_importer` gives for the directory, which is this where the bundle is
    /// mounted: CPython's file loaders, and so the specs that have them, can be pickled too.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        let entry = if self.is_site_packages { "/" } else { "" };
        let get_importer = py.import("pkgutil")?.getattr("get_importer")?;
        Ok((get_importer, (format!("{}{entry}", self.location),)))
    }

    /// Of this bundle, also where another one has replaced it.
    fn __copy__(&self) -> Self {
        self.clone()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.clone()
    }

    fn __repr__(&self) -> String {
        format!("<mmport.BundleImporter {:?}>", self.location)
    }

    pub(super) fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| other.get().location == self.location)
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.location.hash(&mut hasher);
        hasher.finish()
    }
}

impl BundleImporter {
    /// The name of the module that runs as `__main__`, if it is of this directory: `linecache` asks
    /// for the source of `__main__` after `python -m name`.
    fn name_of_main(&self, py: Python<'_>) -> PyResult<String> {
        let spec = py.import("__main__")?.getattr("__spec__")?;
        let loader = spec.getattr("loader");
        if loader.is_ok_and(|loader| self.__eq__(&loader)) {
            return spec.getattr("name")?.extract();
        }
        Ok("__main__".into())
    }
}

/// The name by which a module was found. An extension module may call itself otherwise.
fn name_of(module: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = module.py();
    module
        .getattr(intern!(py, "__spec__"))
        .and_then(|spec| spec.getattr(intern!(py, "name")))
        .or_else(|_| module.getattr(intern!(py, "__name__")))?
        .extract()
}

/// The last component of a dotted name.
fn tail(fullname: &str) -> &str {
    fullname.rsplit_once('.').map_or(fullname, |(_, tail)| tail)
}
