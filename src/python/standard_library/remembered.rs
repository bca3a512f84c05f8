//! Finding modules of the standard library without looking for files.
//!
//! CPython looks at directory, source and bytecode of each module, and reads the latter, by nine calls to
//! the operating system and some hundred lines of Python. Here it is three: whether the directory is as it
//! was listed, and whether source and bytecode are as they were read. Specs and loaders are those that CPython would
//! make. Whatever is not plain is left to it.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString};

use crate::bytecode::HashCheck;
use crate::python::bytecode_cache::Memory;
use crate::python::hooks::running_suffixes;
use crate::python::import_time::is_audited;
use crate::python::importlib::Importlib;
use crate::python::loaded::loaded_module;

use super::directories::{Directories, Finder, Place};
use super::import_system::ImportSystem;
use super::remembered_code::{RememberedCode, Source};
use super::taught::is_taught;

/// The standard library, where it is remembered.
#[derive(Debug)]
struct StandardLibrary {
    directories: Directories,
    import_system: ImportSystem,
    file_finder: Py<PyAny>,
    source_loader: Py<PyAny>,
    extension_loader: Py<PyAny>,
}

static STANDARD_LIBRARY: PyOnceLock<Option<StandardLibrary>> = PyOnceLock::new();

/// Serves the standard library from what is remembered of it from now on, and remembers it.
///
/// # Errors
/// What Python raises, should its own modules be damaged.
pub(in crate::python) fn remember_standard_library(py: Python<'_>) -> PyResult<()> {
    STANDARD_LIBRARY.get_or_try_init(py, || StandardLibrary::now(py)).map(drop)
}

impl StandardLibrary {
    /// The standard library of the running interpreter; `None` where it is CPython's to say how it is
    /// loaded, or where nothing is remembered.
    fn now(py: Python<'_>) -> PyResult<Option<Self>> {
        let importlib = Importlib::get(py)?;
        let flags = importlib.sys(py, intern!(py, "flags"))?;
        let is_told = flags.getattr(intern!(py, "verbose"))?.is_truthy()?;
        if is_told || importlib.hash_check != HashCheck::Default || Memory::get(py).is_none() {
            return Ok(None);
        }
        let roots = roots(py)?;
        if roots.is_empty() {
            return Ok(None);
        }
        let external = importlib.bootstrap_external(py);
        let (source_loader, extension_loader) =
            (external.getattr("SourceFileLoader")?, external.getattr("ExtensionFileLoader")?);
        let mut loaders = Vec::new();
        for details in external.call_method0("_get_supported_file_loaders")?.try_iter()? {
            let (loader, suffixes) = details?.extract::<(Bound<'_, PyAny>, Vec<String>)>()?;
            loaders.extend(suffixes.into_iter().map(|suffix| (suffix, loader.clone().unbind())));
        }
        Ok(Some(Self {
            directories: Directories::new(roots, running_suffixes(py)?, loaders),
            import_system: ImportSystem::now(py)?,
            file_finder: external.getattr("FileFinder")?.unbind(),
            source_loader: source_loader.unbind(),
            extension_loader: extension_loader.unbind(),
        }))
    }

    /// What a finder looks into, if it is one of CPython's.
    fn look_at(&self, finder: &Bound<'_, PyAny>) -> PyResult<Finder> {
        if !finder.get_type().is(self.file_finder.bind(finder.py())) {
            return Ok(Finder::Changed);
        }
        self.directories.of_finder(finder)
    }

    /// The spec of a module, as `FileFinder` makes it.
    fn spec<'py>(
        &self,
        fullname: &Bound<'py, PyString>,
        place: Place,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = fullname.py();
        let (path, loader) = match &place {
            Place::Source { path, .. } => (path, &self.source_loader),
            Place::Extension { path } => (path, &self.extension_loader),
            Place::Nowhere | Place::Unclear => return Ok(None),
        };
        let origin = PyString::new(py, path);
        let loader = loader.bind(py).call1((fullname, &origin))?;
        let arguments = PyDict::new(py);
        arguments.set_item(intern!(py, "origin"), &origin)?;
        let module_spec = Importlib::get(py)?.module_spec.bind(py);
        let spec = module_spec.call((fullname, &loader), Some(&arguments))?;
        spec.setattr(intern!(py, "_set_fileattr"), true)?;
        if let Place::Source { path, stamp, package } = place {
            let cached = self.cached(&path);
            spec.setattr(intern!(py, "_cached"), &cached)?;
            if let Some(package) = package {
                let locations = PyList::new(py, [package])?;
                spec.setattr(intern!(py, "submodule_search_locations"), locations)?;
            }
            RememberedCode::by_loader(&loader, fullname, Source { path, cached, stamp })?;
        }
        Ok(Some(spec))
    }

    /// The path of the bytecode of a source (PEP 3147).
    fn cached(&self, path: &str) -> String {
        let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
        let stem = file.strip_suffix(".py").unwrap_or(file);
        format!("{directory}/__pycache__/{stem}{}", self.directories.cached_suffix())
    }
}

/// The directories of the standard library and of its extension modules.
fn roots(py: Python<'_>) -> PyResult<Vec<String>> {
    let Ok(os) = loaded_module(py, "os") else { return Ok(Vec::new()) };
    let Ok(os) = os.getattr(intern!(py, "__file__")) else { return Ok(Vec::new()) };
    let os = os.extract::<String>()?;
    let Some((root, _)) = os.rsplit_once('/').filter(|(root, _)| root.starts_with('/')) else {
        return Ok(Vec::new());
    };
    let mut roots = vec![root.to_owned()];
    for entry in Importlib::get(py)?.sys(py, intern!(py, "path"))?.try_iter()? {
        // Some distributions have it elsewhere than below the other.
        let Ok(entry) = entry?.extract::<String>() else { continue };
        if entry.ends_with("/lib-dynload") && !entry.starts_with(&format!("{root}/")) {
            roots.push(entry);
        }
    }
    Ok(roots)
}

/// The spec of a module of the standard library, where `import` asks for it and all that comes first on the
/// path, by its `finders`, is known not to have it.
pub(in crate::python) fn find_remembered<'py>(
    fullname: &Bound<'py, PyString>,
    name: &str,
    finders: &[Bound<'py, PyAny>],
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = fullname.py();
    let Some(Some(library)) = STANDARD_LIBRARY.get(py) else { return Ok(None) };
    if is_taught(fullname.to_str()?) || !library.import_system.asks(py)? || is_audited(py) {
        return Ok(None);
    }
    for finder in finders.iter().filter(|finder| !finder.is_none()) {
        match library.look_at(finder)? {
            Finder::Library(directory) => match library.directories.find(py, &directory, name) {
                Place::Nowhere => {}
                place => return library.spec(fullname, place),
            },
            Finder::Elsewhere => {
                // As `PathFinder` does.
                let spec = finder.call_method1(intern!(py, "find_spec"), (fullname, py.None()))?;
                if !spec.is_none() {
                    let is_portion = spec.getattr(intern!(py, "loader"))?.is_none();
                    return Ok((!is_portion).then_some(spec));
                }
            }
            Finder::Changed => return Ok(None),
        }
    }
    Ok(None)
}

/// Looks into directories anew from now on.
pub(in crate::python) fn invalidate_directories(py: Python<'_>) {
    if let Some(Some(library)) = STANDARD_LIBRARY.get(py) {
        library.directories.invalidate();
    }
}

/// Takes those `finders` away that are CPython's for directories of the standard library in which there is
/// nothing of this name, as far as is known without looking for more than whether they have changed.
pub(in crate::python) fn without_absent(
    py: Python<'_>,
    finders: &mut Vec<Bound<'_, PyAny>>,
    name: &str,
) {
    let Some(Some(library)) = STANDARD_LIBRARY.get(py) else { return };
    if finders.is_empty() || !library.import_system.is_unchanged(py).unwrap_or(false) {
        return;
    }
    finders.retain(|finder| match library.look_at(finder) {
        Ok(Finder::Library(directory)) => !library.directories.is_known_absent(&directory, name),
        _ => true,
    });
}
