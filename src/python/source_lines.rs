//! Source lines for those who ask `linecache` with nothing but a file name.
//!
//! `warnings`, `pdb` and `bdb` give `linecache` no namespace in which it could find a loader, and what
//! it gets from loaders it splits at form feeds too, where files are split at line ends only. So
//! files of a mounted bundle are read here, in front of `linecache.updatecache`, which its other
//! functions call for every file that is not cached; the lines stay in its cache as those of other
//! loaders do. All other files go on to the function that was there.
//!
//! The module is not imported for that: nothing is spent unless a program imports it.

use pyo3::exceptions::{PySyntaxError, PyUnicodeDecodeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyList, PyString, PyTuple};

use crate::bundle::join_place;

use super::importlib::Importlib;
use super::mount::MountedBundle;

/// The module that keeps source lines.
pub(super) const LINECACHE: &str = "linecache";

/// Puts our function in front of `updatecache`. A module that has none goes without.
pub(super) fn read_bundles(module: &Bound<'_, PyAny>) {
    if let Err(error) = replace_updatecache(module) {
        tracing::debug!(target: "mmport::exec_module", %error, "linecache is left as it is");
    }
}

fn replace_updatecache(module: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = module.py();
    let namespace = module.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>()?.unbind();
    let original = module.getattr(intern!(py, "updatecache"))?;
    if original.is_instance_of::<PyCFunction>() {
        return Ok(()); // CPython's is no built-in function, so it is ours already.
    }
    let original = original.unbind();
    let replacement = PyCFunction::new_closure(
        py,
        Some(c"updatecache"),
        Some(c"updatecache(filename, module_globals=None)\n--\n\nUpdate a cache entry and return its list of lines."),
        move |arguments: &Bound<'_, PyTuple>, keywords: Option<&Bound<'_, PyDict>>| {
            let py = arguments.py();
            if let Some(filename) = file_name(arguments, keywords)
                && let Some(read) = SourceLines::read(&filename)?
            {
                let entry = (read.size, py.None(), &read.lines, &filename).into_pyobject(py)?;
                // The program may have put another dictionary there.
                if let Some(cache) = namespace.bind(py).get_item(intern!(py, "cache"))? {
                    cache.set_item(&filename, entry)?;
                }
                return Ok(read.lines.into_any().unbind());
            }
            original.bind(py).call(arguments, keywords).map(Bound::unbind)
        },
    )?;
    module.setattr(intern!(py, "updatecache"), replacement)
}

/// The argument `filename`, where it is a string.
fn file_name<'py>(
    arguments: &Bound<'py, PyTuple>,
    keywords: Option<&Bound<'py, PyDict>>,
) -> Option<Bound<'py, PyString>> {
    let name = match arguments.get_item(0) {
        Ok(name) => name,
        Err(_) => keywords?.get_item("filename").ok()??,
    };
    name.cast_into_exact().ok()
}

/// The lines of a file in a bundle.
struct SourceLines<'py> {
    size: u64,
    lines: Bound<'py, PyList>,
}

impl<'py> SourceLines<'py> {
    /// Reads a file by its path through a mounted bundle; `None` where there is no text.
    fn read(filename: &Bound<'py, PyString>) -> PyResult<Option<Self>> {
        let py = filename.py();
        let Ok(path) = filename.to_str() else { return Ok(None) };
        let Some((mounted, place)) = MountedBundle::of_path(path) else { return Ok(None) };
        // By its other spelling it is a real file.
        if !path.starts_with(mounted.archive()) {
            return Ok(None);
        }
        let Some(name) = join_place("", &place) else { return Ok(None) };
        let data = match mounted.bundle().entry(&name) {
            Ok(Some(entry)) if !entry.is_directory() => entry.read(),
            _ => return Ok(None),
        };
        let Ok(data) = data else { return Ok(None) };
        match lines_of(py, &data) {
            Ok(lines) => Ok(Some(Self { size: data.len() as u64, lines })),
            Err(error)
                if error.is_instance_of::<PySyntaxError>(py)
                    || error.is_instance_of::<PyUnicodeDecodeError>(py) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The lines of a source as `tokenize.open(path).readlines()` has them, each with its end.
fn lines_of<'py>(py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
    let text = Importlib::get(py)?.decode_source(py, data)?;
    let file = py.import("_io")?.getattr("StringIO")?.call1((text,))?;
    let lines = file.call_method0("readlines")?.cast_into::<PyList>()?;
    match lines.len().checked_sub(1) {
        Some(last) => {
            let line = lines.get_item(last)?.cast_into::<PyString>()?;
            if !line.to_string_lossy().ends_with('\n') {
                lines.set_item(last, line.add("\n")?)?;
            }
        }
        None if py.version_info() >= (3, 13) => lines.append("\n")?,
        None => {}
    }
    Ok(lines)
}
