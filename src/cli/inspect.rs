//! `mmport inspect`: what is in a bundle, as text or JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use crate::bundle::{
    BuildInformation, Bundle, Component, Contents, Distribution, Sizes, StandalonePython,
    StandardLibraryExtent,
};
use crate::embed::identity;
use crate::native::{MaterializedUnit, Units};

use super::Failure;
use super::failure::FAILED;

/// Arguments of `mmport inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct InspectArguments {
    /// The bundle; any zip or wheel will do.
    bundle: PathBuf,

    /// Write JSON.
    #[arg(long)]
    json: bool,

    /// Also read every entry and check its size and checksum.
    #[arg(long)]
    verify: bool,
}

/// What is shown where nothing is known of a licence.
const NO_LICENSE: &str = "licence not said";

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct Inspection {
    bundle: PathBuf,
    bytes: usize,
    entries: usize,
    built_for: Option<BuildInformation>,
    fits_this_python: bool,
    #[serde(flatten)]
    contents: Contents,
    materialized: Vec<MaterializedUnit>,
    verified_entries: Option<usize>,
}

/// Shows what is in a bundle.
pub(super) fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let inspection = look(arguments)?;
    print(if arguments.json { to_json(&inspection)? } else { describe(&inspection) })
}

/// A value as JSON for people and programs.
pub(super) fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value).map(|json| json + "\n").map_err(|error| Failure {
        status: FAILED,
        message: format!("failed to write JSON: {error}"),
        next_step: None,
    })
}

/// Writes a text to standard output.
pub(super) fn print(text: String) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever reads has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure {
            status: FAILED,
            message: format!("failed to write to standard output: {error}"),
            next_step: None,
        }),
        Ok(()) => Ok(()),
    }
}

fn look(arguments: &InspectArguments) -> Result<Inspection, Failure> {
    let bundle = Bundle::open(&arguments.bundle, identity::suffixes(0))?;
    let built_for = bundle.information()?.cloned();
    let units = Units::of_bundle(built_for.as_ref(), bundle.path())?;
    Ok(Inspection {
        bundle: bundle.path().to_owned(),
        bytes: bundle.size(),
        entries: bundle.entry_count(),
        fits_this_python: built_for.as_ref().and_then(identity::misfit).is_none(),
        contents: bundle.contents()?,
        materialized: units.materialized(&bundle)?,
        verified_entries: if arguments.verify { Some(bundle.verify()?) } else { None },
        built_for,
    })
}

/// The inspection as text.
fn describe(inspection: &Inspection) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    let contents = &inspection.contents;
    line(format!(
        "{}: {}, {}, {}",
        inspection.bundle.display(),
        bytes(inspection.bytes as u64),
        counted(inspection.entries, "entry"),
        counted(contents.modules, "module")
    ));
    match &inspection.built_for {
        Some(information) => {
            let fits = if inspection.fits_this_python { "fits" } else { "does not fit" };
            line(format!(
                "built by mmport {} for {} ({fits} this mmport)",
                information.mmport,
                information.targets_as_text()
            ));
            line(match &information.entry {
                Some(entry) => format!("entry: {entry}"),
                None => "entry: none; acts as Python with these packages".into(),
            });
            if let Some(compression) = information.libraries {
                line(format!("libraries: {compression}, where that makes them smaller"));
            }
            if let Some(standalone) = &information.standalone {
                let extent = match standalone.standard_library {
                    StandardLibraryExtent::All => "the whole standard library",
                    StandardLibraryExtent::Minimal => "a part of the standard library",
                };
                line(format!("standalone: brings Python {} with {extent}", standalone.version));
            }
            if !information.site.path_files.is_empty() {
                let names = information.site.path_files.join(", ");
                line(format!("executed at start: {names}"));
            }
            if information.site.customize {
                line("imported at start: sitecustomize".into());
            }
        }
        None => line("not built by mmport; served all the same".into()),
    }
    if let Some(entries) = inspection.verified_entries {
        let entries = counted(entries, "entry");
        line(format!("verified: {entries}, all with their sizes and checksums"));
    }
    line(format!("\ndistributions ({}):", contents.distributions.len()));
    for distribution in &contents.distributions {
        let Distribution { name, version, license } = distribution;
        line(format!("  {name} {version}: {}", license.as_deref().unwrap_or(NO_LICENSE)));
    }
    let standalone = (inspection.built_for.as_ref()).and_then(|built| built.standalone.as_ref());
    if let Some(StandalonePython { components, .. }) = standalone {
        line(format!("\nPython and what it needs ({}):", components.len()));
        for Component { name, license } in components {
            line(format!("  {name}: {}", license.as_deref().unwrap_or(NO_LICENSE)));
        }
    }
    line(format!("\nscripts ({}):", contents.scripts.len()));
    for script in &contents.scripts {
        line(format!("  {} = {}", script.name, script.value));
    }
    line("\nbytecode:".into());
    for (python, count) in &contents.bytecode {
        line(format!("  {} for Python {python}", counted(*count, "module")));
    }
    line(format!("\nextension modules and shared libraries ({}):", contents.libraries.len()));
    for library in &contents.libraries {
        line(format!("  {library}"));
    }
    line(format!("\nbrought out as files when imported ({}):", inspection.materialized.len()));
    for unit in &inspection.materialized {
        let reason = match unit.because.as_slice() {
            [] => "asked for by --materialize".into(),
            names => {
                let more = if unit.reasons > names.len() { ", …" } else { "" };
                format!("holds {}{more}", names.join(", "))
            }
        };
        let files = counted(unit.files, "file");
        line(format!("  {}: {files}, {}; {reason}", unit.unit, bytes(unit.bytes)));
    }
    line("\nsizes:".into());
    for (kind, sizes) in &contents.sizes {
        line(format!("  {kind:8} {}", describe_sizes(sizes)));
    }
    if !contents.library_sizes.is_empty() {
        line("\nlibraries by how they lie in the bundle:".into());
    }
    for (compression, sizes) in &contents.library_sizes {
        line(format!("  {compression:8} {}", describe_sizes(sizes)));
    }
    text
}

fn describe_sizes(sizes: &Sizes) -> String {
    format!(
        "{:>14}, {} ({} in the bundle)",
        counted(sizes.entries, "entry"),
        bytes(sizes.bytes),
        bytes(sizes.compressed)
    )
}

/// A number of things, for people.
pub(super) fn counted(count: usize, noun: &str) -> String {
    match (count, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {noun}s"),
    }
}

/// A size for people.
pub(super) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
