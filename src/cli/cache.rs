//! `mmport cache`: what mmport keeps on disk, and getting rid of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use serde::{Serialize, Serializer};

use crate::bundle::Bundle;
use crate::bytecode::{
    DamagedPack, StoreUsage, bytecode_directory, clear_store, prune_store, store_usage,
    verify_store,
};
use crate::embed::{cached_environments, identity};
use crate::native::{
    BundleState, CachedTree, Tree, Units, Usage, cache_root, cached_trees, directories_in,
    is_hidden, is_in_use, is_mapped, is_own_directory, mapped_files, optional_path_as_text,
    path_as_text, remove_unless_in_use, store_roots, sweep,
};

use crate::standalone::cached_runtimes;

use super::cache_code::{self, ShowArguments};
use super::failure::FAILED;
use super::inspect::{bytes, counted, print, to_json};
use super::{Failure, with};

/// Arguments of `mmport cache`.
#[derive(Debug, clap::Args)]
pub(super) struct CacheArguments {
    /// What to do; without one, `info`.
    #[command(subcommand)]
    action: Option<Action>,

    /// Write JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print the directory that everything is below.
    Dir,
    /// Count what is there.
    Info,
    /// List the code objects that were compiled.
    List,
    /// Remove what belongs to bundles that are gone or replaced, and what killed programs left.
    Prune {
        /// Also drop the code objects that were used least recently, until all of them take no more
        /// than this: 100MiB, 1GB.
        #[arg(long, value_name = "SIZE")]
        max_size: Option<ByteSize>,
    },
    /// Remove everything that no running program uses.
    Clear,
    /// Compare real files with the bundles they came from, and replace what is damaged; check code
    /// objects, and drop what is damaged.
    Verify,
    /// Compile everything in a bundle, zip, wheel or directory that has no bytecode for this Python.
    Warm {
        /// The bundle.
        bundle: PathBuf,
    },
    /// Show what is stored of a module, and whether it would be used.
    Show(ShowArguments),
}

/// What is kept below one root.
#[derive(Debug, Serialize)]
struct CachedRoot {
    #[serde(serialize_with = "path_as_text")]
    root: PathBuf,
    trees: Vec<CachedTree>,
    environments: Vec<CachedItem>,
    /// Those of standalone executables.
    runtimes: Vec<CachedItem>,
    bundles: Vec<CachedItem>,
    code_objects: StoreUsage,
    /// Everything together, each content counted once.
    total: Usage,
}

/// An environment, or a bundle of `run --with`.
#[derive(Debug, Serialize)]
struct CachedItem {
    #[serde(serialize_with = "path_as_text")]
    path: PathBuf,
    #[serde(serialize_with = "optional_path_as_text")]
    bundle: Option<PathBuf>,
    in_use: bool,
    usage: Usage,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    removed: Usage,
    #[serde(serialize_with = "paths_as_text")]
    kept_in_use: Vec<PathBuf>,
    files_looked_at: usize,
    #[serde(serialize_with = "paths_as_text")]
    replaced: Vec<PathBuf>,
    code_objects_looked_at: usize,
    damaged_packs: Vec<DamagedPack>,
}

fn paths_as_text<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// Shows or cleans the cache.
pub(super) fn cache(arguments: &CacheArguments) -> Result<(), Failure> {
    let json = arguments.json;
    let action = arguments.action.as_ref().unwrap_or(&Action::Info);
    let mut outcome = Outcome::default();
    match action {
        Action::Dir => return print(format!("{}\n", cache_directory()?.display())),
        Action::Info => {
            let roots = look();
            return print(if json { to_json(&roots)? } else { describe(&roots) });
        }
        Action::List => return cache_code::list(json),
        Action::Warm { bundle } => return cache_code::warm(bundle, json),
        Action::Show(arguments) => return cache_code::show(arguments, json),
        Action::Prune { max_size } => {
            for root in look() {
                remove(&root, false, &mut outcome, || match max_size {
                    Some(size) => prune_store(&root.root, size.as_u64()),
                    None => Ok(()),
                })?;
            }
        }
        Action::Clear => {
            for root in look() {
                remove(&root, true, &mut outcome, || clear_store(&root.root))?;
            }
        }
        Action::Verify => look().iter().try_for_each(|root| verify(root, &mut outcome))?,
    }
    print(if json { to_json(&outcome)? } else { tell(action, &outcome) })
}

/// The directory that everything is kept below.
pub(super) fn cache_directory() -> Result<PathBuf, Failure> {
    cache_root().ok_or_else(|| Failure {
        status: FAILED,
        message:
            "failed to find a cache directory: neither MMPORT_ROOT, XDG_CACHE_HOME nor HOME is set"
                .into(),
        next_step: Some("set MMPORT_ROOT to a directory that you may write to".into()),
    })
}

fn look() -> Vec<CachedRoot> {
    let mapped = mapped_files();
    let mut roots = store_roots();
    let mut known = BTreeSet::new();
    roots.retain(|root| is_own_directory(root) && known.insert(root.clone()));
    roots.into_iter().map(|root| look_below(root, &mapped)).collect()
}

fn look_below(root: PathBuf, mapped: &BTreeSet<PathBuf>) -> CachedRoot {
    let mut seen = BTreeSet::new();
    let trees = cached_trees(&root, mapped, &mut seen);
    let mut item = |path: PathBuf, bundle: Option<PathBuf>| CachedItem {
        in_use: is_in_use(&path) || bundle.as_deref().is_some_and(|path| is_mapped(path, mapped)),
        usage: Usage::below(&path, &mut seen),
        bundle,
        path,
    };
    let environments = cached_environments(&root);
    let runtimes = cached_runtimes(&root)
        .into_iter()
        .map(|runtime| {
            // Needed as long as there is an executable that it was brought out from.
            let executable = environments.iter().find_map(|(prefix, bundle)| {
                let program = std::fs::read_link(prefix.join("bin/python")).ok()?;
                bundle.clone().filter(|bundle| program.starts_with(&runtime) && bundle.is_file())
            });
            item(runtime, executable)
        })
        .collect();
    let environments =
        environments.into_iter().map(|(prefix, bundle)| item(prefix, bundle)).collect();
    let bundles = directories_in(&root.join(with::LAYOUT))
        .filter(|directory| !is_hidden(directory)) // one that is being made
        .map(|directory| {
            let bundle = first_file(&directory);
            item(directory, bundle)
        })
        .collect();
    let total = Usage::below(&root, &mut BTreeSet::new());
    let code_objects = store_usage(&root);
    CachedRoot { root, trees, environments, runtimes, bundles, code_objects, total }
}

fn first_file(directory: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(directory).ok()?.filter_map(Result::ok);
    entries.find(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|e| e.path())
}

/// Removes what nothing needs, or `everything` that is not in use, and what `remove_code` removes.
fn remove(
    root: &CachedRoot,
    everything: bool,
    outcome: &mut Outcome,
    remove_code: impl FnOnce() -> io::Result<()>,
) -> Result<(), Failure> {
    for tree in &root.trees {
        if everything || tree.state != BundleState::Present {
            let removed =
                !tree.in_use && remove_unless_in_use(&tree.path).map_err(failed(&tree.path))?;
            outcome.note(removed, &tree.path);
        }
    }
    for environment in &root.environments {
        if everything || !environment.bundle.as_deref().is_some_and(Path::is_file) {
            outcome.remove(environment)?;
        }
    }
    let without_bundle = root.bundles.iter().chain(&root.runtimes);
    for item in without_bundle.filter(|item| everything || item.bundle.is_none()) {
        outcome.remove(item)?;
    }
    sweep(&root.root).map_err(failed(&root.root))?;
    remove_code().map_err(failed(&bytecode_directory(&root.root)))?;
    // Counted by what is left: contents go only with the last tree that has them.
    let left = Usage::below(&root.root, &mut BTreeSet::new());
    outcome.removed.files += root.total.files.saturating_sub(left.files);
    outcome.removed.bytes += root.total.bytes.saturating_sub(left.bytes);
    Ok(())
}

impl Outcome {
    fn remove(&mut self, item: &CachedItem) -> Result<(), Failure> {
        let removed =
            !item.in_use && remove_unless_in_use(&item.path).map_err(failed(&item.path))?;
        self.note(removed, &item.path);
        Ok(())
    }

    fn note(&mut self, removed: bool, path: &Path) {
        if !removed {
            self.kept_in_use.push(path.to_owned());
        }
    }
}

fn verify(root: &CachedRoot, outcome: &mut Outcome) -> Result<(), Failure> {
    for tree in root.trees.iter().filter(|tree| tree.state == BundleState::Present) {
        let Some(path) = &tree.bundle else { continue };
        let bundle = Bundle::open(path, identity::suffixes(0))?;
        let units = Units::of_bundle(bundle.information()?, path)?;
        let files = Tree::in_roots(units, vec![root.root.clone()]);
        let (looked_at, replaced) = files.verify(&bundle)?;
        outcome.files_looked_at += looked_at;
        outcome.replaced.extend(replaced);
    }
    let (looked_at, damaged) =
        verify_store(&root.root).map_err(failed(&bytecode_directory(&root.root)))?;
    outcome.code_objects_looked_at += looked_at;
    outcome.damaged_packs.extend(damaged);
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Failure + use<'_> {
    move |error| Failure {
        status: FAILED,
        message: format!("failed to remove `{}`: {error}", path.display()),
        next_step: Some("remove it by hand; nothing but speed is lost".into()),
    }
}

/// The cache as text.
fn describe(roots: &[CachedRoot]) -> String {
    let mut text = String::new();
    if roots.is_empty() {
        return "nothing is cached\n".into();
    }
    for root in roots {
        let _ = writeln!(text, "{}: {}", printable(&root.root), used(root.total));
        let _ = writeln!(text, "\nreal files of bundles ({}):", root.trees.len());
        for tree in &root.trees {
            let bundle = tree.bundle.as_deref().map_or("?".into(), printable);
            let state = match (tree.in_use, tree.state) {
                (true, _) => "; in use",
                (_, BundleState::Present) => "",
                (_, BundleState::Replaced) => "; the bundle was replaced",
                (_, BundleState::Gone) => "; the bundle is gone",
            };
            let _ = writeln!(text, "  {bundle}: {}{state}", used(tree.usage));
        }
        for (title, items) in [
            ("environments", &root.environments),
            ("runtimes of standalone executables", &root.runtimes),
            ("bundles of `run --with`", &root.bundles),
        ] {
            let mut usage = Usage::default();
            items.iter().for_each(|item| usage += item.usage);
            let _ = writeln!(text, "\n{title} ({}): {}", items.len(), used(usage));
        }
        let StoreUsage { packs, code_objects, bytes: size } = root.code_objects;
        let _ = writeln!(text, "\ncode objects ({code_objects}): {packs} files, {}", bytes(size));
        text.push('\n');
    }
    text.pop();
    text
}

/// A path as text that does nothing to a terminal.
pub(super) fn printable(path: &Path) -> String {
    let text = path.to_string_lossy();
    let escaped = |character: char| match character {
        control if control.is_control() => control.escape_default().to_string(),
        other => other.to_string(),
    };
    text.chars().map(escaped).collect()
}

fn used(usage: Usage) -> String {
    let files = counted(usize::try_from(usage.files).unwrap_or(usize::MAX), "file");
    format!("{files}, {}", bytes(usage.bytes))
}

/// What was done, as text.
fn tell(action: &Action, outcome: &Outcome) -> String {
    let mut text = match action {
        Action::Verify => {
            let count = outcome.replaced.len();
            let lost: u64 = outcome.damaged_packs.iter().map(|pack| pack.lost).sum();
            format!(
                "verified {}; {count} replaced
verified {}; {lost} dropped
",
                counted(outcome.files_looked_at, "file"),
                counted(outcome.code_objects_looked_at, "code object")
            )
        }
        _ => format!("removed {}\n", used(outcome.removed)),
    };
    for path in &outcome.replaced {
        let _ = writeln!(text, "  replaced {}", printable(path));
    }
    for pack in &outcome.damaged_packs {
        let _ = writeln!(text, "  damaged {}: {} lost", printable(&pack.path), pack.lost);
    }
    for path in &outcome.kept_in_use {
        let _ = writeln!(text, "  in use: {}", printable(path));
    }
    text
}
