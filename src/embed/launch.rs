//! The run modes of the embedded interpreter.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use pyo3::prelude::*;

use crate::bundle::Bundle;
use crate::python::{
    MountError, MountedBundle, full_message, install_site, install_traceback_hooks,
    register_native_functions, serve_subinterpreters, speed_up_imports,
};

use crate::standalone::EXECUTABLE_VARIABLE;

use super::bundled_python::BundledPython;
use super::config::Config;
use super::entry::{Asked, Start, file_of, taken};
use super::environment::bundle_of_executable;
use super::exit::{finish, note_start};
use super::interpreter::Run;
use super::linked::linked_python;
use super::main_module::{Ending, run_entry, run_main_module};
use super::unwinding::run_main;
use super::{BundleEnvironment, LaunchError, identity};

/// The exit status of the process.
pub type Status = i32;

/// Runs the entry point of the bundle at `path`, as `python path` runs a zip with a `__main__.py`:
/// `sys.argv` is `path` as given and then `arguments`. What the environment or the name of the file asks
/// for comes before it (see `entry.rs`). A bundle without `__main__` is Python with the bundle's
/// packages, and `arguments` are Python's. Once per process; call [`run_as_python`] first, or child
/// processes that the bundle starts from `sys.executable` are this program again.
///
/// # Errors
/// [`LaunchError`], when the program could not be started.
pub fn run_bundle(path: &OsStr, arguments: &[OsString]) -> Result<Status, LaunchError> {
    run_bundle_entry(path, None, arguments)
}

/// As [`run_bundle`], but runs the script, or `module:function`, that `entry` names, if any.
///
/// # Errors
/// [`LaunchError`], when the program could not be started; [`LaunchError::NoSuchScript`].
pub fn run_bundle_entry(
    path: &OsStr,
    entry: Option<&str>,
    arguments: &[OsString],
) -> Result<Status, LaunchError> {
    let bundle = open_fitting(&file_of(Path::new(path)))?;
    let asked = Asked::new(entry);
    let environment = BundleEnvironment::of_bundle(&bundle);
    let start = asked.start(&bundle, path)?;
    let program = environment.program_of(&start, &bundle, path);
    let argv: Vec<&OsStr> = [&*program].into_iter().chain(arguments.iter().map(|a| &**a)).collect();
    if start == Start::Interpreter {
        return python_with(bundle, &environment, &argv);
    }
    let config =
        Config::new(&argv, false)?.original_arguments(environment.executable.as_os_str(), &argv)?;
    let mounted = start_with(bundle, config, &environment)?.mounted;
    let ending = Python::attach(|py| {
        install(py, &mounted)?;
        match &start {
            Start::Entry(entry) => run_entry(py, &mounted, entry),
            Start::Main | Start::Interpreter => run_main_module(py, &mounted),
        }
    });
    match ending {
        Ok(ending) => Ok(finish(ending)),
        Err(error) => {
            // What the program has printed so far is flushed, and its exit handlers run.
            finish(Ending::Status(0));
            Err(error)
        }
    }
}

/// Runs Python with its own arguments (the first is the program) and the packages of a bundle.
///
/// # Errors
/// [`LaunchError`], when Python could not be started.
fn run_bundle_python(
    bundle: &Path,
    environment: &BundleEnvironment,
    arguments: &[OsString],
) -> Result<Status, LaunchError> {
    // Started on the bundle itself, as reloaders start the script that they are in.
    if let Some((script, rest)) = arguments.get(1..).and_then(<[OsString]>::split_first)
        && is_bundle(Path::new(script), bundle)
    {
        return run_bundle(script, rest);
    }
    let arguments: Vec<&OsStr> = arguments.iter().map(|argument| &**argument).collect();
    python_with(open_fitting(bundle)?, environment, &arguments)
}

/// Whether a path is that of the bundle, or of a link to it.
fn is_bundle(path: &Path, bundle: &Path) -> bool {
    let is_link = || path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    std::path::absolute(path).is_ok_and(|path| path == bundle)
        || (is_link()
            && path
                .canonicalize()
                .is_ok_and(|path| bundle.canonicalize().is_ok_and(|it| it == path)))
}

/// Runs a bundle's Python, if that is what this process was started as: a program that runs bundles
/// has to call this first, because `sys.executable` of a bundle's process is this program again.
/// `arguments` are those of the process.
///
/// # Errors
/// [`LaunchError`], when Python could not be started.
pub fn run_as_python(arguments: &[OsString]) -> Result<Option<Status>, LaunchError> {
    match arguments.first().and_then(|program| bundle_of_executable(program)) {
        Some((bundle, environment)) => {
            run_bundle_python(&bundle, &environment, arguments).map(Some)
        }
        None => Ok(None),
    }
}

/// Runs the standalone executable whose head has started this process, if one has. `arguments` are those
/// of the process.
///
/// # Errors
/// [`LaunchError`], when the program could not be started.
pub fn run_standalone(arguments: &[OsString]) -> Result<Option<Status>, LaunchError> {
    let Some(executable) = taken(EXECUTABLE_VARIABLE) else { return Ok(None) };
    run_bundle(&executable, arguments.get(1..).unwrap_or_default()).map(Some)
}

/// Runs plain Python with the arguments of the process, if it was started by the name of a Python: for
/// programs that are to be one when they are linked so, as mmport is.
///
/// # Errors
/// [`LaunchError`], when Python could not be started.
pub fn run_linked_python(arguments: &[OsString]) -> Result<Option<Status>, LaunchError> {
    let Some(python) = arguments.first().and_then(|program| linked_python(program)) else {
        return Ok(None);
    };
    let executable = python.executable.as_os_str();
    let base_executable = python.base_executable.as_os_str();
    let config = Config::new(arguments, true)?;
    let bundle = python.bundle.as_deref().filter(|_| BundledPython::running_runtime().is_some());
    let bundle = bundle.map(open_fitting).transpose()?;
    match bundle.and_then(|bundle| Some((BundledPython::of(&bundle)?, bundle))) {
        Some((bundled, bundle)) => {
            MountedBundle::adopt(bundle)?;
            register_native_functions();
            bundled.prepare();
            config.paths_in_bundle(executable, base_executable, &bundled, &bundled.prefix)?
        }
        None => config.find_paths_from_link(executable, base_executable)?,
    }
    .start()?;
    Ok(Some(run_main()))
}

/// Runs plain Python with its own arguments; the first is the program.
///
/// # Errors
/// [`LaunchError`], when Python could not be started.
pub fn run_python(arguments: &[OsString]) -> Result<Status, LaunchError> {
    Config::new(arguments, true)?.find_paths_from_base()?.start()?;
    Ok(run_main())
}

/// Runs Python with `arguments` and the packages of `bundle`.
fn python_with(
    bundle: Bundle,
    environment: &BundleEnvironment,
    arguments: &[&OsStr],
) -> Result<Status, LaunchError> {
    let config = Config::new(arguments, true)?;
    let Started { mounted, imports_site, run } = start_with(bundle, config, environment)?;
    // A virtual environment's packages are not there under `-S`, so neither are a bundle's.
    if imports_site {
        Python::attach(|py| install(py, &mounted))?;
    }
    match run.and_then(|run| Python::attach(|py| run.run(py))) {
        Some(ending) => Ok(finish(ending)),
        None => Ok(run_main()),
    }
}

/// Opens a bundle and checks that it was built for this Python.
pub(super) fn open_fitting(path: &Path) -> Result<Bundle, LaunchError> {
    let absolute = std::path::absolute(path).map_err(|_| MountError::Path(path.to_owned()))?;
    let bundle = Bundle::open(&absolute, identity::suffixes(0))?;
    if let Some(misfit) = bundle.information()?.and_then(identity::misfit) {
        return Err(LaunchError::Misfit { bundle: path.to_owned(), misfit });
    }
    // Without its own bundle, a runtime has no standard library.
    match BundledPython::running_runtime() {
        Some(program) if BundledPython::of(&bundle).is_none() => {
            Err(LaunchError::Replaced { bundle: path.to_owned(), program })
        }
        _ => Ok(bundle),
    }
}

/// An interpreter that was started with a bundle.
struct Started {
    mounted: Arc<MountedBundle>,
    /// Whether it imports `site`.
    imports_site: bool,
    /// What it was asked to run, if that is not left to it.
    run: Option<Run>,
}

/// Starts the interpreter in the environment of a bundle.
fn start_with(
    bundle: Bundle,
    config: Config,
    environment: &BundleEnvironment,
) -> Result<Started, LaunchError> {
    let executable = environment.executable.as_os_str();
    let bundled = BundledPython::of(&bundle);
    let config = match &bundled {
        Some(python) => {
            let prefix = if environment.is_made() { &python.prefix } else { &environment.prefix };
            config.paths_in_bundle(executable, executable, python, prefix)?
        }
        None if environment.is_made() => config.find_paths_from_environment(executable)?,
        None => config.fix_paths(executable, environment.prefix.as_os_str())?,
    };
    let mounted = match config.optimization() {
        0 => MountedBundle::adopt(bundle)?,
        // Only now known, and rare: index the bytecode of that level instead.
        level => MountedBundle::adopt(Bundle::open(bundle.path(), identity::suffixes(level))?)?,
    };
    if environment.is_made() {
        environment.link_data(&mounted.data_directories()?);
    }
    let imports_site = config.imports_site();
    register_native_functions();
    if let Some(python) = &bundled {
        python.prepare();
    }
    let run = config.start()?;
    if executable.is_empty() {
        Python::attach(forget_executable)?;
    }
    Ok(Started { mounted, imports_site, run })
}

/// Tells programs that there is no executable to start Python by: what CPython assumes instead is the
/// bundle, which is a program of its own.
fn forget_executable(py: Python<'_>) -> Result<(), LaunchError> {
    let forget = || {
        let sys = py.import("sys")?;
        ["executable", "_base_executable"].iter().try_for_each(|name| sys.setattr(*name, ""))
    };
    forget().map_err(|error: PyErr| LaunchError::Install { message: full_message(&error) })
}

fn install(py: Python<'_>, mounted: &Arc<MountedBundle>) -> Result<(), LaunchError> {
    let is_bundled = BundledPython::of(mounted.bundle()).is_some();
    let standard_library = if is_bundled { BundledPython::places().to_vec() } else { Vec::new() };
    // In this order: what a `.pth` file does, such as changing `sys.excepthook`, is done to the
    // Python that the program gets.
    note_start(py);
    install_traceback_hooks(py)
        .and_then(|()| install_site(py, mounted))
        .and_then(|()| serve_subinterpreters(py, mounted, &standard_library, None))
        .and_then(|()| speed_up_imports(py, mounted.archive()))
        .map_err(|error| LaunchError::Install { message: full_message(&error) })
}
