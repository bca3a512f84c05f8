//! The same run modes inside a Python that is running already: the pip package.
//!
//! The process is turned into what the native binary would have started: `sys.path` without the
//! `site-packages` that `site` added, `sys.prefix` and `sys.executable` of the bundle's
//! environment. That environment is a virtual environment like any other, whose only content is a
//! `.pth` file that installs the bundle, so that child processes have it too:
//!
//! ```text
//! ROOT/environments-v1/KEY/pyvenv.cfg
//! ROOT/environments-v1/KEY/bin/python                              link to the base Python
//! ROOT/environments-v1/KEY/lib/python3.N/site-packages/mmport.pth
//! ```

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::bundle::Bundle;
use crate::python::{
    HostedFacts, MountedBundle, full_message, install_site, install_traceback_hooks,
    running_suffixes, serve_subinterpreters, speed_up_imports,
};

use super::entry::{Asked, Start, VARIABLES, file_of};
use super::environment::{BundleEnvironment, make_environment};
use super::exit::{finish, note_start};
use super::launch::open_fitting;
use super::main_module::{run_entry, run_main_module};
use super::{LaunchError, Status};

fn python_error(error: PyErr) -> LaunchError {
    LaunchError::Install { message: full_message(&error) }
}

/// The executable of the Python that is running.
///
/// # Errors
/// [`LaunchError::Install`] when `sys.executable` is not a path.
pub fn executable() -> Result<PathBuf, LaunchError> {
    Python::attach(|py| py.import("sys")?.getattr("executable")?.extract()).map_err(python_error)
}

/// Runs the entry point of the bundle at `path` in this process, or the script or `module:function` that
/// `entry` names, and ends the process.
///
/// # Errors
/// [`LaunchError`], when the program could not be started.
pub fn run_bundle(
    path: &OsStr,
    entry: Option<&str>,
    arguments: &[OsString],
) -> Result<Status, LaunchError> {
    let bundle = open_fitting(&file_of(Path::new(path)))?;
    let asked = Asked::new(entry);
    let start = asked.start(&bundle, path)?;
    Python::attach(forget_what_was_asked).map_err(python_error)?;
    if start == Start::Interpreter {
        let mut argv = vec![OsString::from("python")];
        argv.extend_from_slice(arguments);
        return run_bundle_python(bundle.path(), &argv);
    }
    let environment = environment(&bundle)?;
    let program = match &environment {
        Some(environment) => environment.program_of(&start, &bundle, path),
        None => path.into(),
    };
    let ending = Python::attach(|py| {
        let mounted = mount(py, bundle.path(), environment.as_ref())?;
        enter(py, &mounted, environment.as_ref(), &program, arguments)
            .and_then(|()| speed_up_imports(py, mounted.archive()))
            .map_err(python_error)?;
        match &start {
            Start::Entry(entry) => run_entry(py, &mounted, entry),
            Start::Main | Start::Interpreter => run_main_module(py, &mounted),
        }
    })?;
    std::process::exit(finish(ending))
}

/// Takes out of `os.environ` what is no longer in the environment.
fn forget_what_was_asked(py: Python<'_>) -> PyResult<()> {
    let environ = py.import("os")?.getattr("environ")?;
    for name in VARIABLES {
        environ.call_method1("pop", (name, py.None()))?;
    }
    Ok(())
}

/// Replaces the process by Python with `arguments` (the first is the program's name) and the
/// packages of a bundle.
///
/// # Errors
/// [`LaunchError`], when it could not be started.
pub fn run_bundle_python(bundle: &Path, arguments: &[OsString]) -> Result<Status, LaunchError> {
    let bundle = open_fitting(bundle)?;
    let Some(environment) = environment(&bundle)? else {
        return Err(LaunchError::Start {
            message: "no directory for the bundle's environment can be written".into(),
        });
    };
    // The process that takes this one's place finds what is below its `sys.prefix`.
    Python::attach(|py| mount(py, bundle.path(), Some(&environment)))?;
    let error = Command::new(&environment.executable).args(&arguments[1..]).exec();
    Err(LaunchError::Start { message: error.to_string() })
}

/// Mounts a bundle, and links what it has for `sys.prefix` into its environment.
fn mount(
    py: Python<'_>,
    bundle: &Path,
    environment: Option<&BundleEnvironment>,
) -> Result<Arc<MountedBundle>, LaunchError> {
    let suffixes = running_suffixes(py).map_err(python_error)?;
    let mounted = MountedBundle::mount(bundle, suffixes)?;
    if let Some(environment) = environment {
        environment.link_data(&mounted.data_directories()?);
    }
    Ok(mounted)
}

/// Makes this process look as if it had been started for the bundle.
fn enter(
    py: Python<'_>,
    mounted: &Arc<MountedBundle>,
    environment: Option<&BundleEnvironment>,
    path: &OsStr,
    arguments: &[OsString],
) -> PyResult<()> {
    let sys = py.import("sys")?;
    let argv: Vec<&OsStr> = [path].into_iter().chain(arguments.iter().map(|a| &**a)).collect();
    sys.setattr("argv", PyList::new(py, argv)?)?;
    let removed = leave_site_packages(py)?;
    forget_modules_below(py, &removed)?;
    if let Some(environment) = environment {
        sys.setattr("executable", environment.executable.as_os_str())?;
        sys.setattr("prefix", environment.prefix.as_os_str())?;
        sys.setattr("exec_prefix", environment.prefix.as_os_str())?;
    }
    // The script that called us has run in `__main__`; what it left there goes.
    let main = py.import("__main__")?.dict();
    for name in main.keys() {
        if !name.extract::<String>().is_ok_and(|name| name.starts_with("__")) {
            main.del_item(name)?;
        }
    }
    note_start(py);
    install_traceback_hooks(py)?;
    install_site(py, mounted)?;
    let attributes = PyDict::new(py);
    for name in ["executable", "prefix", "exec_prefix"] {
        attributes.set_item(name, sys.getattr(name)?)?;
    }
    let facts = HostedFacts {
        library: py.import("mmport._mmport")?.getattr("__file__")?,
        removed: PyList::new(py, removed.iter().map(|path| path.as_os_str()))?.into_any(),
        attributes: attributes.into_any(),
    };
    serve_subinterpreters(py, mounted, &[], Some(&facts))
}

/// Takes the script's directory and what `site` added off `sys.path`: keeps `PYTHONPATH` and the
/// standard library. Returns what was taken off.
fn leave_site_packages(py: Python<'_>) -> PyResult<Vec<PathBuf>> {
    let sys = py.import("sys")?;
    let path = sys.getattr("path")?;
    let path = path.cast::<PyList>()?;
    let entries: Vec<PathBuf> = path.extract()?;
    let flags = sys.getattr("flags")?;
    let environment_counts = !flags.getattr("ignore_environment")?.is_truthy()?;
    let python_path = std::env::var_os("PYTHONPATH").filter(|_| environment_counts);
    let kept_by_user: Vec<PathBuf> = python_path
        .iter()
        .flat_map(std::env::split_paths)
        .filter_map(|path| std::path::absolute(path).ok())
        .collect();
    let library: PathBuf = py.import("os")?.getattr("__file__")?.extract()?;
    let library = library.parent().unwrap_or(Path::new("/")).to_owned();
    let library_zip =
        library.with_file_name(format!("python{}.zip", super::identity::VERSION.replace('.', "")));
    let is_kept = |entry: &PathBuf| {
        kept_by_user.contains(entry)
            || *entry == library
            || *entry == library_zip
            || *entry == library.join("lib-dynload")
    };
    let (kept, removed): (Vec<PathBuf>, Vec<PathBuf>) = entries.into_iter().partition(is_kept);
    path.call_method0("clear")?;
    for entry in kept {
        path.append(entry.as_os_str())?;
    }
    Ok(removed)
}

/// Forgets modules that came from directories that are no longer on the path, so that the bundle's
/// are imported; mmport itself stays.
fn forget_modules_below(py: Python<'_>, directories: &[PathBuf]) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    let modules = modules.cast::<PyDict>()?;
    let library: PathBuf = py.import("os")?.getattr("__file__")?.extract()?;
    for (name, module) in modules.copy()?.iter() {
        let name: String = name.extract()?;
        if name == "__main__" || name == "mmport" || name.starts_with("mmport.") {
            continue;
        }
        let file = module.getattr("__file__").and_then(|file| file.extract::<PathBuf>());
        let Ok(file) = file else { continue };
        let is_library = library.parent().is_some_and(|library| {
            file.strip_prefix(library).is_ok_and(|rest| !rest.starts_with("site-packages"))
        });
        if !is_library && directories.iter().any(|directory| file.starts_with(directory)) {
            modules.del_item(name)?;
        }
    }
    Ok(())
}

/// The virtual environment of a bundle for child processes, or `None` where none can be made.
fn environment(bundle: &Bundle) -> Result<Option<BundleEnvironment>, LaunchError> {
    let facts = Python::attach(Facts::gather).map_err(python_error)?;
    Ok(facts.environment(bundle).map_or_else(
        |error| {
            tracing::debug!(target: "mmport::environment", %error, "sys.executable is unchanged");
            None
        },
        Some,
    ))
}

/// What the environment's files say.
struct Facts {
    base_executable: PathBuf,
    version: String,
    package: PathBuf,
}

impl Facts {
    fn gather(py: Python<'_>) -> PyResult<Self> {
        let sys = py.import("sys")?;
        let base_executable = match sys.getattr("_base_executable") {
            Ok(executable) if executable.is_truthy()? => executable.extract()?,
            _ => sys.getattr("executable")?.extract()?,
        };
        Ok(Self {
            base_executable,
            version: super::identity::VERSION.to_owned(),
            package: py.import("mmport")?.getattr("__file__")?.extract()?,
        })
    }

    fn environment(&self, bundle: &Bundle) -> io::Result<BundleEnvironment> {
        let base = &self.base_executable;
        BundleEnvironment::in_first_place(&self.package, bundle, |environment| {
            environment.use_or_make(base, || {
                let home = base.parent().unwrap_or(Path::new("/"));
                make_environment(environment, base, home, bundle.path(), |staged| {
                    let packages = staged.join(format!("lib/python{}/site-packages", self.version));
                    fs::create_dir_all(&packages)?;
                    fs::write(packages.join("mmport.pth"), self.pth(bundle.path()))
                })
            })
        })
    }

    /// One line that imports mmport from where it is, without putting its neighbours on the path,
    /// and installs the bundle.
    fn pth(&self, bundle: &Path) -> String {
        // A JSON string is a Python literal too.
        let literal = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
        let directory = self.package.parent().unwrap_or(Path::new("/"));
        format!(
            "import sys, importlib.util as u; \
             s = u.spec_from_file_location('mmport', {package}, \
             submodule_search_locations=[{directory}]); \
             m = sys.modules.setdefault('mmport', u.module_from_spec(s)); \
             s.loader.exec_module(m); m.install_as_site_packages({bundle})\n",
            package = literal(&self.package),
            directory = literal(directory),
            bundle = literal(bundle),
        )
    }
}
