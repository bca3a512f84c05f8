//! The environment of a bundle: what stands in for the virtual environment that it replaces.
//!
//! `sys.executable` of a bundle's process has to be a Python that, started again, has the same
//! bundle: pools of processes, reloaders and `subprocess` rely on it. So each bundle gets a
//! directory like that of a virtual environment, which is `sys.prefix` too:
//!
//! ```text
//! ROOT/environments-v1/KEY/bin/python   symbolic link to mmport (also python3, python3.N)
//! ROOT/environments-v1/KEY/bin/SCRIPT   link to the bundle, once the script was run by its name
//! ROOT/environments-v1/KEY/pyvenv.cfg   as in a virtual environment, and `mmport-bundle = PATH`
//! ROOT/environments-v1/KEY/in-use       locked by every process that uses the environment
//! ROOT/environments-v1/KEY/share        link to what the bundle has for `sys.prefix`, if anything
//! ```
//!
//! `KEY` is the blake3 hash of mmport's and the bundle's paths, and, where the bundle has something for
//! `sys.prefix`, of its contents: programs that run from a bundle that was replaced keep theirs. mmport, started by a name that
//! begins with `python`, looks for `../pyvenv.cfg` beside it, as CPython does. Nothing goes through
//! environment variables, so no unrelated child program sees the bundle. Where the directory cannot
//! be made, `sys.executable` is the plain Python.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, BundleEntryPoint};
use crate::native::{
    InUse, create_private, directories_in, is_hidden, is_own_directory, store_roots, tree_key,
};

use super::bundled_python::{BundledPython, program};
use super::entry::Start;
use super::identity::{EXECUTABLE, FULL_VERSION, VERSION};
use super::linked::{executable_of, started_file};

/// The version of the layout.
const LAYOUT: &str = "environments-v1";
/// The file by which CPython knows a virtual environment.
pub(super) const CONFIGURATION: &str = "pyvenv.cfg";
/// The key in it that names the bundle; CPython ignores what it does not know.
const BUNDLE_KEY: &str = "mmport-bundle";

/// Directories of an environment that installers write into: what a bundle has for them is linked one
/// level deeper.
const SHARED: [&str; 3] = ["lib", "lib64", "include"];
/// How often an environment is made that somebody removes.
const ATTEMPTS: usize = 16;

/// The environment of one bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleEnvironment {
    /// `sys.prefix`
    pub prefix: PathBuf,
    /// `sys.executable`
    pub executable: PathBuf,
}

impl BundleEnvironment {
    /// Whether the directory is there, so that `site` finds what it finds in a virtual environment.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.executable.starts_with(&self.prefix)
    }

    /// The environment of a bundle that was opened by its absolute path; made when it is not there,
    /// and in use until this process ends.
    #[must_use]
    pub fn of_bundle(bundle: &Bundle) -> Self {
        Self::find_or_make(bundle).unwrap_or_else(|error| {
            tracing::debug!(
                target: "mmport::environment", %error, "sys.executable is the plain python"
            );
            // A standalone executable has no plain Python: none is better than one that would run the
            // executable again.
            let executable = match BundledPython::of(bundle) {
                Some(_) => PathBuf::new(),
                None => EXECUTABLE.into(),
            };
            // No directory, so that `site` finds no site-packages in it.
            Self { prefix: bundle.path().to_owned(), executable }
        })
    }

    /// Links the directories of the data scheme, by name and place, into the environment, as a
    /// virtual environment has them (`sys.prefix/share`).
    pub(super) fn link_data(&self, directories: &[(&str, PathBuf)]) {
        for (name, place) in directories {
            let link = self.prefix.join(name);
            if !SHARED.contains(name) {
                make_link(place, &link);
                continue;
            }
            let _ = fs::create_dir(&link);
            for entry in fs::read_dir(place).into_iter().flatten().filter_map(Result::ok) {
                make_link(&entry.path(), &link.join(entry.file_name()));
            }
        }
    }

    /// `sys.argv[0]` of what is started of the bundle that was called by `path`. A script that was asked
    /// for by its name has a path in the environment, as in a virtual environment, by which it is
    /// started again: a link to the bundle.
    pub(super) fn program_of(&self, start: &Start, bundle: &Bundle, path: &OsStr) -> OsString {
        let Start::Entry(BundleEntryPoint::Script { name, .. }) = start else { return path.into() };
        let is_called_so = Path::new(path).file_name().is_some_and(|file| file == name.as_str());
        if is_called_so || !self.is_made() || name.contains('/') {
            return path.into();
        }
        let link = self.executable.with_file_name(name);
        let leads_there = || fs::read_link(&link).is_ok_and(|found| found == bundle.path());
        if !leads_there() {
            // There is something else, as for a script that is named as Python is.
            let _ = std::os::unix::fs::symlink(bundle.path(), &link);
        }
        if leads_there() { link.into() } else { path.into() }
    }

    fn find_or_make(bundle: &Bundle) -> io::Result<Self> {
        let mmport = program().ok_or_else(|| io::Error::other("this program has no path"))?;
        Self::in_first_place(&mmport, bundle, |environment| {
            environment.use_or_make(&mmport, || {
                let base = match BundledPython::of(bundle) {
                    Some(_) => &environment.executable,
                    None => Path::new(EXECUTABLE),
                };
                let home = base.parent().unwrap_or(Path::new("/"));
                make_environment(environment, &mmport, home, bundle.path(), |_| Ok(()))
            })
        })
    }

    /// The environment of a bundle in the first of the store's roots in which `make` makes it, for the
    /// mmport at `mmport`.
    pub(super) fn in_first_place(
        mmport: &Path,
        bundle: &Bundle,
        make: impl Fn(&Self) -> io::Result<()>,
    ) -> io::Result<Self> {
        let key = key_of_environment(mmport, bundle)?;
        let mut failed = io::Error::other("no directory is known");
        for root in store_roots() {
            if root.exists() && !is_own_directory(&root) {
                failed = io::Error::other("the cache belongs to somebody else");
                continue;
            }
            let prefix = root.join(LAYOUT).join(&key);
            let environment = Self { executable: prefix.join("bin/python"), prefix };
            match make(&environment) {
                Ok(()) => return Ok(environment),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Uses the environment, if its `bin/python` links to `target`, or the one that `make` makes.
    pub(super) fn use_or_make(
        &self,
        target: &Path,
        make: impl Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let is_made = fs::read_link(&self.executable).is_ok_and(|found| found == target);
            if !is_made {
                make()?;
            }
            if self.keep() {
                return Ok(());
            }
        }
        Err(io::Error::other("the environment is being removed again and again"))
    }

    /// Keeps the environment from being removed as long as this process lives; says whether it is
    /// there.
    fn keep(&self) -> bool {
        match InUse::make(&self.prefix) {
            Ok(Some(in_use)) => std::mem::forget(in_use),
            // Being removed.
            Ok(None) => return false,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return false,
            // A read-only file system, say, where nobody removes anything.
            Err(_) => {}
        }
        true
    }
}

/// The name of the environment of a bundle that was opened by its absolute path, for the mmport at
/// `mmport`.
fn key_of_environment(mmport: &Path, bundle: &Bundle) -> io::Result<String> {
    // Such a path cannot be a value in `pyvenv.cfg`.
    let text = bundle.path().to_string_lossy();
    if text.contains('\n') || text.trim() != text {
        return Err(io::Error::other(
            "the bundle's path has white space at its ends, or two lines",
        ));
    }
    let mut hasher = blake3::Hasher::new();
    for path in [mmport, bundle.path()] {
        hasher.update(path.as_os_str().as_bytes());
        hasher.update(b"\0");
    }
    if matches!(bundle.information(), Ok(Some(information)) if !information.data.is_empty()) {
        hasher.update(tree_key(bundle).as_bytes());
    }
    Ok(hasher.finalize().to_hex().as_str()[..32].to_owned())
}

/// Makes an environment beside its place and renames it there, so that it is whole or absent.
/// `bin/python` and its other names link to `target`; `home` is where the base Python's executable
/// is; `fill` adds the rest.
pub(super) fn make_environment(
    environment: &BundleEnvironment,
    target: &Path,
    home: &Path,
    bundle: &Path,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let parent = environment.prefix.parent().unwrap_or(&environment.prefix);
    create_private(parent)?;
    let staging = tempfile::Builder::new().prefix(".staging-").tempdir_in(parent)?;
    let staged = staging.path().join("environment");
    let bin = staged.join("bin");
    fs::create_dir_all(&bin)?;
    let configuration = format!(
        "home = {}\ninclude-system-site-packages = false\nversion = {FULL_VERSION}\n\
         {BUNDLE_KEY} = {}\n",
        home.display(),
        bundle.display()
    );
    fs::write(staged.join(CONFIGURATION), configuration)?;
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

/// Makes `link` lead to `target`, unless it does.
fn make_link(target: &Path, link: &Path) {
    if fs::read_link(link).is_ok_and(|found| found == target) {
        return;
    }
    if let Err(error) = replace_link(target, link) {
        tracing::warn!(
            target: "mmport::environment", %error, link = %link.display(), "not linked"
        );
    }
}

/// Makes `link` lead to `target`, complete at every moment. What is no link is left alone.
fn replace_link(target: &Path, link: &Path) -> io::Result<()> {
    if link.symlink_metadata().is_ok_and(|metadata| !metadata.is_symlink()) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    let parent = link.parent().unwrap_or(link);
    let staging = tempfile::Builder::new().prefix(".staging-").tempdir_in(parent)?;
    let staged = staging.path().join("link");
    std::os::unix::fs::symlink(target, &staged)?;
    fs::rename(&staged, link)
}

/// If mmport was started as the `python` of a bundle's environment: that bundle, and the path that
/// it was started by. `program` is the first argument of the process.
/// Whoever starts the process may choose that freely, so the file that was started counts as well.
#[must_use]
pub fn bundle_of_executable(program: &OsStr) -> Option<(PathBuf, BundleEnvironment)> {
    [Some(program), started_file()].into_iter().flatten().find_map(bundle_of_program)
}

fn bundle_of_program(program: &OsStr) -> Option<(PathBuf, BundleEnvironment)> {
    let path = Path::new(program);
    if !path.file_name()?.as_bytes().starts_with(b"python") {
        return None;
    }
    let executable = executable_of(program)?;
    let prefix = executable.parent()?.parent()?.to_owned();
    let bundle = bundle_of_environment(&prefix)?;
    let environment = BundleEnvironment { prefix, executable };
    environment.keep();
    Some((bundle, environment))
}

/// The bundle that the environment at `prefix` belongs to.
pub(super) fn bundle_of_environment(prefix: &Path) -> Option<PathBuf> {
    let configuration = fs::read_to_string(prefix.join(CONFIGURATION)).ok()?;
    let bundle = configuration.lines().find_map(|line| {
        line.strip_prefix(BUNDLE_KEY)?.trim_start().strip_prefix('=').map(str::trim)
    })?;
    Some(bundle.into())
}

/// The environments below `root`, each with its bundle.
#[must_use]
pub fn cached_environments(root: &Path) -> Vec<(PathBuf, Option<PathBuf>)> {
    directories_in(&root.join(LAYOUT))
        .filter(|path| !is_hidden(path))
        .map(|prefix| {
            let bundle = bundle_of_environment(&prefix);
            (prefix, bundle)
        })
        .collect()
}
