//! What a bundle is to run this time: its own entry point, another script in it, or the interpreter.
//!
//! | asked by | runs |
//! | --- | --- |
//! | `mmport run --entry NAME` | that script, or `module:function` |
//! | `MMPORT_INTERPRETER`, not empty | Python with the bundle's packages; arguments are Python's |
//! | `MMPORT_ENTRY` | as `--entry` |
//! | the name of the file, a link to or copy of the bundle | the script of that name |
//! | nothing | the bundle's entry point; without one, Python |
//!
//! The variables are taken out of the environment: they are meant for this process, and a program that
//! it starts may be another bundle.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, BundleEntryPoint, nearest_first, parse_object};

use super::LaunchError;

const INTERPRETER: &str = "MMPORT_INTERPRETER";
const ENTRY: &str = "MMPORT_ENTRY";
/// What is taken out of the environment.
pub(super) const VARIABLES: [&str; 2] = [INTERPRETER, ENTRY];
/// What files are called that are bundles, and no scripts.
const BUNDLE_SUFFIXES: [&str; 4] = ["pyz", "zip", "whl", "pex"];

/// The variables that ask for something else than the bundle's entry point.
pub fn entry_variables() -> impl Iterator<Item = &'static str> {
    VARIABLES.into_iter()
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Start {
    /// `__main__`, as the bundle has it.
    Main,
    /// This script or function.
    Entry(BundleEntryPoint),
    /// The interpreter.
    Interpreter,
}

/// What somebody asked to run, if anybody did.
#[derive(Debug, Default)]
pub(super) struct Asked {
    interpreter: bool,
    entry: Option<String>,
}

impl Asked {
    /// What the command line, or else the environment, asks for.
    pub(super) fn new(entry: Option<&str>) -> Self {
        let interpreter = taken(INTERPRETER).is_some() && entry.is_none();
        let from_environment = taken(ENTRY).map(|entry| entry.to_string_lossy().into_owned());
        Self { interpreter, entry: entry.map(str::to_owned).or(from_environment) }
    }

    /// What is to run of `bundle`, which was called by `path`.
    ///
    /// # Errors
    /// [`LaunchError::NoSuchScript`], [`LaunchError::Mount`] when the metadata of the distributions
    /// in it is not sound.
    pub(super) fn start(self, bundle: &Bundle, path: &OsStr) -> Result<Start, LaunchError> {
        if self.interpreter {
            return Ok(Start::Interpreter);
        }
        if let Some(name) = self.entry {
            if let Some((module, object)) = parse_object(&name) {
                return Ok(Start::Entry(BundleEntryPoint::Object { module, object }));
            }
            return match script(bundle, &name)? {
                Some(entry) => Ok(Start::Entry(entry)),
                None => Err(no_such_script(bundle, name)?),
            };
        }
        if let Some(name) = script_name(Path::new(path))
            && !is_own_entry(bundle, name)?
            && let Some(entry) = script(bundle, name)?
        {
            return Ok(Start::Entry(entry));
        }
        let has_main = bundle.find("", "__main__").is_some();
        Ok(if has_main { Start::Main } else { Start::Interpreter })
    }
}

/// The file that a path leads to: a link that is named as a script stands for the bundle that it leads
/// to, so that the bundle is one and the same by all its names.
pub(super) fn file_of(path: &Path) -> PathBuf {
    let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    if is_link && script_name(path).is_some() {
        return fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    }
    path.to_owned()
}

/// The name of the script that a file so called may be.
fn script_name(path: &Path) -> Option<&str> {
    let is_bundle = path.extension().is_some_and(|suffix| {
        BUNDLE_SUFFIXES.iter().any(|known| suffix.eq_ignore_ascii_case(known))
    });
    if is_bundle { None } else { path.file_name()?.to_str() }
}

/// Whether the bundle runs this script anyway.
fn is_own_entry(bundle: &Bundle, wanted: &str) -> Result<bool, LaunchError> {
    let entry = bundle.information()?.and_then(|information| information.entry.as_ref());
    Ok(matches!(entry, Some(BundleEntryPoint::Script { name, .. }) if name == wanted))
}

fn script(bundle: &Bundle, wanted: &str) -> Result<Option<BundleEntryPoint>, LaunchError> {
    let scripts = bundle.scripts()?;
    let named = scripts.iter().filter(|script| script.name == wanted);
    Ok(named.filter_map(|script| script.entry_point()).next())
}

fn no_such_script(bundle: &Bundle, name: String) -> Result<LaunchError, LaunchError> {
    let names = bundle.scripts()?.into_iter().map(|script| script.name).collect();
    Ok(LaunchError::NoSuchScript {
        bundle: bundle.path().to_owned(),
        available: nearest_first(&name, names),
        name,
    })
}

/// The value of a variable that is set to something; it is taken out of the environment.
pub(super) fn taken(name: &str) -> Option<OsString> {
    let value = std::env::var_os(name)?;
    // SAFETY: called before an interpreter is started or a thread made, or, in a Python that is running
    // already, by the thread that is about to become the program and has started no other.
    unsafe { std::env::remove_var(name) };
    Some(value).filter(|value| !value.is_empty())
}
