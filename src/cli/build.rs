//! `mmport build`: its arguments as typed, made into a request as meant, and the summary.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::inspect::counted;
use super::{Failure, Host};
use crate::build::{
    BuildError, BuildReport, BuildRequest, DEFAULT_SHEBANG, EmbeddedPython, FileCarrier, Installer,
    Interruption, Platform, Progress, RequestedEntryPoint, StandaloneError, StandaloneRequest,
    TracedRun, build as build_bundle,
};
use crate::bundle::{BundleEntryPoint, Compression, StandardLibraryExtent};
use crate::embed::identity;

/// Rejected sources and warnings that a summary names before it only counts.
const NAMED: usize = 5;

/// Build a bundle: one zip that holds an application and its dependencies, with bytecode
#[derive(Debug, Args)]
pub struct BuildArguments {
    /// Requirements, as an installer takes them (`black==24.1`, `httpie[socks]`)
    #[arg(value_name = "REQUIREMENT")]
    requirements: Vec<String>,

    /// Take the requirements in a file (repeatable)
    #[arg(short = 'r', long = "requirement", value_name = "FILE")]
    requirement_files: Vec<PathBuf>,

    /// Build and take the project in a folder with a pyproject.toml (repeatable)
    #[arg(long = "project", value_name = "DIR")]
    projects: Vec<PathBuf>,

    /// Take a wheel and what it requires (repeatable)
    #[arg(long = "wheel", value_name = "FILE")]
    wheels: Vec<PathBuf>,

    /// Take the plain modules in a folder as they are (repeatable)
    #[arg(long = "source", value_name = "DIR")]
    sources: Vec<PathBuf>,

    /// Take what is installed in a virtual environment
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,

    /// Run a console script of one of the distributions
    #[arg(short = 'c', long, value_name = "NAME", group = "entry")]
    script: Option<String>,

    /// Run a function
    #[arg(short = 'e', long, value_name = "MODULE:FUNCTION", group = "entry")]
    entry_point: Option<String>,

    /// Run a module, as `python -m` does
    #[arg(short = 'm', long, value_name = "NAME", group = "entry")]
    module: Option<String>,

    /// The bundle to write
    #[arg(short = 'o', long, value_name = "FILE")]
    output: PathBuf,

    /// Build for this interpreter: a path, or a name on PATH such as `python3.12`; repeatable: the
    /// bundle then fits each of them
    #[arg(long, value_name = "EXE")]
    python: Vec<PathBuf>,

    /// Also take the wheels for this platform, such as manylinux_2_28_aarch64, or for older C
    /// libraries of it; nothing can be built for it from a source distribution; repeatable
    #[arg(long = "platform", value_name = "TAG")]
    platforms: Vec<String>,

    /// The bundle's first line, without `#!`
    #[arg(long, value_name = "LINE", default_value = DEFAULT_SHEBANG)]
    shebang: String,

    /// Write no first line; the bundle is then not executable by itself
    #[arg(long, conflicts_with = "shebang")]
    no_shebang: bool,

    /// Bring out a package as real files although it holds Python files only (repeatable)
    #[arg(long, value_name = "GLOB")]
    materialize: Vec<String>,

    /// Do not bring out a package as real files although it holds others (repeatable)
    #[arg(long, value_name = "GLOB")]
    no_materialize: Vec<String>,

    /// Put Python in as well: an executable that runs where none is installed
    #[arg(long, conflicts_with_all = ["shebang", "no_shebang", "platforms"])]
    standalone: bool,

    /// How much of the standard library a standalone executable has
    #[arg(long, value_name = "EXTENT", value_enum, default_value_t, requires = "standalone")]
    stdlib: StandardLibrary,

    /// Also put this module or package of the standard library in (repeatable)
    #[arg(long, value_name = "NAME", requires = "standalone")]
    stdlib_module: Vec<String>,

    /// Run the program with these arguments to see what it imports, for `--stdlib minimal`
    /// (repeatable); without, its module is imported
    #[arg(long, value_name = "ARGUMENTS", requires = "standalone", allow_hyphen_values = true)]
    trace: Vec<String>,

    /// Run the program with these arguments, and lay out first in the bundle what it imports, in that
    /// order, for starts from slow disks (repeatable); Python's arguments, without an entry point
    #[arg(long, value_name = "ARGUMENTS", allow_hyphen_values = true)]
    order_from: Vec<String>,

    /// How extension modules and shared libraries are kept in the bundle
    #[arg(long, value_name = "METHOD", value_enum, default_value_t)]
    libraries: Libraries,

    /// Print errors only
    #[arg(short = 'q', long)]
    quiet: bool,
}

/// How much of the standard library goes along.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum StandardLibrary {
    /// All of it, without its own tests
    #[default]
    All,
    /// What the program is seen to import, and what every program may need
    Minimal,
}

/// Ways to keep libraries.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Libraries {
    /// What is best by measurement: zstd
    #[default]
    Auto,
    /// As they are: the largest bundle, the fastest first start
    Stored,
    /// As other files are: any tool extracts them
    Deflated,
    /// The smallest bundle
    Zstd,
}

impl Libraries {
    /// What was asked for, if anything was.
    fn compression(self) -> Option<Compression> {
        match self {
            Self::Auto => None,
            Self::Stored => Some(Compression::Stored),
            Self::Deflated => Some(Compression::Deflated),
            Self::Zstd => Some(Compression::Zstd),
        }
    }
}

/// Runs `mmport build`. The Python of `host` is built for when no `--python` is given.
///
/// # Errors
///
/// A [`Failure`] with status 2 for what cannot be meant, 127 for an entry point that does not
/// exist, 128 and the signal's number for an interrupted build, 125 for everything else.
pub fn build(arguments: BuildArguments, host: Host) -> Result<(), Failure> {
    let quiet = arguments.quiet;
    if arguments.standalone && host == Host::Running {
        return Err(BuildError::from(StandaloneError::NoHead).into());
    }
    let request = request(arguments, &host.python()?)?;
    let progress = if quiet { Progress::silent() } else { Progress::on_standard_error() };
    let report = build_bundle(&request, &progress)?;
    if !quiet {
        // The bundle is written; a closed error stream does not undo that.
        let _ = io::stderr().lock().write_all(summary(&report).as_bytes());
    }
    Ok(())
}

fn request(arguments: BuildArguments, default_python: &Path) -> Result<BuildRequest, BuildError> {
    let entry = (arguments.script.map(RequestedEntryPoint::Script))
        .or(arguments.entry_point.map(RequestedEntryPoint::Object))
        .or(arguments.module.map(RequestedEntryPoint::Module));
    let mut pythons = arguments.python.into_iter();
    let standalone = arguments.standalone.then(|| StandaloneRequest {
        python: embedded_python(),
        extent: match arguments.stdlib {
            StandardLibrary::All => StandardLibraryExtent::All,
            StandardLibrary::Minimal => StandardLibraryExtent::Minimal,
        },
        modules: arguments.stdlib_module,
        runs: arguments.trace.iter().map(|text| TracedRun::parse(text)).collect(),
    });
    let traced = |texts: &[String]| texts.iter().map(|text| TracedRun::parse(text)).collect();
    Ok(BuildRequest {
        order_from: traced(&arguments.order_from),
        requirements: arguments.requirements,
        requirement_files: arguments.requirement_files,
        projects: arguments.projects,
        wheels: arguments.wheels,
        sources: arguments.sources,
        venv: arguments.venv,
        entry,
        output: arguments.output,
        python: pythons.next().unwrap_or_else(|| default_python.to_owned()),
        also: pythons.collect(),
        platforms: arguments
            .platforms
            .iter()
            .map(|tag| Platform::parse(tag))
            .collect::<Result<_, _>>()?,
        shebang: (!arguments.no_shebang).then_some(arguments.shebang),
        materialize: arguments.materialize,
        no_materialize: arguments.no_materialize,
        libraries: arguments.libraries.compression(),
        installer: Installer::from_environment()?,
        standalone,
        interruption: Interruption::from_signals()?,
    })
}

/// The Python that this program embeds.
fn embedded_python() -> EmbeddedPython {
    EmbeddedPython {
        program: std::env::current_exe().unwrap_or_default(),
        version: identity::FULL_VERSION.to_owned(),
        soabi: identity::SOABI.to_owned(),
        standard_library: identity::STDLIB.into(),
        extension_modules: identity::DYNLOAD.into(),
    }
}

/// What was built, as lines.
fn summary(report: &BuildReport) -> String {
    let mut lines = vec![
        format!(
            "wrote {} ({}) for {}",
            report.output.display(),
            size(report.size),
            report.information.targets_as_text()
        ),
        format!("  {}", distributions(report)),
        format!("  modules: {}, {} with bytecode", report.modules, report.compiled),
        format!("  runs: {}", entry(report.information.entry.as_ref())),
        format!(
            "  time: {:.1} s (installing {:.1}, collecting {:.1}, compiling {:.1}, writing {:.1})",
            report.times.total.as_secs_f64(),
            report.times.install.as_secs_f64(),
            report.times.collect.as_secs_f64(),
            report.times.compile.as_secs_f64(),
            report.times.write.as_secs_f64()
        ),
    ];
    if let Some(compression) = report.information.libraries {
        lines.push(format!(
            "  libraries: {}, {}, {} in the bundle ({compression})",
            report.libraries.entries,
            size(report.libraries.bytes),
            size(report.libraries.compressed)
        ));
    }
    if !report.carriers.is_empty() {
        lines.push("  brought out as real files when imported, for the files they hold:".into());
        lines.extend(report.carriers.iter().map(carrier));
    }
    if !report.rejected.is_empty() {
        lines.push(format!(
            "  {} that this Python does not compile, kept without bytecode:",
            counted(report.rejected.len(), "source")
        ));
        lines.extend(
            (report.rejected.iter().take(NAMED))
                .map(|source| format!("    {}: {}", source.name, source.reason)),
        );
        lines.extend(more(report.rejected.len()));
    }
    lines.extend(
        (report.warnings.iter().take(NAMED)).map(|warning| format!("  warning: {warning}")),
    );
    lines.extend(more(report.warnings.len()));
    lines.join("\n") + "\n"
}

fn distributions(report: &BuildReport) -> String {
    let count = report.distributions.len();
    if count == 0 {
        return "distributions: none".to_owned();
    }
    let named: Vec<String> = (report.distributions.iter())
        .map(|distribution| format!("{} {}", distribution.name, distribution.version))
        .collect();
    format!("distributions: {count} ({})", named.join(", "))
}

fn entry(entry: Option<&BundleEntryPoint>) -> String {
    match entry {
        Some(BundleEntryPoint::Script { name, module, object }) => {
            format!("{name} ({module}:{object})")
        }
        Some(BundleEntryPoint::Object { module, object }) => format!("{module}:{object}"),
        Some(BundleEntryPoint::Module { name }) => format!("-m {name}"),
        Some(BundleEntryPoint::Main) => "__main__.py".to_owned(),
        None => "nothing; acts as Python with these packages".to_owned(),
    }
}

fn carrier(carrier: &FileCarrier) -> String {
    if carrier.requested {
        return format!("    {}: as asked for", carrier.name);
    }
    let mut examples = carrier.examples.join(", ");
    if carrier.files > carrier.examples.len() {
        examples.push_str(", ...");
    }
    format!(
        "    {}: {}, {}{}: {examples}",
        carrier.name,
        counted(carrier.files, "file"),
        size(carrier.bytes),
        if carrier.native { ", native code" } else { "" },
    )
}

/// A line for what a list does not name.
fn more(count: usize) -> Option<String> {
    (count > NAMED).then(|| format!("    and {} more", count - NAMED))
}

/// A number of bytes in the largest unit that keeps it above one.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return counted(usize::try_from(bytes).unwrap_or_default(), "byte");
    }
    let mut unit = 0;
    let mut divisor = 1024_u64;
    while bytes / divisor >= 1024 && unit + 1 < UNITS.len() {
        divisor *= 1024;
        unit += 1;
    }
    let tenths = u128::from(bytes) * 10 / u128::from(divisor);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        arguments: BuildArguments,
    }

    fn parse(words: &[&str]) -> Result<BuildArguments, clap::Error> {
        Command::try_parse_from([&["build"], words].concat()).map(|command| command.arguments)
    }

    #[test]
    fn arguments_become_a_request() {
        let words = ["black", "-r", "a.txt", "-c", "black", "-o", "b.pyz", "--no-shebang"];
        let request = request(parse(&words).unwrap(), Path::new("python3")).unwrap();
        assert_eq!(request.requirements, ["black"]);
        assert_eq!(request.requirement_files, [PathBuf::from("a.txt")]);
        assert_eq!(request.entry, Some(RequestedEntryPoint::Script("black".into())));
        assert_eq!(request.python, Path::new("python3"));
        assert_eq!(request.shebang, None);
    }

    #[test]
    fn one_entry_point_and_an_output() {
        assert!(parse(&["black", "-c", "black", "-m", "black", "-o", "b.pyz"]).is_err());
        assert!(parse(&["black", "-c", "black"]).is_err());
    }

    #[test]
    fn failures_carry_their_causes_and_the_next_step() {
        let error = BuildError::Output {
            path: "app.pyz".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        let failure = Failure::from(error);
        assert_eq!(failure.status, 125);
        assert_eq!(failure.message, "failed to write `app.pyz`: no storage space");
        assert!(failure.next_step.is_some());
        let failure = Failure::from(BuildError::NothingToBuild);
        assert_eq!(failure.status, 2);
    }

    #[test]
    fn sizes() {
        assert_eq!(size(1), "1 byte");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(5 << 30), "5.0 GiB");
    }
}
