//! What setuptools leaves in the folder of a project that it builds, and taking it away.
//!
//! Installers build a project where it is: a copy would be another one, whose version cannot be asked
//! of `.git`, and which has no neighbours to refer to. setuptools then leaves a folder `build` there,
//! with a copy of each module, and what is in it goes into the next wheel, modules that were deleted
//! since included. So what it has made is removed when it is done; what was there before stays.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::error::BuildError;
use super::install::PATIENCE;
use super::request::BuildRequest;

/// The folder that setuptools builds in.
const BUILD: &str = "build";

/// How the names of what setuptools makes in `build` begin.
const MADE_IN_BUILD: [&str; 4] = ["lib", "temp.", "bdist.", "scripts-"];

/// The folders of projects, as they were before an installer builds them.
#[derive(Debug)]
pub(super) struct Leftovers {
    projects: Vec<Project>,
}

/// A project's folder as it was.
#[derive(Debug)]
struct Project {
    folder: PathBuf,
    has_build: bool,
    made: BTreeSet<PathBuf>,
    /// Locked: another build of the project waits, or it would take our `build` for one that stays
    /// while we remove it.
    _lock: Option<File>,
}

impl Leftovers {
    /// Looks at the projects that are to be built.
    ///
    /// # Errors
    ///
    /// [`BuildError::Interrupted`].
    pub(super) fn before(request: &BuildRequest) -> Result<Self, BuildError> {
        let named = request.requirements.iter().map(|text| folder_of(text));
        let folders: BTreeSet<PathBuf> = (request.projects.iter().cloned().chain(named))
            .filter(|folder| is_project(folder))
            .filter_map(|folder| fs::canonicalize(folder).ok())
            .collect();
        // In the order of their names, so that two builds do not wait for each other.
        let look = |folder: PathBuf| {
            Ok(Project {
                _lock: lock(&folder, request)?,
                has_build: folder.join(BUILD).symlink_metadata().is_ok(),
                made: made_in(&folder),
                folder,
            })
        };
        Ok(Self { projects: folders.into_iter().map(look).collect::<Result<_, BuildError>>()? })
    }

    /// What a person should know of what stays.
    pub(super) fn warnings(&self) -> impl Iterator<Item = String> {
        let modules = self.projects.iter().flat_map(|project| &project.made).filter(|made| {
            made.parent().is_some_and(|parent| parent.ends_with(BUILD))
                && name_of(made).starts_with("lib")
        });
        modules.map(|made| {
            format!(
                "`{}` was there before: setuptools takes what is in it, deleted modules included",
                made.display()
            )
        })
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        // What cannot be removed stays, as without us.
        for project in &self.projects {
            for made in made_in(&project.folder).difference(&project.made) {
                let _ = fs::remove_dir_all(made);
            }
            if !project.has_build {
                let _ = fs::remove_dir(project.folder.join(BUILD));
            }
        }
    }
}

/// The folder that a requirement may name: `./folder[extra]` or `name @ file:///folder`.
fn folder_of(requirement: &str) -> PathBuf {
    let path = requirement.split_once("file://").map_or(requirement, |(_, path)| path);
    path.split(['[', '#', ';']).next().unwrap_or_default().trim().into()
}

fn is_project(folder: &Path) -> bool {
    folder.join("pyproject.toml").is_file() || folder.join("setup.py").is_file()
}

/// Locks a folder; where the file system has no locks, the build goes on without.
fn lock(folder: &Path, request: &BuildRequest) -> Result<Option<File>, BuildError> {
    let Ok(file) = File::open(folder) else { return Ok(None) };
    while flock(&file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK) {
        request.interruption.check()?;
        thread::sleep(PATIENCE);
    }
    Ok(Some(file))
}

/// What setuptools makes in a project: what it builds, and metadata at the root, or where the modules
/// are, such as in `src`.
fn made_in(folder: &Path) -> BTreeSet<PathBuf> {
    let is_built = |path: &PathBuf| MADE_IN_BUILD.iter().any(|it| name_of(path).starts_with(it));
    let built = folders_in(&folder.join(BUILD)).filter(is_built);
    let is_metadata = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "egg-info")
            && path.join("SOURCES.txt").is_file()
    };
    let inner = folders_in(folder).filter(|path| !name_of(path).starts_with('.'));
    let metadata = folders_in(folder).chain(inner.flat_map(|path| folders_in(&path)));
    built.chain(metadata.filter(is_metadata)).collect()
}

/// The folders in a folder, links left out.
fn folders_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.map(|entry| entry.path())
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A project with what setuptools makes, in the `src` layout.
    fn build(folder: &Path) {
        for file in [
            "build/lib/package/module.py",
            "build/bdist.linux-x86_64/x",
            "src/thing.egg-info/SOURCES.txt",
            "thing.egg-info/SOURCES.txt",
        ] {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
    }

    fn request(folder: &Path) -> BuildRequest {
        let mut request = BuildRequest::new("app.pyz".into(), "python3".into());
        request.projects = vec![folder.to_owned(), folder.join(".")];
        fs::write(folder.join("pyproject.toml"), "").unwrap();
        request
    }

    #[test]
    fn what_setuptools_has_made_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let request = request(folder.path());
        let leftovers = Leftovers::before(&request).unwrap();
        build(folder.path());
        assert_eq!(leftovers.warnings().count(), 0);
        drop(leftovers);
        let left: Vec<PathBuf> = folders_in(folder.path()).collect();
        assert_eq!(left, [folder.path().join("src")]);
        assert_eq!(folders_in(&left[0]).count(), 0);
    }

    #[test]
    fn what_was_there_before_stays_and_so_does_what_is_not_of_setuptools() {
        let folder = tempfile::tempdir().unwrap();
        let request = request(folder.path());
        build(folder.path());
        let leftovers = Leftovers::before(&request).unwrap();
        assert_eq!(leftovers.warnings().count(), 1);
        drop(leftovers);
        assert!(folder.path().join("build/lib/package/module.py").is_file());
        assert!(folder.path().join("src/thing.egg-info/SOURCES.txt").is_file());
        fs::remove_dir_all(folder.path().join("build")).unwrap();
        let leftovers = Leftovers::before(&request).unwrap();
        fs::create_dir_all(folder.path().join("build/html")).unwrap();
        build(folder.path());
        drop(leftovers);
        let left: Vec<PathBuf> = folders_in(&folder.path().join("build")).collect();
        assert_eq!(left, [folder.path().join("build/html")]);
    }

    #[test]
    fn requirements_name_folders_too() {
        for text in ["./thing", "./thing[extra]", "thing @ file://./thing", "./thing ; x == '1'"] {
            assert_eq!(folder_of(text), Path::new("./thing"), "{text}");
        }
    }
}
