//! `mmport run --with`: bundles of requirements, built into the cache when they are first asked for.
//!
//! `ROOT/bundles-v1/KEY/NAME`, where `KEY` is the blake3 hash of everything that was asked for
//! (mmport's version, the interpreter, the requirements in their order, the script) and `NAME` is
//! the script's, so that a program which shows the name it was called by shows that. A cached
//! bundle is used until `--refresh`, but for requirements that name a place on this machine.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::build::{BuildRequest, Installer, Interruption, Progress, RequestedEntryPoint, build};
use crate::embed::identity;
use crate::native::{create_private, is_own_directory};

use super::cache::cache_directory;
use super::failure::FAILED;
use super::{Failure, Host};

/// The version of the layout.
pub(super) const LAYOUT: &str = "bundles-v1";

/// What a cached bundle is made of.
pub(super) struct WithRequest<'request> {
    /// Requirement specifiers.
    pub requirements: &'request [String],
    /// The console script that it runs; without one it acts as Python.
    pub script: Option<&'request str>,
    /// Build it even if it is cached.
    pub refresh: bool,
    /// Say nothing while it is built.
    pub quiet: bool,
}

/// A cached bundle.
pub(super) struct CachedBundle {
    /// Where it is.
    pub path: PathBuf,
    /// Whether this process has just built it, and so has threads and signal handlers that a
    /// program should not inherit: [`restart`] then.
    pub is_new: bool,
}

/// The cached bundle for a request, built when there is none.
pub(super) fn bundle_with(request: &WithRequest, host: Host) -> Result<CachedBundle, Failure> {
    let python = host.python()?;
    let path = place(request, &python)?;
    if path.is_file() && !request.refresh && !request.requirements.iter().any(|r| is_local(r)) {
        return Ok(CachedBundle { path, is_new: false });
    }
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(not_written(&path)(io::ErrorKind::InvalidInput.into()));
    };
    let staging = stage(directory).map_err(not_written(directory))?;
    let staged = staging.path().join(name);
    let progress = if request.quiet { Progress::silent() } else { Progress::on_standard_error() };
    let build_request = BuildRequest {
        requirements: request.requirements.to_vec(),
        entry: request.script.map(|script| RequestedEntryPoint::Script(script.to_owned())),
        installer: Installer::from_environment()?,
        interruption: Interruption::from_signals()?,
        ..BuildRequest::new(staged.clone(), python)
    };
    build(&build_request, &progress)?;
    create_private(directory)
        .and_then(|()| fs::rename(&staged, &path))
        .map_err(not_written(directory))?;
    Ok(CachedBundle { path, is_new: true })
}

/// A directory beside `directory` to build in, which is removed whatever comes of it: `directory`
/// exists only with a bundle in it.
fn stage(directory: &Path) -> io::Result<tempfile::TempDir> {
    let layout = directory.parent().unwrap_or(directory);
    create_private(layout)?;
    tempfile::Builder::new().prefix(".staging-").tempdir_in(layout)
}

/// The failure to write into the cache.
fn not_written(path: &Path) -> impl FnOnce(io::Error) -> Failure + use<'_> {
    move |error| Failure {
        status: FAILED,
        message: format!("failed to write `{}`: {error}", path.display()),
        next_step: Some("set MMPORT_ROOT to a directory that you may write to".into()),
    }
}

/// Whether a requirement names a place on this machine, whose content may change at any time.
fn is_local(requirement: &str) -> bool {
    let path = requirement.split('[').next().unwrap_or(requirement);
    let looks_like_a_path = path.contains('/')
        || path.starts_with('.')
        || [".whl", ".tar.gz", ".zip"].iter().any(|suffix| path.ends_with(suffix));
    requirement.contains("file:") || (looks_like_a_path && Path::new(path).exists())
}

fn place(request: &WithRequest, python: &Path) -> Result<PathBuf, Failure> {
    let root = cache_directory()?;
    if root.exists() && !is_own_directory(&root) {
        return Err(Failure {
            status: FAILED,
            message: format!(
                "failed to use the cache `{}`: expected a directory of this user's that not \
                 everybody may write to, found another",
                root.display()
            ),
            next_step: Some("set MMPORT_ROOT to a directory of your own".into()),
        });
    }
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &[u8]| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    };
    add(env!("CARGO_PKG_VERSION").as_bytes());
    add(identity::FULL_VERSION.as_bytes());
    add(python.as_os_str().as_bytes());
    add(request.script.unwrap_or_default().as_bytes());
    for requirement in request.requirements {
        add(requirement.as_bytes());
        if is_local(requirement)
            && let Ok(directory) = std::env::current_dir()
        {
            add(directory.as_os_str().as_bytes());
        }
    }
    let key = hasher.finalize().to_hex();
    let name = request.script.unwrap_or("python");
    // A script's name may not lead out of the directory; one with a slash is not found anyway.
    let name = name.replace('/', "_");
    Ok(root.join(LAYOUT).join(&key.as_str()[..32]).join(name))
}

/// Replaces this process by a fresh one that runs `arguments` of `mmport`.
pub(super) fn restart(arguments: &[OsString], host: Host) -> Failure {
    let error = match host {
        Host::Embedded => match std::env::current_exe() {
            Ok(mmport) => std::process::Command::new(mmport).args(arguments).exec(),
            Err(error) => error,
        },
        Host::Running => match host.python() {
            Ok(python) => {
                std::process::Command::new(python).args(["-m", "mmport"]).args(arguments).exec()
            }
            Err(failure) => return failure,
        },
    };
    Failure {
        status: FAILED,
        message: format!("failed to start mmport again: {error}"),
        next_step: None,
    }
}
