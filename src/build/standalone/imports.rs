//! What a program is seen to import, for a minimal standard library.
//!
//! The program runs in the interpreter that the bundle is for, from the directories that go into the
//! bundle, and with `PYTHONVERBOSE`: CPython then names each module that it imports on standard error,
//! in child processes too. Without a run that was asked for, the module of the entry point is imported.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::bundle::BundleEntryPoint;

use super::super::interpreter::Interpreter;
use super::StandaloneError;
use super::standard_library::ALWAYS;

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
const IMPORT: &str = "import importlib, sys; importlib.import_module(sys.argv[1])";
/// Imports modules, those that this Python has.
const IMPORT_ALL: &str = "import contextlib, importlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)";
/// Calls what an entry point names, as a script does.
const CALL: &str = "import functools, importlib, sys; \
    name, module, path = sys.argv[1:4]; sys.argv[:4] = [name]; \
    sys.exit(functools.reduce(getattr, path.split('.'), importlib.import_module(module))())";
/// Runs a module as `-m` does.
const RUN: &str = "import runpy, sys; name = sys.argv[1]; del sys.argv[:1]; \
    runpy.run_module(name, run_name='__main__', alter_sys=True)";

/// All modules that the runs of the program import, that `modules` need, and that every program may need.
/// `path` are the directories with what goes into the bundle.
///
/// # Errors
/// [`StandaloneError::Run`] when a run cannot be started, or fails.
pub(in crate::build) fn seen_modules(
    interpreter: &Interpreter,
    entry: Option<&BundleEntryPoint>,
    runs: &[TracedRun],
    modules: &[String],
    path: &[PathBuf],
) -> Result<Vec<String>, StandaloneError> {
    let mut seen = BTreeSet::new();
    let mut commands: Vec<Vec<String>> = match (entry, runs) {
        (None, _) => Vec::new(),
        (Some(entry), []) => vec![import_of(entry)],
        (Some(entry), runs) => runs.iter().map(|run| call_of(entry, run, path)).collect(),
    };
    let named = modules.iter().map(String::as_str);
    commands.push(words(
        &["-c", IMPORT_ALL].into_iter().chain(ALWAYS).chain(named).collect::<Vec<_>>(),
    ));
    for command in commands {
        seen.extend(run(interpreter, &command, path)?);
    }
    Ok(seen.into_iter().collect())
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

fn call_of(entry: &BundleEntryPoint, run: &TracedRun, path: &[PathBuf]) -> Vec<String> {
    let mut command = match entry {
        BundleEntryPoint::Script { name, module, object } => {
            words(&["-c", CALL, name, module, object])
        }
        BundleEntryPoint::Object { module, object } => words(&["-c", CALL, module, module, object]),
        BundleEntryPoint::Module { name } => words(&["-c", RUN, name]),
        BundleEntryPoint::Main => {
            let with_main = path.iter().find(|root| root.join("__main__.py").exists());
            words(&[&with_main.map(|root| root.to_string_lossy()).unwrap_or_default()])
        }
    };
    command.extend(run.arguments.iter().cloned());
    command
}

fn run(
    interpreter: &Interpreter,
    command: &[String],
    path: &[PathBuf],
) -> Result<Vec<String>, StandaloneError> {
    // Without the code that stands for what starts the program.
    let shown = command.strip_prefix(&["-c".to_owned()][..]).map_or(command, |rest| &rest[1..]);
    let failed = |found: String| StandaloneError::Run { command: shown.join(" "), found };
    let search = std::env::join_paths(path).unwrap_or_else(|_| OsString::new());
    let output = Command::new(&interpreter.executable)
        .args(command)
        .env("PYTHONVERBOSE", "1")
        .env("PYTHONPATH", search)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let own = told.lines().filter(|line| !is_note(line)).collect::<Vec<_>>();
        let last = own.last().map(|line| format!(": {line}")).unwrap_or_default();
        return Err(failed(format!("it ended with {}{last}", output.status)));
    }
    Ok(told.lines().filter_map(module_in).map(str::to_owned).collect())
}

/// The module that a line says was imported: `import 'name' # loader`.
fn module_in(line: &str) -> Option<&str> {
    let (name, loader) = line.strip_prefix("import '")?.split_once('\'')?;
    loader.starts_with(" # ").then_some(name)
}

/// Whether a line is one of those that Python writes of itself when it is verbose.
fn is_note(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("import ") || line.is_empty()
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
    fn arguments_are_split() {
        assert_eq!(TracedRun::parse(" --check  a.py ").arguments, ["--check", "a.py"]);
    }
}
