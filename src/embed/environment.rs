//! The environment of a bundle: what stands in for the virtual environment that it replaces.
//!
//! `sys.executable` of a bundle's process has to be a Python that, started again, has the same
//! bundle: pools of processes, reloaders and `subprocess` rely on it. So each bundle gets a
//! directory like that of a virtual environment, which is `sys.prefix` too:
//!
//! ```text
//! ROOT/environments-v1/KEY/bin/python   symbolic link to mmport (also python3, python3.N)
//! ROOT/environments-v1/KEY/bundle       the bundle's absolute path
//! ```
//!
//! `KEY` is the blake3 hash of mmport's and the bundle's paths. mmport, started by a name that
//! begins with `python`, looks for `../bundle` beside it, as CPython looks for `../pyvenv.cfg`.
//! Nothing goes through environment variables, so no unrelated child program sees the bundle.
//! Where the directory cannot be made, `sys.executable` is the plain Python.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::native::{cache_root, create_private};

use super::identity::{EXECUTABLE, PREFIX, VERSION};

/// The version of the layout.
const LAYOUT: &str = "environments-v1";
/// Name of the file that holds the bundle's path.
const BUNDLE_FILE: &str = "bundle";

/// The environment of one bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleEnvironment {
    /// `sys.prefix`
    pub prefix: PathBuf,
    /// `sys.executable`
    pub executable: PathBuf,
}

impl BundleEnvironment {
    /// The environment of the bundle at the absolute path `bundle`; made when it is not there.
    #[must_use]
    pub fn of_bundle(bundle: &Path) -> Self {
        Self::find_or_make(bundle).unwrap_or_else(|error| {
            tracing::debug!(
                target: "mmport::environment", %error, "sys.executable is the plain python"
            );
            Self { prefix: PREFIX.into(), executable: EXECUTABLE.into() }
        })
    }

    fn find_or_make(bundle: &Path) -> io::Result<Self> {
        let mmport = std::env::current_exe()?;
        let prefix = place_of_environment(&mmport, bundle)?;
        let environment = Self { executable: prefix.join("bin/python"), prefix };
        if fs::read_link(&environment.executable).is_ok_and(|target| target == mmport) {
            return Ok(environment);
        }
        make_environment(&environment, &mmport, |staged| {
            fs::write(staged.join(BUNDLE_FILE), bundle.as_os_str().as_bytes())
        })?;
        Ok(environment)
    }
}

/// Where the environment of the bundle at the absolute path `bundle` is, for the mmport at `mmport`.
pub(super) fn place_of_environment(mmport: &Path, bundle: &Path) -> io::Result<PathBuf> {
    let root = cache_root().ok_or_else(|| io::Error::other("no home directory"))?;
    let mut hasher = blake3::Hasher::new();
    for path in [mmport, bundle] {
        hasher.update(path.as_os_str().as_bytes());
        hasher.update(b"\0");
    }
    let key = hasher.finalize().to_hex();
    Ok(root.join(LAYOUT).join(&key.as_str()[..32]))
}

/// Makes an environment beside its place and renames it there, so that it is whole or absent.
/// `bin/python` and its other names link to `target`; `fill` adds the rest.
pub(super) fn make_environment(
    environment: &BundleEnvironment,
    target: &Path,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let parent = environment.prefix.parent().unwrap_or(&environment.prefix);
    create_private(parent)?;
    let staging = tempfile::Builder::new().prefix(".staging-").tempdir_in(parent)?;
    let staged = staging.path().join("environment");
    let bin = staged.join("bin");
    fs::create_dir_all(&bin)?;
    fill(&staged)?;
    for name in ["python", "python3", &format!("python{VERSION}")] {
        std::os::unix::fs::symlink(target, bin.join(name))?;
    }
    let in_place = || fs::read_link(&environment.executable).is_ok_and(|link| link == target);
    match fs::rename(&staged, &environment.prefix) {
        Err(_) if in_place() => Ok(()), // Another process was first.
        // One that was made for a Python that has since moved.
        Err(_) => {
            fs::remove_dir_all(&environment.prefix)?;
            fs::rename(&staged, &environment.prefix)
        }
        Ok(()) => Ok(()),
    }
}

/// If mmport was started as the `python` of a bundle's environment: that bundle, and the path that
/// it was started by. `program` is the first argument of the process.
#[must_use]
pub fn bundle_of_executable(program: &OsStr) -> Option<(PathBuf, BundleEnvironment)> {
    let path = Path::new(program);
    if !path.file_name()?.as_bytes().starts_with(b"python") {
        return None;
    }
    let executable = if program.as_bytes().contains(&b'/') {
        std::path::absolute(path).ok()?
    } else {
        let search = std::env::var_os("PATH")?;
        std::env::split_paths(&search)
            .map(|directory| directory.join(path))
            .find(|candidate| candidate.is_file())?
    };
    let prefix = executable.parent()?.parent()?.to_owned();
    let bundle = fs::read(prefix.join(BUNDLE_FILE)).ok()?;
    Some((OsString::from_vec(bundle).into(), BundleEnvironment { prefix, executable }))
}
