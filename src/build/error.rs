//! Everything that can fail while a bundle is built, with the exit status and the next step that
//! go with it.

use std::io;
use std::path::{Path, PathBuf};

use super::standalone::StandaloneError;
use crate::bundle::available_scripts;

/// Exit status of a command line that cannot be meant.
const USAGE: u8 = 2;
/// Exit status of a build that failed.
const FAILED: u8 = 125;
/// Exit status of an entry point that does not exist.
const ENTRY_POINT_NOT_FOUND: u8 = 127;

/// Why a bundle could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// No requirement, project, wheel, source folder or environment was given.
    #[error("build a bundle: nothing was given to put into it")]
    NothingToBuild,

    /// The shebang line is not one non-empty line.
    #[error("use `{}` as shebang: expected one non-empty line", line.escape_debug())]
    Shebang {
        /// The line that was given.
        line: String,
    },

    /// A glob of packages is not one.
    #[error(transparent)]
    Glob(#[from] crate::native::GlobError),

    /// The entry point is not written as `module:function` or as a module's name.
    #[error("use `{found}` as entry point: expected {expected}")]
    EntryPointSyntax {
        /// What was given.
        found: String,
        /// How it must be written.
        expected: &'static str,
    },

    /// `MMPORT_INSTALLER` names no installer.
    #[error("use `{found}` as installer: expected `uv` or `pip`")]
    UnknownInstaller {
        /// The value that was found.
        found: String,
    },

    /// An input does not exist or is something else.
    #[error("use `{}` as {expected}: {found}", path.display())]
    InputMissing {
        /// The path that was given.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
        /// What is there instead.
        found: &'static str,
    },

    /// The output exists and is no file.
    #[error("write `{}`: it is {found}, not a file", path.display())]
    OutputNotAFile {
        /// The output.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },

    /// The output cannot be written.
    #[error("write `{}`", path.display())]
    Output {
        /// The output.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },

    /// The zip format or its writer refused an entry.
    #[error("write entry `{name}` into `{}`", path.display())]
    Zip {
        /// The output.
        path: PathBuf,
        /// The entry.
        name: String,
        /// Why not.
        #[source]
        source: zip::result::ZipError,
    },

    /// A file that goes into the bundle cannot be read.
    #[error("read `{}`", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },

    /// The directory for the installation cannot be made.
    #[error("make a temporary directory in `{}`", path.display())]
    TemporaryDirectory {
        /// Where it was to be made.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },

    /// A program cannot be started.
    #[error("start `{}` ({role})", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What it was to do.
        role: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },

    /// A bundle cannot be made a standalone executable.
    #[error(transparent)]
    Standalone(#[from] StandaloneError),

    /// A run of the program failed that was to show what it imports.
    #[error("see what `{command}` imports: {found}")]
    TracedRun {
        /// The entry point and the arguments.
        command: String,
        /// How it ended.
        found: String,
    },

    /// The interpreter does not say what it is.
    #[error("ask `{}` what it is: {found}", program.display())]
    Probe {
        /// The interpreter.
        program: PathBuf,
        /// What it answered.
        found: String,
    },

    /// The interpreter is none that a bundle can be built for.
    #[error("build for `{}`: found {found}, expected CPython 3.10 or later", program.display())]
    UnsupportedPython {
        /// The interpreter.
        program: PathBuf,
        /// What it is.
        found: String,
    },

    /// Neither uv nor pip is there.
    #[error(
        "install the requirements: `uv` is not on PATH and `{}` has no pip",
        program.display()
    )]
    NoInstaller {
        /// The interpreter.
        program: PathBuf,
    },

    /// The installer failed.
    #[error("install the requirements: {installer} ended with {status}{}", indented(output))]
    Install {
        /// The installer.
        installer: &'static str,
        /// How it ended.
        status: String,
        /// What it wrote; empty when the user has seen it already.
        output: String,
    },

    /// A virtual environment belongs to another Python.
    #[error(
        "take what is installed in `{}`: it is for Python {found}, expected {expected}",
        path.display()
    )]
    VenvVersion {
        /// The environment.
        path: PathBuf,
        /// The version it is for.
        found: String,
        /// The version the bundle is for.
        expected: String,
    },

    /// A file's name cannot be an entry's name.
    #[error("take `{}` into the bundle: its name is not valid UTF-8", path.display())]
    NameNotUnicode {
        /// The file.
        path: PathBuf,
    },

    /// Two inputs bring different files of one name.
    #[error("put two different files at `{name}`: one from {first}, one from {second}")]
    Conflict {
        /// The entry.
        name: String,
        /// Where the first is from.
        first: String,
        /// Where the second is from.
        second: String,
    },

    /// A virtual environment is for one Python, and several were asked for.
    #[error("build from `{}`: expected one --python with --venv, found several", venv.display())]
    VenvForSeveral {
        /// The virtual environment.
        venv: PathBuf,
    },

    /// Two of the interpreters are of the same version.
    #[error("build for `{}` and `{}`: both are {version}", first.display(), second.display())]
    SameVersion {
        /// The one.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What they are.
        version: String,
    },

    /// A platform's tag is none.
    #[error("build for the platform `{}`: expected a manylinux or musllinux tag such as manylinux_2_28_aarch64", found.escape_debug())]
    UnknownPlatform {
        /// What was given.
        found: String,
    },

    /// A virtual environment is for one platform, and another was asked for.
    #[error("build from `{}`: expected no --platform with --venv", venv.display())]
    VenvForPlatform {
        /// The virtual environment.
        venv: PathBuf,
    },

    /// The requirements were resolved to different versions for different Pythons.
    #[error("put `{distribution}` into one bundle: {first}, {second}")]
    VersionsDiffer {
        /// The distribution.
        distribution: String,
        /// Version, and for which Python.
        first: String,
        /// Version, and for which Python.
        second: String,
    },

    /// An input brings a file of a name that mmport writes itself.
    #[error("take `{name}` from {origin}: mmport writes an entry of that name itself")]
    ReservedName {
        /// The entry.
        name: String,
        /// Where the file is from.
        origin: String,
    },

    /// No distribution has such a script.
    #[error("find the script `{name}`: {}", available_scripts(available))]
    ScriptNotFound {
        /// The script that was asked for.
        name: String,
        /// The scripts that there are, nearest first.
        available: Vec<String>,
    },

    /// The bundle has no such module.
    #[error("find the entry point `{entry}`: {found}")]
    ModuleNotFound {
        /// The entry point that was asked for.
        entry: String,
        /// What was found instead.
        found: String,
    },

    /// A process that compiles the sources died.
    #[error("compile `{name}`: the compiling interpreter ended with {status}{}", indented(output))]
    CompilerDied {
        /// The source being compiled.
        name: String,
        /// How it ended.
        status: String,
        /// What it wrote.
        output: String,
    },

    /// A signal asked the build to stop.
    #[error("finish the build: interrupted by signal {signal}")]
    Interrupted {
        /// The signal.
        signal: u8,
    },

    /// The handlers for the stopping signals cannot be set.
    #[error("watch for signals")]
    Signals {
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl BuildError {
    /// The error for an input at `path` that is not `expected`.
    pub(super) fn input_missing(expected: &'static str, path: &Path) -> Self {
        let found = if path.exists() { "it is something else" } else { "it does not exist" };
        Self::InputMissing { path: path.to_owned(), expected, found }
    }

    /// A closure that makes the error for reading `path`.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Read { path, source }
    }

    /// The exit status of a command that fails with this error.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::NothingToBuild
            | Self::Shebang { .. }
            | Self::Glob(_)
            | Self::EntryPointSyntax { .. }
            | Self::UnknownInstaller { .. }
            | Self::UnknownPlatform { .. }
            | Self::VenvForPlatform { .. }
            | Self::VenvForSeveral { .. } => USAGE,
            Self::Standalone(error) if error.is_usage() => USAGE,
            Self::ScriptNotFound { .. } | Self::ModuleNotFound { .. } => ENTRY_POINT_NOT_FOUND,
            Self::Interrupted { signal } => 128_u8.saturating_add(*signal),
            _ => FAILED,
        }
    }

    /// What to do about it, where there is something to say.
    #[must_use]
    pub fn next_step(&self) -> Option<String> {
        let text = match self {
            Self::NothingToBuild => {
                "name requirements, or use -r, --project, --wheel, --source or --venv".to_owned()
            }
            Self::EntryPointSyntax { .. } => {
                "write `-e package.module:function`, or `-m package.module`".to_owned()
            }
            Self::InputMissing { path, expected, .. } if path.exists() => {
                format!("give {expected}, or use another option for what this is")
            }
            Self::InputMissing { path, .. } => path_to_check(path),
            Self::UnknownInstaller { .. } => "correct or unset MMPORT_INSTALLER".to_owned(),
            Self::OutputNotAFile { .. } => "name a file with -o".to_owned(),
            Self::Output { source, .. } | Self::TemporaryDirectory { source, .. } => {
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "free space there, or choose another place (-o, TMPDIR)".to_owned()
                    }
                    io::ErrorKind::NotFound => "create the folder first".to_owned(),
                    _ => "choose a place that you may write to (-o, TMPDIR)".to_owned(),
                }
            }
            Self::Start { role: "the interpreter", .. }
            | Self::Probe { .. }
            | Self::UnsupportedPython { .. } => {
                "name an installed CPython 3.10 or later with --python".to_owned()
            }
            Self::Standalone(error) => return error.next_step(),
            Self::TracedRun { .. } => "give arguments with which the program ends well".into(),
            Self::NoInstaller { program } => format!(
                "install uv, or give this Python its pip: {} -m ensurepip",
                program.display()
            ),
            Self::VenvVersion { path, .. } => format!(
                "build for the environment's own interpreter: --python {}",
                path.join("bin").join("python").display()
            ),
            Self::NameNotUnicode { .. } => "rename the file".to_owned(),
            Self::Conflict { .. } => "leave one of the two out; where they are for different \
                                      Pythons or platforms, build a bundle for each"
                .to_owned(),
            Self::UnknownPlatform { .. } => {
                "take it from the file name of a wheel for that platform".to_owned()
            }
            Self::VenvForPlatform { .. } => {
                "name requirements, which are resolved for each platform".to_owned()
            }
            Self::VenvForSeveral { .. } => {
                "name requirements, which are resolved for each, or one --python".to_owned()
            }
            Self::SameVersion { .. } => "leave one of the two out".to_owned(),
            Self::VersionsDiffer { distribution, .. } => {
                format!("require a version of `{distribution}` that all of them take")
            }
            Self::ReservedName { name, .. } if name == "__main__.py" => {
                "leave out -c, -e and -m, or the file".to_owned()
            }
            Self::ScriptNotFound { available, .. } if !available.is_empty() => {
                "name one of these with -c, or a module with -m".to_owned()
            }
            Self::ReservedName { .. } => "rename the file, or leave it out".to_owned(),
            Self::ModuleNotFound { .. } => {
                "name a module that is there with -m, or a function with -e MODULE:FUNCTION"
                    .to_owned()
            }
            Self::ScriptNotFound { .. } => {
                "name a module with -m, or a function with -e".to_owned()
            }
            Self::CompilerDied { .. } => {
                "leave the file out, or build for another Python with --python".to_owned()
            }
            _ => return None,
        };
        Some(text)
    }
}

/// What to do about a path that leads nowhere.
fn path_to_check(path: &Path) -> String {
    match std::env::current_dir() {
        Ok(directory) if path.is_relative() => {
            format!("check the path, which begins in `{}`", directory.display())
        }
        _ => "check the path".to_owned(),
    }
}

/// A program's output below a message.
fn indented(output: &str) -> String {
    (output.trim_end().lines()).map(|line| format!("\n    {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_tell_usage_failure_and_missing_entry_apart() {
        assert_eq!(BuildError::NothingToBuild.status(), 2);
        let missing = BuildError::input_missing("a wheel", Path::new("no/such.whl"));
        assert_eq!(missing.status(), 125);
        assert!(missing.next_step().is_some_and(|next| next.starts_with("check the path")));
        let script =
            BuildError::ScriptNotFound { name: "blakc".into(), available: vec!["black".into()] };
        assert_eq!(script.status(), 127);
        assert_eq!(script.to_string(), "find the script `blakc`: the bundle has `black`");
        assert_eq!(BuildError::Interrupted { signal: 2 }.status(), 130);
    }
}
