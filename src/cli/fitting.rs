//! Finding an interpreter that a bundle fits, where the one at hand does not.
//!
//! A bundle is for one version of Python. The programs `pythonX.Y`, `python3` and `python` on `PATH` are
//! asked what they are, and the first that fits and has mmport takes this process's place; next comes
//! the first that fits without it, for bundles that plain Python runs.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::bundle::{BuildInformation, Bundle, TargetPython};
use crate::embed::{LaunchError, entry_variables, identity};
use crate::native::Units;

use super::Failure;

/// Prints what [`Candidate`] holds.
const PROBE: &str = "\
import importlib.util, json, sys, sysconfig
print(json.dumps({
    'implementation': sys.implementation.name,
    'version': '%d.%d' % sys.version_info[:2],
    'soabi': sysconfig.get_config_var('SOABI') or '',
    'platform': sysconfig.get_platform(),
    'has_mmport': importlib.util.find_spec('mmport') is not None,
}))";

/// Set for the programs that are asked, lest they search too.
const SEARCHING: &str = "MMPORT_SEARCHING";
/// How long an interpreter may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many bytes its answer may have.
const LONGEST_ANSWER: u64 = 4096;

/// What an interpreter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Candidate {
    implementation: String,
    version: String,
    soabi: String,
    platform: String,
    has_mmport: bool,
}

impl Candidate {
    fn fits(&self, target: &TargetPython) -> bool {
        self.implementation == target.implementation
            && self.version == target.version
            && (!target.native || (self.soabi == target.soabi && self.platform == target.platform))
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mmport = if self.has_mmport { "with" } else { "without" };
        write!(
            formatter,
            "{} {} for {}, {mmport} mmport",
            self.implementation, self.version, self.platform
        )
    }
}

/// An interpreter that was asked, its answer, and whether the bundle fits it.
struct Tried {
    executable: PathBuf,
    answer: Option<Candidate>,
    fits: bool,
}

impl Tried {
    fn has_mmport(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.has_mmport)
    }
}

/// Runs the bundle at `path`, which does not fit this Python, by one that it fits; comes back with what
/// was tried when there is none.
pub(super) fn run_elsewhere(
    path: &OsStr,
    entry: Option<&str>,
    arguments: &[OsString],
    misfit: LaunchError,
) -> Failure {
    let Some((bundle, information)) = look_into(Path::new(path)) else { return misfit.into() };
    if env::var_os(SEARCHING).is_some() {
        // One of the candidates is a program that runs this bundle.
        return misfit.into();
    }
    let targets = information.targets();
    let mut tried: Vec<Tried> = Vec::new();
    for executable in candidates(targets.iter().map(|target| &*target.version)) {
        let answer = ask(&executable);
        let fits = answer.as_ref().is_some_and(|it| targets.iter().any(|target| it.fits(target)));
        let found = Tried { executable, answer, fits };
        if fits && found.has_mmport() {
            let mut command = Command::new(&found.executable);
            command.args(["-m", "mmport", "run"]);
            command.args(entry.iter().flat_map(|entry| ["--entry", entry]));
            return replaced_by(command.arg(path).args(arguments), &found, misfit);
        }
        tried.push(found);
    }
    let fitting = tried.iter().find(|tried| tried.fits);
    // Plain Python knows nothing of what is asked for by variables.
    if entry.is_none()
        && !entry_variables().any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
        && runs_by_itself(&bundle)
        && let Some(found) = fitting
    {
        let mut command = Command::new(&found.executable);
        return replaced_by(command.arg(path).args(arguments), found, misfit);
    }
    none_fits(misfit, &tried, fitting)
}

fn look_into(path: &Path) -> Option<(Bundle, BuildInformation)> {
    let bundle = Bundle::open(path, identity::suffixes(0)).ok()?;
    let information = bundle.information().ok()??.clone();
    Some((bundle, information))
}

/// Whether plain Python can run a bundle: it has a `__main__`, and nothing that has to be a real file.
fn runs_by_itself(bundle: &Bundle) -> bool {
    let needs_files = || -> Option<bool> {
        let units = Units::of_bundle(bundle.information().ok()?, bundle.path()).ok()?;
        Some(!units.materialized(bundle).ok()?.is_empty() || bundle.has_libraries())
    };
    bundle.find("", "__main__").is_some() && needs_files() == Some(false)
}

/// The interpreters on `PATH`, those first that are named for one of `versions`; each once.
fn candidates<'versions>(versions: impl Iterator<Item = &'versions str>) -> Vec<PathBuf> {
    let names = versions.map(|version| format!("python{version}"));
    let names: Vec<String> = names.chain(["python3".into(), "python".into()]).collect();
    let search = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = env::split_paths(&search).collect();
    let mut known = BTreeSet::new();
    names
        .iter()
        .flat_map(|name| directories.iter().map(move |directory| directory.join(name)))
        // A virtual environment's Python is a link to its base, and has other packages: links to
        // the same file count as one only where they are in the same directory.
        .filter(|path| {
            let directory = path.parent().map(Path::to_owned);
            path.is_file() && path.canonicalize().is_ok_and(|file| known.insert((directory, file)))
        })
        .collect()
}

/// What an interpreter answers, if it does so in a short time and in few words.
fn ask(executable: &Path) -> Option<Candidate> {
    let mut child = Command::new(executable)
        .args(["-c", PROBE])
        .env(SEARCHING, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut answer = Vec::new();
        let read = stdout.take(LONGEST_ANSWER).read_to_end(&mut answer);
        // Nobody waits any more where this took too long.
        let _ = sender.send(read.map(|_| answer));
    });
    let answer = receiver.recv_timeout(PATIENCE);
    // It has answered, or is not going to.
    let _ = child.kill();
    let _ = child.wait();
    serde_json::from_slice(&answer.ok()?.ok()?).ok()
}

/// Puts another program in this process's place; comes back only if that fails.
fn replaced_by(command: &mut Command, found: &Tried, misfit: LaunchError) -> Failure {
    tracing::info!(
        target: "mmport::launch",
        python = %found.executable.display(),
        "the bundle does not fit this Python; run by another"
    );
    let error = command.exec();
    let mut failure = Failure::from(misfit);
    failure
        .message
        .push_str(&format!("; starting `{}` instead failed: {error}", found.executable.display()));
    failure
}

fn none_fits(misfit: LaunchError, tried: &[Tried], fitting: Option<&Tried>) -> Failure {
    let mut failure = Failure::from(misfit);
    let described = tried.iter().map(|tried| {
        let executable = tried.executable.display();
        match &tried.answer {
            Some(answer) => format!("`{executable}` ({answer})"),
            None => format!("`{executable}` (does not answer)"),
        }
    });
    let described: Vec<String> = described.collect();
    failure.message.push_str(&match described.is_empty() {
        true => "; there is no other python on PATH".to_owned(),
        false => format!("; tried instead: {}", described.join(", ")),
    });
    if let Some(Tried { executable, .. }) = fitting {
        failure.next_step = Some(format!(
            "install mmport for `{}`, which fits: plain Python runs only bundles with an entry point \
             of their own and without real files",
            executable.display()
        ));
    }
    failure
}
