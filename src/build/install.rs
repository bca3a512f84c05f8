//! Resolving and installing, which are an installer's: `uv` where it is on `PATH`, else the target
//! interpreter's `pip`.
//!
//! Everything that is asked for goes into one call, so that it is resolved together. What the
//! installer writes to its error stream is passed on line by line as it comes; a quiet build
//! keeps it for the error.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::error::BuildError;
use super::interpreter::Interpreter;
use super::interruption::Interruption;
use super::platform::Platform;
use super::progress::Progress;
use super::request::BuildRequest;

/// Variable that names the installer to use.
const INSTALLER_VARIABLE: &str = "MMPORT_INSTALLER";

/// How often to look whether the installer has ended or the build was interrupted.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// How long an interrupted installer gets to clean up.
const GRACE: Duration = Duration::from_secs(5);

/// A program that resolves and installs requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Installer {
    /// `uv pip install`.
    Uv,
    /// The target interpreter's `python -m pip install`.
    Pip,
}

impl Installer {
    /// The installer that `MMPORT_INSTALLER` names, if it is set.
    ///
    /// # Errors
    ///
    /// [`BuildError::UnknownInstaller`].
    pub fn from_environment() -> Result<Option<Self>, BuildError> {
        match env::var_os(INSTALLER_VARIABLE) {
            None => Ok(None),
            Some(value) if value.is_empty() => Ok(None),
            Some(value) if value == "uv" => Ok(Some(Self::Uv)),
            Some(value) if value == "pip" => Ok(Some(Self::Pip)),
            Some(value) => {
                Err(BuildError::UnknownInstaller { found: value.to_string_lossy().into_owned() })
            }
        }
    }

    /// The installer that is there.
    fn find(interpreter: &Interpreter) -> Result<Self, BuildError> {
        let starts = |program: &OsStr, arguments: &[&str]| {
            (Command::new(program).args(arguments))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        if starts(OsStr::new("uv"), &["--version"]) {
            return Ok(Self::Uv);
        }
        let python = interpreter.executable.as_os_str();
        if starts(python, &["-I", "-m", "pip", "--version"]) {
            return Ok(Self::Pip);
        }
        Err(BuildError::NoInstaller { program: interpreter.executable.clone() })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Uv => "`uv pip install`",
            Self::Pip => "`pip install`",
        }
    }

    /// The command up to where the requirements follow.
    fn command(
        self,
        interpreter: &Interpreter,
        platform: Option<&Platform>,
        target: &Path,
    ) -> Command {
        let mut command = self.command_here(interpreter, target);
        if let Some(platform) = platform {
            // Nothing can be built for another platform.
            command.args(["--only-binary", ":all:"]);
            match self {
                Self::Uv => command.args(["--python-platform", &platform.triple()]),
                Self::Pip => {
                    command.args(platform.tags().iter().flat_map(|tag| ["--platform", tag]))
                }
            };
        }
        command
    }

    fn command_here(self, interpreter: &Interpreter, target: &Path) -> Command {
        let python = &interpreter.executable;
        match self {
            Self::Uv => {
                let mut command = Command::new("uv");
                command
                    .args(["pip", "install", "--quiet", "--no-progress", "--python"])
                    .arg(python)
                    // Links would lead out of the target, into a cache that others may change.
                    .args(["--link-mode", "copy", "--no-compile-bytecode", "--target"])
                    .arg(target);
                command
            }
            Self::Pip => {
                let mut command = Command::new(python);
                command
                    // `-I`: a module in the working directory must not stand in for pip's.
                    .args(["-I", "-m", "pip", "install", "--quiet", "--no-input"])
                    .args(["--no-compile", "--no-warn-script-location"])
                    // Conflicts within the request still fail. What else is installed beside this
                    // pip has no part in the bundle.
                    .arg("--no-warn-conflicts")
                    .args(["--disable-pip-version-check", "--progress-bar", "off"])
                    .arg("--target")
                    .arg(target)
                    // A user's configuration may ask for `--user`, which excludes `--target`.
                    .env("PIP_USER", "0")
                    // The warning is about installing into the system, which this is not.
                    .env("PIP_ROOT_USER_ACTION", "ignore");
                command
            }
        }
    }
}

/// Installs what `request` asks for into `target`, for this platform or another one.
///
/// # Errors
///
/// [`BuildError::NoInstaller`], [`BuildError::Start`], [`BuildError::Install`] when the installer
/// fails, [`BuildError::Interrupted`].
pub(super) fn install(
    request: &BuildRequest,
    interpreter: &Interpreter,
    platform: Option<&Platform>,
    target: &Path,
    progress: &Progress,
) -> Result<(), BuildError> {
    let installer = match request.installer {
        Some(installer) => installer,
        None => Installer::find(interpreter)?,
    };
    let mut command = installer.command(interpreter, platform, target);
    command
        .args(requirement_arguments(request))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|source| {
        let program = Path::new(command.get_program()).to_owned();
        if installer == Installer::Uv && source.kind() == ErrorKind::NotFound {
            return BuildError::Start { program, role: "named by MMPORT_INSTALLER", source };
        }
        BuildError::Start { program, role: "to install the requirements", source }
    })?;

    let kept = Arc::new(Mutex::new(String::new()));
    let forwarding = child.stderr.take().map(|stderr| {
        let (kept, progress) = (Arc::clone(&kept), progress.clone());
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                let line = line.trim_end_matches('\r');
                if progress.is_silent() {
                    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                    kept.push_str(line);
                    kept.push('\n');
                } else {
                    progress.line(line);
                }
            }
        })
    });
    let status = wait(&mut child, &request.interruption).map_err(|source| BuildError::Start {
        program: Path::new(command.get_program()).to_owned(),
        role: "to install the requirements",
        source,
    })?;
    // An interrupted installer's own children may keep the pipe open: the build does not wait.
    request.interruption.check()?;
    if let Some(forwarding) = forwarding {
        // The thread only reads and prints; there is nothing to learn from how it ended.
        let _ = forwarding.join();
    }
    if status.success() {
        return Ok(());
    }
    let output = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let not_there = installer == Installer::Pip && output.contains("No module named pip");
    if not_there {
        return Err(BuildError::NoInstaller { program: interpreter.executable.clone() });
    }
    Err(BuildError::Install { installer: installer.name(), status: status.to_string(), output })
}

/// What is asked for, as both installers take it.
fn requirement_arguments(request: &BuildRequest) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::new();
    for file in &request.requirement_files {
        arguments.push("-r".into());
        arguments.push(file.into());
    }
    // Nothing after this is an option, whatever it begins with.
    arguments.push("--".into());
    arguments.extend(request.requirements.iter().map(OsString::from));
    for path in request.projects.iter().chain(&request.wheels) {
        // An installer takes a bare name such as `app` for a requirement; a full path is a path.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        arguments.push(path.into());
    }
    arguments
}

/// Waits for the installer, and ends it when the build is interrupted.
fn wait(child: &mut Child, interruption: &Interruption) -> std::io::Result<ExitStatus> {
    let mut deadline: Option<Instant> = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        match deadline {
            None if interruption.check().is_err() => {
                terminate(child);
                deadline = Some(Instant::now() + GRACE);
            }
            Some(deadline) if Instant::now() >= deadline => {
                child.kill()?;
                return child.wait();
            }
            _ => {}
        }
        thread::sleep(PATIENCE);
    }
}

/// Asks the installer to end, so that it can remove its temporary files.
#[cfg(unix)]
fn terminate(child: &Child) {
    use rustix::process::{Pid, Signal, kill_process};
    // It may have ended in the meantime, which is what was wanted.
    let _ = kill_process(Pid::from_child(child), Signal::TERM);
}

#[cfg(not(unix))]
fn terminate(_: &Child) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_into_one_call_and_paths_are_paths() {
        let mut request = BuildRequest::new("app.pyz".into(), "python3".into());
        request.requirements.push("black==24.1".into());
        request.requirement_files.push("requirements.txt".into());
        request.projects.push("app".into());
        let arguments = requirement_arguments(&request);
        assert_eq!(&arguments[..4], ["-r", "requirements.txt", "--", "black==24.1"]);
        assert!(Path::new(&arguments[4]).is_absolute());
    }

    #[cfg(unix)]
    #[test]
    fn an_interruption_ends_the_installer() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let interruption = Interruption::default();
        interruption.interrupt(15);
        let start = Instant::now();
        assert!(!wait(&mut child, &interruption).unwrap().success());
        assert!(start.elapsed() < GRACE);
    }
}
