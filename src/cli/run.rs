//! `mmport run`: a bundle, or a script with packages.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::bytecode::disable_process_store;
use crate::embed::{self, LaunchError, hosted};

use super::failure::{NOT_FOUND, USAGE};
use super::fitting::run_elsewhere;
use super::with::{WithRequest, bundle_with, restart};
use super::{Failure, Host};

/// Arguments of `mmport run`.
#[derive(Debug, clap::Args)]
pub(super) struct RunArguments {
    /// Install this requirement (name, version specifier, URL or path) into a cached bundle and run
    /// SCRIPT from it; repeatable.
    #[arg(long = "with", value_name = "REQUIREMENT")]
    requirements: Vec<String>,

    /// With --with: resolve the requirements again even if a bundle for them is cached.
    #[arg(long, requires = "requirements")]
    refresh: bool,

    /// With --with: say nothing while the bundle is built.
    #[arg(short, long, requires = "requirements")]
    quiet: bool,

    /// Run this console script of a distribution in the bundle, or module:function, instead of the
    /// bundle's own entry point, as MMPORT_ENTRY does; not with --with. MMPORT_INTERPRETER=1 makes the
    /// bundle a Python with its packages.
    #[arg(long, value_name = "NAME", conflicts_with = "requirements")]
    entry: Option<String>,

    /// Keep no code objects that have to be compiled, and use none that were kept.
    #[arg(long)]
    no_cache: bool,

    /// End the process by finalizing Python, whether anybody could tell or not, as MMPORT_EXIT=finalize
    /// does.
    #[arg(long, value_name = "HOW", value_enum)]
    exit: Option<Exit>,

    /// The bundle (with --with: a console script of the requirements, or a Python file: a path with a
    /// slash, or a name that ends in .py), and the program's arguments.
    #[arg(
        value_names = ["BUNDLE|SCRIPT", "ARGUMENTS"],
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// How the process ends.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Exit {
    /// By finalizing the interpreter
    Finalize,
}

/// Runs a bundle or a script; returns the program's exit status.
pub(super) fn run(arguments: RunArguments, host: Host) -> Result<i32, Failure> {
    let Some((program, rest)) = arguments.command.split_first() else {
        return Ok(USAGE.into()); // clap requires one
    };
    // Whatever follows the program is the program's, but what stands in its place and begins with a
    // dash is an option that we do not have.
    if program.as_encoded_bytes().starts_with(b"-") {
        return Err(Failure {
            status: USAGE,
            message: format!(
                "failed to run `{}`: expected a bundle or a script, found an unknown option",
                program.to_string_lossy()
            ),
            next_step: Some("`mmport run --help` lists the options".into()),
        });
    }
    if arguments.no_cache {
        disable_process_store();
    }
    if let Some(Exit::Finalize) = arguments.exit {
        embed::always_finalize();
    }
    if arguments.requirements.is_empty() {
        return run_bundle(program, arguments.entry.as_deref(), rest, host).map_err(|failure| {
            match is_python_file(program) {
                true => instead_of_a_bundle(program, failure),
                false => failure,
            }
        });
    }
    // A bare name is a script's, whatever lies in the working directory.
    let is_file = is_python_file(program) || program.as_encoded_bytes().contains(&b'/');
    if is_file && !Path::new(program).is_file() {
        return Err(Failure {
            status: NOT_FOUND,
            message: format!(
                "failed to run `{}`: expected a Python file or a console script of the \
                 requirements, found no such file",
                program.to_string_lossy()
            ),
            next_step: Some("check the path".into()),
        });
    }
    let script = (!is_file).then(|| program.to_string_lossy());
    let request = WithRequest {
        requirements: &arguments.requirements,
        script: script.as_deref(),
        refresh: arguments.refresh,
        quiet: arguments.quiet,
    };
    let bundle = bundle_with(&request, host)?;
    let path = bundle.path.as_os_str();
    match (is_file, bundle.is_new) {
        (false, false) => run_bundle(path, None, rest, host),
        // A bundle without an entry point acts as Python, whose first argument is the script.
        (true, false) => run_bundle(path, None, &arguments.command, host),
        (_, true) => {
            let mut again = vec![OsString::from("run")];
            again.extend(arguments.no_cache.then(|| OsString::from("--no-cache")));
            again.push(path.to_owned());
            again.extend_from_slice(if is_file { &arguments.command } else { rest });
            Err(restart(&again, host))
        }
    }
}

fn is_python_file(program: &OsStr) -> bool {
    program.as_encoded_bytes().ends_with(b".py")
}

/// The failure to run a Python file as a bundle, with what runs Python files.
fn instead_of_a_bundle(script: &OsStr, failure: Failure) -> Failure {
    let script = script.to_string_lossy();
    let next_step = format!(
        "a Python file is no bundle: `mmport run --with REQUIREMENT {script}` runs one with packages, \
         `mmport python {script}` without"
    );
    Failure { next_step: Some(next_step), ..failure }
}

fn run_bundle(
    path: &OsStr,
    entry: Option<&str>,
    arguments: &[OsString],
    host: Host,
) -> Result<i32, Failure> {
    let outcome = match host {
        Host::Embedded => embed::run_bundle_entry(path, entry, arguments),
        Host::Running => hosted::run_bundle(path, entry, arguments),
    };
    outcome.map_err(|error| match error {
        LaunchError::Misfit { .. } => run_elsewhere(path, entry, arguments, error),
        error => error.into(),
    })
}
