//! `mmport link`: links to a bundle, named as the scripts in it, each of which starts that script.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::bundle::{Bundle, available_scripts, nearest_first};
use crate::embed::identity;

use super::Failure;
use super::cache::printable;
use super::failure::{FAILED, NOT_FOUND};
use super::inspect::print;

/// Arguments of `mmport link`.
#[derive(Debug, clap::Args)]
pub(super) struct LinkArguments {
    /// The bundle.
    bundle: PathBuf,

    /// The directory for the links; made if it is not there.
    directory: PathBuf,

    /// Only this script; repeatable.
    #[arg(long = "only", value_name = "NAME")]
    names: Vec<String>,

    /// Replace what is there under the name of a script.
    #[arg(long)]
    force: bool,
}

/// Makes the links, all or none.
pub(super) fn link(arguments: &LinkArguments) -> Result<(), Failure> {
    let path = fs::canonicalize(&arguments.bundle).unwrap_or_else(|_| arguments.bundle.clone());
    let bundle = Bundle::open(&path, identity::suffixes(0))?;
    let names = wanted(&bundle, &arguments.names)?;
    is_executable(bundle.path())?;
    fs::create_dir_all(&arguments.directory).map_err(|error| {
        failed("make", &arguments.directory, &error, Some("name a directory for the links"))
    })?;
    let links: Vec<PathBuf> = names.iter().map(|name| arguments.directory.join(name)).collect();
    for link in &links {
        check(link, bundle.path(), arguments.force)?;
    }
    let mut text = String::new();
    for link in links {
        if fs::read_link(&link).is_ok_and(|target| target == bundle.path()) {
            continue;
        }
        replace(&link, bundle.path()).map_err(|error| failed("make", &link, &error, None))?;
        let _ = writeln!(text, "{}", printable(&link));
    }
    print(text)
}

/// Checks that the bundle can be started by itself, as a link to it is.
fn is_executable(bundle: &Path) -> Result<(), Failure> {
    let mut start = [0; 2];
    let read = File::open(bundle).and_then(|mut file| file.read_exact(&mut start));
    if read.is_err() || start != *b"#!" {
        let error = io::Error::other("expected a first line that names mmport, found none");
        return Err(failed("link", bundle, &error, Some("build it without --no-shebang")));
    }
    let mode = bundle.metadata().map_or(0, |metadata| metadata.permissions().mode());
    if mode & 0o111 == 0 {
        let error = io::Error::other("expected a file that may be executed");
        return Err(failed("link", bundle, &error, Some("chmod +x")));
    }
    Ok(())
}

/// The names of the scripts to be linked.
fn wanted(bundle: &Bundle, only: &[String]) -> Result<Vec<String>, Failure> {
    let scripts = bundle.scripts()?.into_iter().filter(|script| script.entry_point().is_some());
    let is_file_name = |name: &String| !name.contains('/') && name != "." && name != "..";
    let names: Vec<String> = scripts.map(|script| script.name).filter(is_file_name).collect();
    let missing = match only {
        [] if names.is_empty() => Some(""),
        [] => None,
        only => only.iter().find(|name| !names.contains(name)).map(|name| &**name),
    };
    match missing {
        None if only.is_empty() => Ok(names),
        None => Ok(only.to_vec()),
        Some(name) => Err(Failure {
            status: NOT_FOUND,
            message: format!(
                "failed to link {} of `{}`: {}",
                match name {
                    "" => "scripts".to_owned(),
                    name => format!("the script `{}`", name.escape_debug()),
                },
                bundle.path().display(),
                available_scripts(&nearest_first(name, names))
            ),
            next_step: Some("`mmport inspect` shows what is in it".into()),
        }),
    }
}

/// Whether a link may be made.
fn check(link: &Path, bundle: &Path, force: bool) -> Result<(), Failure> {
    let is_ours = fs::read_link(link).is_ok_and(|target| target == bundle);
    if is_ours || link.symlink_metadata().is_err() {
        return Ok(());
    }
    if link.is_dir() && !link.is_symlink() {
        let error = io::Error::other("expected nothing or a file, found a directory");
        return Err(failed("link", link, &error, None));
    }
    if force {
        return Ok(());
    }
    let error = io::Error::other("expected nothing or a link to the bundle, found something else");
    Err(failed("link", link, &error, Some("use --force to replace it")))
}

/// Makes `link` lead to `bundle`, whatever it was; complete at every moment.
fn replace(link: &Path, bundle: &Path) -> io::Result<()> {
    let parent = link.parent().unwrap_or(link);
    let staging = tempfile::Builder::new().prefix(".mmport-").tempdir_in(parent)?;
    let staged = staging.path().join("link");
    symlink(bundle, &staged)?;
    fs::rename(staged, link)
}

fn failed(verb: &str, path: &Path, error: &io::Error, next_step: Option<&str>) -> Failure {
    Failure {
        status: FAILED,
        message: format!("failed to {verb} `{}`: {error}", path.display()),
        next_step: next_step.map(str::to_owned),
    }
}
