//! Runs of the program while its bundle is built: what it is seen to import, for a minimal standard
//! library, and in which order code is loaded, for where it lies in the bundle.
//!
//! The program runs in the interpreter that the bundle is for, from the directories that go into the
//! bundle, and with `PYTHONVERBOSE`: CPython then names each module that it imports, and each file that it
//! loads code from, on standard error, in child processes too. Without a run that was asked for, the module
//! of the entry point is imported.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bundle::BundleEntryPoint;

use super::error::BuildError;
use super::interpreter::Interpreter;

/// Arguments for the program in one run of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TracedRun {
    /// Without the program itself.
    pub arguments: Vec<String>,
}

impl TracedRun {
    /// Splits arguments at white space, as a shell does with words without quotes.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self { arguments: text.split_whitespace().map(str::to_owned).collect() }
    }
}

/// Imports the module of an entry point.
const IMPORT: &str =
    "import sys; del sys.path[0]; import importlib; importlib.import_module(sys.argv[1])";
/// Imports modules, those that this Python has.
const IMPORT_ALL: &str = "import sys
del sys.path[0]
import contextlib, importlib
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)";
/// Calls what an entry point names, as a script does.
const CALL: &str = "import sys; del sys.path[0]; import functools, importlib; \
    name, module, path = sys.argv[1:4]; sys.argv[:4] = [name]; \
    sys.exit(functools.reduce(getattr, path.split('.'), importlib.import_module(module))())";
/// Runs a module as `-m` does.
const RUN: &str = "import sys; del sys.path[0]; import runpy; name = sys.argv[1]; del sys.argv[:1]; \
    runpy.run_module(name, run_name='__main__', alter_sys=True)";

/// All modules that the runs of the program import, and that `modules` need, as far as there are any.
/// `path` are the directories with what goes into the bundle.
///
/// # Errors
/// [`BuildError::TracedRun`] when a run cannot be started, or fails.
pub(super) fn seen_modules(
    interpreter: &Interpreter,
    entry: Option<&BundleEntryPoint>,
    runs: &[TracedRun],
    modules: &[&str],
    path: &[PathBuf],
) -> Result<Vec<String>, BuildError> {
    let mut commands: Vec<Vec<String>> = match (entry, runs) {
        (None, _) => Vec::new(),
        (Some(entry), []) => vec![import_of(entry)],
        (entry, runs) => runs.iter().map(|run| call_of(entry, run, path)).collect(),
    };
    commands.push(words(&[&["-c", IMPORT_ALL], modules].concat()));
    let mut seen = BTreeSet::new();
    for command in commands {
        let told = run(interpreter, &command, path)?;
        seen.extend(told.lines().filter_map(module_in).map(str::to_owned));
    }
    Ok(seen.into_iter().collect())
}

/// The files of the bundle that runs of the program load code from, in that order. Without an entry point,
/// a run's arguments are Python's.
///
/// # Errors
/// [`BuildError::TracedRun`] when a run cannot be started, or fails.
pub(super) fn load_order(
    interpreter: &Interpreter,
    entry: Option<&BundleEntryPoint>,
    runs: &[TracedRun],
    path: &[PathBuf],
) -> Result<Vec<String>, BuildError> {
    let mut order = Vec::new();
    let mut known = HashSet::new();
    for traced in runs {
        let told = run(interpreter, &call_of(entry, traced, path), path)?;
        let files = told.lines().filter_map(file_in).filter_map(|file| place_of(file, path));
        order.extend(files.filter(|name| known.insert(name.clone())));
    }
    Ok(order)
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn import_of(entry: &BundleEntryPoint) -> Vec<String> {
    match entry {
        BundleEntryPoint::Script { module, .. } | BundleEntryPoint::Object { module, .. } => {
            words(&["-c", IMPORT, module])
        }
        BundleEntryPoint::Module { name } => words(&["-c", IMPORT, name]),
        // Nothing of it can be imported without running it.
        BundleEntryPoint::Main => words(&["-c", "pass"]),
    }
}

fn call_of(entry: Option<&BundleEntryPoint>, run: &TracedRun, path: &[PathBuf]) -> Vec<String> {
    let mut command = match entry {
        None => Vec::new(),
        Some(entry) => call_of_entry(entry, path),
    };
    command.extend(run.arguments.iter().cloned());
    command
}

fn call_of_entry(entry: &BundleEntryPoint, path: &[PathBuf]) -> Vec<String> {
    match entry {
        BundleEntryPoint::Script { name, module, object } => {
            words(&["-c", CALL, name, module, object])
        }
        BundleEntryPoint::Object { module, object } => words(&["-c", CALL, module, module, object]),
        BundleEntryPoint::Module { name } => words(&["-c", RUN, name]),
        BundleEntryPoint::Main => {
            let with_main = path.iter().find(|root| root.join("__main__.py").exists());
            words(&[&with_main.map(|root| root.to_string_lossy()).unwrap_or_default()])
        }
    }
}

fn run(
    interpreter: &Interpreter,
    command: &[String],
    path: &[PathBuf],
) -> Result<String, BuildError> {
    // Without the code that stands for what starts the program.
    let shown = command.strip_prefix(&["-c".to_owned()][..]).map_or(command, |rest| &rest[1..]);
    let failed = |found: String| BuildError::TracedRun { command: shown.join(" "), found };
    let search = std::env::join_paths(path).unwrap_or_else(|_| OsString::new());
    let output = Command::new(&interpreter.executable)
        .args(command)
        .env("PYTHONVERBOSE", "1")
        .env("PYTHONPATH", search)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("PYTHONSAFEPATH")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        let own = told.lines().filter(|line| !is_note(line)).collect::<Vec<_>>();
        let last = own.last().map(|line| format!(": {line}")).unwrap_or_default();
        return Err(failed(format!("it ended with {}{last}", output.status)));
    }
    Ok(told)
}

/// The module that a line says was imported: `import 'name' # loader`.
fn module_in(line: &str) -> Option<&str> {
    let (name, loader) = line.strip_prefix("import '")?.split_once('\'')?;
    loader.starts_with(" # ").then_some(name)
}

/// The file that a line says code was loaded from: a source, or bytecode, then in quotes.
fn file_in(line: &str) -> Option<&str> {
    let file = line.strip_prefix("# code object from ")?;
    Some(file.strip_prefix('\'').and_then(|file| file.strip_suffix('\'')).unwrap_or(file))
}

/// The name in the bundle of a file in one of the directories of `path`, without its suffix.
fn place_of(file: &str, path: &[PathBuf]) -> Option<String> {
    let place = path.iter().find_map(|root| Path::new(file).strip_prefix(root).ok())?.to_str()?;
    Some(match place.split_once("__pycache__/") {
        // Up to the tag of the interpreter.
        Some((directory, name)) => format!("{directory}{}", name.split('.').next()?),
        None => place.rsplit_once('.')?.0.to_owned(),
    })
}

/// Whether a line is one of those that Python writes of itself when it is verbose.
fn is_note(line: &str) -> bool {
    // The last three are what `site` says.
    const BEGINNINGS: [&str; 8] = [
        "#",
        "import ",
        "Python 3.",
        "[GCC ",
        "Type \"help\"",
        "Adding ",
        "Processing ",
        "Skipping ",
    ];
    line.is_empty() || BEGINNINGS.iter().any(|beginning| line.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_modules_are_read() {
        let line = "import 'json.decoder' # <_frozen_importlib_external.SourceFileLoader object>";
        assert_eq!(module_in(line), Some("json.decoder"));
        assert_eq!(module_in("# cleanup[2] removing json"), None);
        assert_eq!(module_in("import 'x'"), None);
    }

    #[test]
    fn files_are_read() {
        let path = [PathBuf::from("/a"), PathBuf::from("/b c")];
        for (line, expected) in [
            ("# code object from '/a/x/__pycache__/y.cpython-311.opt-1.pyc'", Some("x/y")),
            ("# code object from /b c/x/__init__.py", Some("x/__init__")),
            ("# code object from '/a/only.pyc'", Some("only")),
            ("# code object from '/usr/lib/python3.11/os.py'", None),
            ("import 'x' # <SourceFileLoader>", None),
        ] {
            let place = file_in(line).and_then(|file| place_of(file, &path));
            assert_eq!(place.as_deref(), expected, "{line}");
        }
    }

    #[test]
    fn arguments_are_split() {
        assert_eq!(TracedRun::parse(" --check  a.py ").arguments, ["--check", "a.py"]);
    }
}
