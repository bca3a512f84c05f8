//! What is to be built, as meant: every choice made, nothing left of how it was typed.

use std::path::PathBuf;

use super::entry_point::RequestedEntryPoint;
use super::error::BuildError;
use super::install::Installer;
use super::interruption::Interruption;
use super::platform::Platform;
use super::standalone::StandaloneRequest;
use super::traced_run::TracedRun;
use crate::bundle::Compression;

/// The `#!` line, without `#!`, of a bundle for which no other was asked.
pub const DEFAULT_SHEBANG: &str = "/usr/bin/env -S mmport run";

/// What goes into a bundle, how it starts and where it is written.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// Requirement specifiers, as an installer takes them.
    pub requirements: Vec<String>,
    /// Requirement files.
    pub requirement_files: Vec<PathBuf>,
    /// Folders with a `pyproject.toml` (or `setup.py`), built and installed.
    pub projects: Vec<PathBuf>,
    /// Wheels, installed.
    pub wheels: Vec<PathBuf>,
    /// Folders of plain modules, taken as they are.
    pub sources: Vec<PathBuf>,
    /// A virtual environment whose installed distributions are taken.
    pub venv: Option<PathBuf>,
    /// What the bundle runs; `None` leaves it to a `__main__.py` of the sources, if there is one.
    pub entry: Option<RequestedEntryPoint>,
    /// The bundle to write.
    pub output: PathBuf,
    /// The interpreter that the bundle is for: a path, or a name on `PATH`.
    pub python: PathBuf,
    /// Further interpreters that it is for: each adds its bytecode, and what its installer resolves.
    pub also: Vec<PathBuf>,
    /// Further platforms that it is for: each adds its extension modules, from wheels.
    pub platforms: Vec<Platform>,
    /// The `#!` line, without `#!`; `None` for a bundle that is not executable by itself.
    pub shebang: Option<String>,
    /// Packages to be materialized although they hold Python files only.
    pub materialize: Vec<String>,
    /// Packages not to be materialized although they hold other files.
    pub no_materialize: Vec<String>,
    /// How extension modules and shared libraries are kept; `None` chooses.
    pub libraries: Option<Compression>,
    /// The installer; `None` takes `uv` where it is on `PATH`, else the interpreter's `pip`.
    pub installer: Option<Installer>,
    /// The Python to put in, for an executable that needs none.
    pub standalone: Option<StandaloneRequest>,
    /// Runs of the program whose order of imports is the order of the bytecode in the bundle.
    pub order_from: Vec<TracedRun>,
    /// What may stop the build.
    pub interruption: Interruption,
}

impl BuildRequest {
    /// A request for an empty bundle, to be filled in.
    #[must_use]
    pub fn new(output: PathBuf, python: PathBuf) -> Self {
        Self {
            requirements: Vec::new(),
            requirement_files: Vec::new(),
            projects: Vec::new(),
            wheels: Vec::new(),
            sources: Vec::new(),
            venv: None,
            entry: None,
            output,
            python,
            also: Vec::new(),
            platforms: Vec::new(),
            shebang: Some(DEFAULT_SHEBANG.to_owned()),
            materialize: Vec::new(),
            no_materialize: Vec::new(),
            libraries: None,
            installer: None,
            standalone: None,
            order_from: Vec::new(),
            interruption: Interruption::default(),
        }
    }

    /// Whether an installer has anything to do.
    #[must_use]
    pub fn needs_installer(&self) -> bool {
        !(self.requirements.is_empty()
            && self.requirement_files.is_empty()
            && self.projects.is_empty()
            && self.wheels.is_empty())
    }

    /// Whether what is written can be started by its name.
    pub(super) fn is_executable(&self) -> bool {
        self.shebang.is_some() || self.standalone.is_some()
    }

    /// Whether the request is complete and everything that it names exists.
    ///
    /// # Errors
    ///
    /// [`BuildError::NothingToBuild`], [`BuildError::Shebang`], [`BuildError::EntryPointSyntax`], or
    /// [`BuildError::InputMissing`] for the first input that is not what it is given as.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        if !self.needs_installer() && self.sources.is_empty() && self.venv.is_none() {
            return Err(BuildError::NothingToBuild);
        }
        if let Some(venv) = self.venv.as_ref().filter(|_| !self.also.is_empty()) {
            return Err(BuildError::VenvForSeveral { venv: venv.clone() });
        }
        if let Some(venv) = self.venv.as_ref().filter(|_| !self.platforms.is_empty()) {
            return Err(BuildError::VenvForPlatform { venv: venv.clone() });
        }
        if let Some(line) = &self.shebang
            && (line.trim().is_empty() || line.contains(['\n', '\r', '\0']))
        {
            return Err(BuildError::Shebang { line: line.clone() });
        }
        self.entry.as_ref().map_or(Ok(()), RequestedEntryPoint::check)?;
        let files = (self.requirement_files.iter().map(|path| ("a requirement file", path)))
            .chain(self.wheels.iter().map(|path| ("a wheel", path)));
        for (expected, path) in files {
            if !path.is_file() {
                return Err(BuildError::input_missing(expected, path));
            }
        }
        for path in &self.projects {
            if !(path.join("pyproject.toml").is_file() || path.join("setup.py").is_file()) {
                return Err(BuildError::input_missing("a folder with a `pyproject.toml`", path));
            }
        }
        for path in &self.sources {
            if !path.is_dir() {
                return Err(BuildError::input_missing("a folder of modules", path));
            }
        }
        if let Some(path) = &self.venv
            && !path.join("pyvenv.cfg").is_file()
        {
            return Err(BuildError::input_missing(
                "a virtual environment (a folder with a `pyvenv.cfg`)",
                path,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_content_is_refused() {
        let request = BuildRequest::new("app.pyz".into(), "python3".into());
        assert!(matches!(request.check(), Err(BuildError::NothingToBuild)));
    }

    #[test]
    fn inputs_that_do_not_exist_are_named() {
        let mut request = BuildRequest::new("app.pyz".into(), "python3".into());
        request.requirement_files.push("no/such/file.txt".into());
        let Err(BuildError::InputMissing { path, .. }) = request.check() else {
            panic!("a missing requirement file was accepted");
        };
        assert_eq!(path, PathBuf::from("no/such/file.txt"));
    }

    #[test]
    fn an_entry_point_is_looked_at_before_anything_is_installed() {
        let mut request = BuildRequest::new("app.pyz".into(), "python3".into());
        request.requirements.push("black".into());
        request.entry = Some(RequestedEntryPoint::Object("black".into()));
        assert!(matches!(request.check(), Err(BuildError::EntryPointSyntax { .. })));
    }

    #[test]
    fn a_shebang_is_one_line() {
        let mut request = BuildRequest::new("app.pyz".into(), "python3".into());
        request.requirements.push("black".into());
        request.shebang = Some("/bin/sh\nexit".into());
        assert!(matches!(request.check(), Err(BuildError::Shebang { .. })));
    }
}
