//! What `site` does at start for a directory of packages, for a bundle: its `.pth` files and its
//! `sitecustomize`.
//!
//! `mmport build` notes in `mmport.json` what there is to do; a bundle without any of it costs
//! nothing here. The order is that of `site`: files by name, lines from the top, the rest of a file
//! left out after an error, `sitecustomize` at last. The lines themselves are executed by a Python
//! function (`path_files.py`), because code in them looks into the frame that executes it.

use std::ffi::CStr;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use crate::bundle::join_place;

use super::errors::ImportFailure;
use super::hooks::{install_mounted, running_suffixes};
use super::mount::MountedBundle;
use super::tracebacks::install_traceback_hooks;

const SOURCE: &CStr = pyo3::ffi::c_str!(include_str!("path_files.py"));

/// Installs a mounted bundle where a virtual environment's `site-packages` would be, and does what
/// `site` does there.
///
/// # Errors
/// What Python raises, should `sys` or `site` be damaged or a `.pth` file ask to exit; an
/// `ImportError` when a `.pth` file cannot be read from the bundle.
pub fn install_site(py: Python<'_>, mounted: &Arc<MountedBundle>) -> PyResult<()> {
    install_mounted(py, mounted)?;
    let Some(information) = mounted.information().filter(|found| !found.site.is_empty()) else {
        return Ok(());
    };
    let site = py.import("site")?;
    if !information.site.path_files.is_empty() {
        apply_path_files(&site, mounted, &information.site.path_files)?;
    }
    if information.site.customize {
        // Nothing happens where one that comes first on the path was imported already.
        site.call_method0("execsitecustomize")?;
    }
    Ok(())
}

fn apply_path_files(
    site: &Bound<'_, PyModule>,
    mounted: &Arc<MountedBundle>,
    names: &[String],
) -> PyResult<()> {
    let py = site.py();
    let namespace = PyDict::new(py);
    py.run(SOURCE, Some(&namespace), None)?;
    let function = |name: &str| -> PyResult<Bound<'_, PyAny>> { namespace.as_any().get_item(name) };
    let apply_lines = function("apply_lines")?;
    let code = apply_lines.getattr("__code__")?;
    let apply_lines = apply_lines.get_type().call1((code, site.dict()))?;
    let report_error = function("report_error")?;
    let add_folder = folder_adder(py, mounted)?;
    for name in names {
        let bytes = mounted.bundle().read(name).map_err(ImportFailure::from)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mistake = apply_lines.call1((mounted.archive(), name, text, &add_folder))?;
        if let Ok(mistake) = mistake.cast::<PyTuple>() {
            report_error.call1(mistake)?;
        }
    }
    Ok(())
}

/// What a line does that names a folder: appends it to `sys.path`, if the bundle has it.
fn folder_adder<'py>(
    py: Python<'py>,
    mounted: &Arc<MountedBundle>,
) -> PyResult<Bound<'py, PyCFunction>> {
    let mounted = Arc::clone(mounted);
    PyCFunction::new_closure(py, None, None, move |arguments, _| -> PyResult<()> {
        let py = arguments.py();
        let line: String = arguments.get_item(0)?.extract()?;
        // An absolute path is none of the bundle's, and `.` is on the path already.
        let place = join_place("", &line).filter(|place| {
            !line.starts_with('/') && !place.is_empty() && mounted.bundle().is_directory(place)
        });
        let Some(place) = place else { return Ok(()) };
        let location = py.detach(|| mounted.location(&place)).map_err(ImportFailure::from)?;
        let path = py.import(intern!(py, "sys"))?.getattr(intern!(py, "path"))?;
        if !path.contains(&location)? {
            path.call_method1(intern!(py, "append"), (location,))?;
        }
        Ok(())
    })
}

/// Do what install() does for a bundle that stands for a directory of packages.
///
/// Its .pth files are executed, as site does at start, and uncaught exceptions show source lines.
/// Raise ImportError if the file is no bundle.
#[pyfunction]
pub fn install_as_site_packages(py: Python<'_>, bundle: PathBuf) -> PyResult<()> {
    let suffixes = running_suffixes(py)?;
    let mounted = MountedBundle::mount(&bundle, suffixes).map_err(ImportFailure::from)?;
    install_traceback_hooks(py)?;
    install_site(py, &mounted)
}
