//! The build from beginning to end, in the order in which a mistake costs least: what can be
//! checked without work is checked first, the output among it; then installing, collecting,
//! compiling and writing.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use super::collect::{Collection, Kind};
use super::compile::{Compiled, Compiler, Source};
use super::data::{collect_data, data_directories};
use super::distribution::distributions;
use super::editable::projects_in;
use super::error::BuildError;
use crate::native::MaterializeRules;

use super::files::{FileCarrier, file_carriers};
use super::interpreter::Interpreter;
use super::layout::{BytecodeEntry, Layout, MAIN_SOURCE, Section};
use super::main_module::main_module;
use super::names;
use super::output::Output;
use super::progress::Progress;
use super::record::Record;
use super::report::{BuildReport, BuildTimes, RejectedSource};
use super::request::BuildRequest;
use super::several::{InstalledFor, Interpreters, install_for_each, merge, merge_setup};
use super::site::{SiteDirectory, replaced};
use super::traced_run::load_order;
use super::tree::Tree;
use super::venv;
use super::write::BundleWriter;
use crate::bundle::{
    BuildInformation, BundleEntryPoint, Compression, INFORMATION_ENTRY, INFORMATION_FORMAT,
    SiteSetup,
};

/// How libraries are kept unless something else is asked for: of what `benches/libraries.py`
/// compares, the smallest; about as fast to write as deflate, and faster to read.
const LIBRARIES: Compression = Compression::Zstd;

/// Builds the bundle that `request` describes.
///
/// # Errors
///
/// Any [`BuildError`]. The output is then what it was before.
pub fn build(request: &BuildRequest, progress: &Progress) -> Result<BuildReport, BuildError> {
    let result = build_steps(request, progress);
    progress.end();
    result
}

fn build_steps(request: &BuildRequest, progress: &Progress) -> Result<BuildReport, BuildError> {
    let start = Instant::now();
    let mut times = BuildTimes::default();
    request.check()?;
    let output = Output::create(&request.output, request.is_executable())?;
    let interpreters = Interpreters::probe(request)?;
    let interpreter = &interpreters.first;
    request.standalone.as_ref().map_or(Ok(()), |standalone| standalone.check(interpreter))?;

    let mut tree = Tree::default();
    let mut warnings = Vec::new();
    // Live until the bundle is written: the tree refers to the files in them.
    let installed = install_for_each(request, &interpreters, progress, &mut warnings)?;
    times.install = start.elapsed();

    let since = Instant::now();
    request.interruption.check()?;
    let mut site = SiteSetup::default();
    for (installation, target) in interpreters.installations().zip(&installed) {
        let mut another = Tree::default();
        let target = target.as_ref().map(tempfile::TempDir::path);
        let setup =
            collect(request, installation, &interpreters, target, &mut another, &mut warnings)?;
        merge(&mut tree, another, &interpreters, installation)?;
        merge_setup(&mut site, setup);
    }
    let mut told = HashSet::new();
    warnings.retain(|warning| told.insert(warning.clone()));
    let entry = entry_point(request, interpreter, &tree)?;
    let rules = MaterializeRules::new(&request.materialize, &request.no_materialize)?;
    let carriers = file_carriers(
        tree.iter().map(|(name, item)| (name, item.size)),
        &interpreters.extension_suffixes(),
        &rules,
    );
    if let Some(entry) = &entry {
        let carrier_names: Vec<String> =
            carriers.iter().map(|carrier| carrier.name.clone()).collect();
        if let Some(text) = main_module(entry, &carrier_names) {
            tree.set(MAIN_SOURCE, text.into_bytes());
        }
    }
    let standalone = match &request.standalone {
        Some(standalone) => {
            progress.begin("looking through the standard library");
            let path = search_path(request, interpreter, &installed)?;
            Some(standalone.add_python(
                interpreter,
                entry.as_ref(),
                &path,
                &mut tree,
                &mut warnings,
            )?)
        }
        None => None,
    };
    let loaded = match &*request.order_from {
        [] => Vec::new(),
        runs => {
            progress.begin("running the program, to see the order of its imports");
            let path = search_path(request, interpreter, &installed)?;
            load_order(interpreter, entry.as_ref(), runs, &path)?
        }
    };
    let records = Record::all(&tree)?;
    let distributions = distributions(&tree)?;
    times.collect = since.elapsed();

    let native = tree.names().any(names::is_native);
    let libraries = request.libraries.unwrap_or(LIBRARIES);
    let information = BuildInformation {
        format: INFORMATION_FORMAT,
        mmport: env!("CARGO_PKG_VERSION").to_owned(),
        python: interpreter.target(native),
        also: interpreters.further_targets(native),
        entry,
        materialize: request.materialize.clone(),
        no_materialize: request.no_materialize.clone(),
        data: data_directories(&tree, &records),
        libraries: native.then_some(libraries),
        site,
        standalone: standalone.as_ref().map(|standalone| standalone.information.clone()),
    };
    let head = match (standalone, &request.shebang) {
        (Some(standalone), _) => standalone.head,
        (None, Some(line)) => format!("#!{line}\n").into_bytes(),
        (None, None) => Vec::new(),
    };
    let mut writer = BundleWriter::begin(output.path(), output.file()?, &head)?;
    writer.add_stored(INFORMATION_ENTRY, information_text(&information).as_bytes())?;

    let since = Instant::now();
    let mut bytecode =
        write_bytecode(request, &interpreters, &tree, &loaded, &mut writer, progress)?;
    times.compile = since.elapsed();

    let since = Instant::now();
    for record in &records {
        let text = record.text(|name| bytecode.names_for(name))?;
        tree.set(&record.name, text);
    }
    write_rest(request, &tree, libraries, &mut writer, progress)?;
    let written_libraries = writer.libraries();
    let entries = writer.finish()?;
    request.interruption.check()?;
    let size = output.persist()?;
    times.write = since.elapsed();
    times.total = start.elapsed();

    Ok(BuildReport {
        output: request.output.clone(),
        size,
        entries,
        modules: count_modules(&tree, interpreter),
        compiled: bytecode.compiled.len() + bytecode.sourceless,
        rejected: std::mem::take(&mut bytecode.rejected),
        distributions,
        carriers: sorted_by_size(carriers),
        libraries: written_libraries,
        warnings,
        information,
        times,
    })
}

/// The directories with what goes into the bundle.
fn search_path(
    request: &BuildRequest,
    interpreter: &Interpreter,
    installed: &[Option<tempfile::TempDir>],
) -> Result<Vec<PathBuf>, BuildError> {
    let mut path = request.sources.clone();
    path.extend(installed.iter().flatten().map(|directory| directory.path().to_owned()));
    if let Some(venv) = &request.venv {
        path.extend(venv::site_packages(venv, interpreter)?);
    }
    Ok(path)
}

/// Takes everything that goes into the bundle into `tree`; returns what is left for its start.
fn collect(
    request: &BuildRequest,
    installation: InstalledFor,
    all: &Interpreters,
    installed: Option<&Path>,
    tree: &mut Tree,
    warnings: &mut Vec<String>,
) -> Result<SiteSetup, BuildError> {
    let interpreter = installation.0;
    let mut setup = SiteSetup::default();
    let named_projects = projects_in(&request.requirement_files);
    let mut take = |tree: &mut Tree, root: &Path, kind, origin: String| {
        request.interruption.check()?;
        let leaves_out = match kind {
            Kind::SitePackages => replaced(root, tree)?,
            Kind::Target | Kind::Source => HashSet::new(),
        };
        let origin: Arc<str> = Arc::from(origin);
        Collection {
            root,
            kind,
            prefix: "",
            leaves_out: &leaves_out,
            origin: Arc::clone(&origin),
            magic: interpreter.magic,
            output: &request.output,
        }
        .collect(tree, warnings)?;
        // The folder of a program's own modules is no place where `site` looks.
        if kind == Kind::Source {
            return Ok(());
        }
        let projects = (kind == Kind::Target).then_some(&*named_projects);
        SiteDirectory { root, origin, interpreter, output: &request.output, projects }
            .settle(tree, &mut setup, warnings)
    };
    if let Some(installed) = installed {
        take(tree, installed, Kind::Target, format!("the requirements{}", all.told(installation)))?;
    }
    if let Some(venv) = &request.venv {
        for root in venv::site_packages(venv, interpreter)? {
            take(tree, &root, Kind::SitePackages, format!("`{}`", venv.display()))?;
            collect_data(venv, &root, &format!("`{}`", venv.display()).into(), tree)?;
        }
    }
    for source in &request.sources {
        take(tree, source, Kind::Source, format!("`{}`", source.display()))?;
    }
    drop_local_urls(tree)?;
    match tree.get(INFORMATION_ENTRY) {
        Some(item) => Err(reserved(INFORMATION_ENTRY, &item.origin)),
        None => Ok(setup),
    }
}

/// Removes notes of where on this machine a distribution was installed from (PEP 610): they mean
/// nothing where the bundle runs, and would make it depend on where it was built.
fn drop_local_urls(tree: &mut Tree) -> Result<(), BuildError> {
    let mut local = Vec::new();
    for (name, item) in tree.iter() {
        if names::is_metadata(name) && names::file_name(name) == "direct_url.json" {
            let origin: Option<serde_json::Value> =
                serde_json::from_slice(&item.content.read()?).ok();
            let url = origin.as_ref().and_then(|origin| origin["url"].as_str());
            if url.is_some_and(|url| url.starts_with("file:")) {
                local.push(name.to_owned());
            }
        }
    }
    for name in local {
        tree.remove(&name);
    }
    Ok(())
}

/// What the bundle runs.
fn entry_point(
    request: &BuildRequest,
    interpreter: &Interpreter,
    tree: &Tree,
) -> Result<Option<BundleEntryPoint>, BuildError> {
    match (&request.entry, tree.get(MAIN_SOURCE)) {
        (Some(_), Some(item)) => Err(reserved(MAIN_SOURCE, &item.origin)),
        (Some(requested), None) => requested.resolve(tree, interpreter).map(Some),
        (None, Some(_)) => Ok(Some(BundleEntryPoint::Main)),
        (None, None) => Ok(None),
    }
}

fn reserved(name: &str, origin: &str) -> BuildError {
    BuildError::ReservedName { name: name.to_owned(), origin: origin.to_owned() }
}

/// The information entry's text.
fn information_text(information: &BuildInformation) -> String {
    // Strings, numbers and lists of them always have a JSON form.
    let mut text = serde_json::to_string_pretty(information).unwrap_or_default();
    text.push('\n');
    text
}

/// What became of the sources.
#[derive(Default)]
struct Bytecode {
    /// Names of the sources that have bytecode.
    compiled: HashSet<String>,
    /// Those that have bytecode for further Pythons, by the tag of its name.
    further: Vec<(String, HashSet<String>)>,
    /// Number of bytecode files that came without a source.
    sourceless: usize,
    rejected: Vec<RejectedSource>,
}

impl Bytecode {
    /// The names of the bytecode of a source.
    fn names_for(&self, source: &str) -> Vec<String> {
        let beside = self.compiled.contains(source).then(|| format!("{source}c"));
        let further = self.further.iter().filter(|(_, compiled)| compiled.contains(source));
        beside.into_iter().chain(further.map(|(tag, _)| cached_name(source, tag))).collect()
    }
}

/// The name of a source's bytecode for the Python with this tag (PEP 3147).
fn cached_name(source: &str, cache_tag: &str) -> String {
    let (directory, file) = source.rfind('/').map_or(("", source), |at| source.split_at(at + 1));
    let stem = file.strip_suffix(".py").unwrap_or(file);
    format!("{directory}__pycache__/{stem}.{cache_tag}.pyc")
}

/// Writes the main module's source, then compiles everything and writes the bytecode as it comes.
fn write_bytecode(
    request: &BuildRequest,
    interpreters: &Interpreters,
    tree: &Tree,
    loaded: &[String],
    writer: &mut BundleWriter,
    progress: &Progress,
) -> Result<Bytecode, BuildError> {
    let layout = Layout::of(tree, loaded);
    let sources: Vec<Source> = (layout.bytecode.iter())
        .filter_map(|entry| match entry {
            BytecodeEntry::Compiled(name) => {
                Some(Source { name: (*name).to_owned(), content: tree.get(name)?.content.clone() })
            }
            BytecodeEntry::Sourceless(_) => None,
        })
        .collect();
    let count = sources.len() * (1 + interpreters.others.len());
    progress.begin_counted(&format!("compiling {} modules", sources.len()), count);
    let start = |interpreter: &Interpreter| {
        let processes = thread::available_parallelism().map_or(1, usize::from);
        Compiler::start(interpreter, sources.clone(), processes, &request.interruption)
    };
    let mut compiler = start(&interpreters.first)?;
    if let Some(main) = tree.get(MAIN_SOURCE) {
        writer.add_items(&[(MAIN_SOURCE, main, Compression::Deflated)], |_| Ok(()))?;
    }
    let mut result = Bytecode::default();
    for entry in &layout.bytecode {
        match entry {
            BytecodeEntry::Compiled(name) => {
                match compiler.next()? {
                    Some(Compiled::Bytecode(bytes)) => {
                        writer.add_bytecode(&format!("{name}c"), &bytes)?;
                        result.compiled.insert((*name).to_owned());
                    }
                    Some(Compiled::Rejected(reason)) => {
                        result.rejected.push(RejectedSource { name: (*name).to_owned(), reason })
                    }
                    None => {}
                }
                progress.advance(1);
            }
            BytecodeEntry::Sourceless(name) => {
                if let Some(item) = tree.get(name) {
                    writer.add_bytecode(name, &item.content.read()?)?;
                    result.sourceless += 1;
                }
            }
        }
    }
    for other in &interpreters.others {
        let mut compiler = start(other)?;
        let mut compiled = HashSet::new();
        for Source { name, .. } in &sources {
            match compiler.next()? {
                Some(Compiled::Bytecode(bytes)) => {
                    writer.add_bytecode(&cached_name(name, &other.cache_tag), &bytes)?;
                    compiled.insert(name.clone());
                }
                Some(Compiled::Rejected(reason)) => {
                    let reason = format!("for {}: {reason}", other.version());
                    result.rejected.push(RejectedSource { name: name.clone(), reason });
                }
                None => {}
            }
            progress.advance(1);
        }
        result.further.push((other.cache_tag.clone(), compiled));
    }
    Ok(result)
}

/// Writes everything but the bytecode.
fn write_rest(
    request: &BuildRequest,
    tree: &Tree,
    libraries: Compression,
    writer: &mut BundleWriter,
    progress: &Progress,
) -> Result<(), BuildError> {
    let layout = Layout::of(tree, &[]);
    let items: Vec<_> = (layout.rest.iter())
        .filter_map(|&(section, name): &(Section, &str)| {
            Some((name, tree.get(name)?, section.compression(libraries)))
        })
        .collect();
    let message = format!("writing {}", request.output.display());
    progress.begin_counted(&message, items.len());
    writer.add_items(&items, |count| {
        progress.advance(count);
        request.interruption.check()
    })?;
    for name in tree.empty_directories() {
        writer.add_directory(name)?;
    }
    Ok(())
}

/// How many Python modules the bundle has.
fn count_modules(tree: &Tree, interpreter: &Interpreter) -> usize {
    (tree.names())
        .filter(|name| !names::is_metadata(name))
        .filter(|name| {
            names::is_source(name)
                || names::is_bytecode(name)
                || names::extension_module(name, &interpreter.extension_suffixes)
                    .is_some_and(names::is_word)
        })
        .count()
}

/// The largest first, as a reader wants them.
fn sorted_by_size(mut carriers: Vec<FileCarrier>) -> Vec<FileCarrier> {
    carriers.sort_by(|one, other| other.bytes.cmp(&one.bytes).then(one.path.cmp(&other.path)));
    carriers
}
