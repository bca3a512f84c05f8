//! One bundle for several Pythons and platforms.
//!
//! The requirements are resolved and installed for each, and all that comes of it goes into one tree:
//! files that are the same once, bytecode and extension modules under names that tell for which Python
//! they are, as in a directory that several Pythons share. Files that differ have no place beside each
//! other, and are an error; so are different versions of a distribution. What only one of them requires
//! (a backport) is there for all. For platforms other than this one, wheels are chosen by their tags.

use std::collections::BTreeMap;
use std::env;

use tempfile::TempDir;

use super::error::BuildError;
use super::install::install;
use super::interpreter::Interpreter;
use super::leftovers::Leftovers;
use super::names;
use super::platform::Platform;
use super::progress::Progress;
use super::request::BuildRequest;
use super::tree::Tree;
use crate::bundle::{SiteSetup, TargetPython, is_metadata_directory};

/// The interpreters that a bundle is for.
#[derive(Debug)]
pub(super) struct Interpreters {
    /// The one whose bytecode lies beside the sources.
    pub first: Interpreter,
    /// Those whose bytecode lies in `__pycache__`.
    pub others: Vec<Interpreter>,
    /// Platforms that all of them are for, besides this one.
    platforms: Vec<Platform>,
}

/// An interpreter on a platform: this one, or another.
pub(super) type InstalledFor<'a> = (&'a Interpreter, Option<&'a Platform>);

impl Interpreters {
    /// Asks all that were named what they are.
    ///
    /// # Errors
    ///
    /// Those of [`Interpreter::probe`], and [`BuildError::SameVersion`].
    pub(super) fn probe(request: &BuildRequest) -> Result<Self, BuildError> {
        let first = Interpreter::probe(&request.python)?;
        let mut others: Vec<Interpreter> = Vec::new();
        for path in &request.also {
            let other = Interpreter::probe(path)?;
            let same = [&first].into_iter().chain(&others);
            if let Some(same) = same.into_iter().find(|it| it.cache_tag == other.cache_tag) {
                return Err(BuildError::SameVersion {
                    first: same.executable.clone(),
                    second: other.executable.clone(),
                    version: format!("{} {}", other.implementation, other.version()),
                });
            }
            others.push(other);
        }
        Ok(Self { first, others, platforms: request.platforms.clone() })
    }

    /// All of them, the first one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Interpreter> {
        [&self.first].into_iter().chain(&self.others)
    }

    /// Each of them on each platform; the first one here comes first.
    pub(super) fn installations(&self) -> impl Iterator<Item = InstalledFor<'_>> {
        let platforms = || [None].into_iter().chain(self.platforms.iter().map(Some));
        self.all().flat_map(move |it| platforms().map(move |platform| (it, platform)))
    }

    /// What they are, but for the first one here; platforms matter to `native` code only.
    pub(super) fn further_targets(&self, native: bool) -> Vec<TargetPython> {
        let further = self.installations().skip(1);
        further
            .filter(|(_, platform)| native || platform.is_none())
            .map(|(interpreter, platform)| match platform {
                Some(platform) => platform.target(interpreter),
                None => interpreter.target(native),
            })
            .collect()
    }

    /// Which of several Pythons and platforms something is for, for messages; empty where there is
    /// one.
    pub(super) fn told(&self, (interpreter, platform): InstalledFor) -> String {
        match (self.others.is_empty(), platform) {
            (true, None) => String::new(),
            (_, None) => format!(" for {}", described(interpreter)),
            (_, Some(platform)) => format!(" for {} on {}", described(interpreter), platform.tag()),
        }
    }

    /// The endings of the file names of all their extension modules.
    pub(super) fn extension_suffixes(&self) -> Vec<String> {
        let mut suffixes: Vec<String> =
            self.all().flat_map(|interpreter| interpreter.extension_suffixes.clone()).collect();
        // The most specific first, as each has them.
        suffixes.sort_by_key(|suffix| std::cmp::Reverse(suffix.len()));
        suffixes.dedup();
        suffixes
    }
}

/// Installs the requirements, if there are any, once for each interpreter and platform.
///
/// # Errors
///
/// Those of [`install`], and [`BuildError::TemporaryDirectory`].
pub(super) fn install_for_each(
    request: &BuildRequest,
    interpreters: &Interpreters,
    progress: &Progress,
    warnings: &mut Vec<String>,
) -> Result<Vec<Option<TempDir>>, BuildError> {
    let mut installed = Vec::new();
    for installation in interpreters.installations() {
        let (interpreter, platform) = installation;
        if !request.needs_installer() {
            installed.push(None);
            continue;
        }
        let target = TempDir::with_prefix("mmport-build-")
            .map_err(|source| BuildError::TemporaryDirectory { path: env::temp_dir(), source })?;
        progress.begin(&format!("resolving and installing{}", interpreters.told(installation)));
        let leftovers = Leftovers::before(request)?;
        install(request, interpreter, platform, target.path(), progress)?;
        warnings.extend(leftovers.warnings());
        installed.push(Some(target));
    }
    Ok(installed)
}

fn described(interpreter: &Interpreter) -> String {
    format!("{} {}", interpreter.implementation, interpreter.version())
}

/// Adds to `tree`, which was made for the first of `interpreters`, what was made for `other`.
///
/// # Errors
///
/// [`BuildError::VersionsDiffer`], [`BuildError::Conflict`], [`BuildError::Read`].
pub(super) fn merge(
    tree: &mut Tree,
    another: Tree,
    interpreters: &Interpreters,
    other: InstalledFor,
) -> Result<(), BuildError> {
    let known = versions(tree);
    for (distribution, version) in versions(&another) {
        match known.get(&distribution) {
            Some(there) if *there != version => {
                return Err(BuildError::VersionsDiffer {
                    distribution,
                    first: format!("{there} for {}", described(&interpreters.first)),
                    second: format!("{version}{}", interpreters.told(other)),
                });
            }
            _ => {}
        }
    }
    let empty: Vec<String> = another.empty_directories().map(str::to_owned).collect();
    empty.into_iter().for_each(|name| tree.add_empty_directory(name));
    for (name, item) in another.into_files() {
        let is_list =
            names::is_metadata(&name) && ["RECORD", "WHEEL"].contains(&names::file_name(&name));
        match tree.get(&name).filter(|_| is_list) {
            Some(there) => {
                let text = joined(&there.content.read()?, &item.content.read()?);
                tree.set(&name, text);
            }
            None => tree.add(name, item)?,
        }
    }
    Ok(())
}

/// The lines of both, each once: the rows of a `RECORD`, the tags of a `WHEEL`. Of rows that differ in
/// hash and size, the path is what counts; the rest is made anew.
fn joined(first: &[u8], second: &[u8]) -> Vec<u8> {
    let known: Vec<&[u8]> = lines(first).collect();
    let added = lines(second).filter(|line| !known.contains(line));
    let mut text = known.iter().copied().chain(added).collect::<Vec<_>>().join(&b'\n');
    text.push(b'\n');
    text
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// The versions of the distributions in a tree, by normalized name.
fn versions(tree: &Tree) -> BTreeMap<String, String> {
    let directories = tree.names().filter_map(|name| Some(name.split_once('/')?.0));
    directories
        .filter(|directory| is_metadata_directory(directory))
        .filter_map(|directory| {
            let stem = directory.rsplit_once('.')?.0;
            let version = stem.split_once('-').map_or("", |(_, version)| version);
            Some((names::distribution(directory), version.to_owned()))
        })
        .collect()
}

/// Adds what is to be done at start for another Python.
pub(super) fn merge_setup(setup: &mut SiteSetup, another: SiteSetup) {
    setup.path_files.extend(another.path_files);
    setup.path_files.sort();
    setup.path_files.dedup();
    setup.customize |= another.customize;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_lines_of_both() {
        assert_eq!(joined(b"a\nb\n\n", b"b\nc\r\n"), b"a\nb\nc\n");
        assert_eq!(joined(b"", b"c\n"), b"c\n");
    }
}
