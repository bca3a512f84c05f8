//! The arguments as typed, and the way from them to the subcommands.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::trace::start_log;

use super::build::BuildArguments;
use super::cache::CacheArguments;
use super::inspect::InspectArguments;
use super::link::LinkArguments;
use super::python::PythonArguments;
use super::run::RunArguments;
use super::{Failure, Host};

/// Python imports served by Rust from memory-mapped zip bundles.
#[derive(Debug, Parser)]
#[command(
    name = "mmport",
    version,
    after_help = "Exit status: the program's own for `run` and `python`; 2 usage; 125 mmport \
                  failed; 126 the bundle does not fit this Python or platform; 127 entry point not \
                  found.\nMMPORT_LOG=mmport=debug shows every find_spec and exec_module on stderr."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a bundle: an application and its dependencies in one file.
    Build(Box<BuildArguments>),
    /// Run a bundle, or a script with packages from a package index.
    Run(RunArguments),
    /// Run plain Python, with Python's own arguments.
    Python(PythonArguments),
    /// Show what is in a bundle.
    Inspect(InspectArguments),
    /// Make links to a bundle that start the scripts in it.
    Link(LinkArguments),
    /// Show, prune, clear or verify what mmport keeps on disk.
    Cache(CacheArguments),
}

/// Runs the command line `arguments`, of which the first is the program's name; returns the exit
/// status. Failures are reported on standard error.
pub fn main(arguments: Vec<OsString>, host: Host) -> i32 {
    let command = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments.command,
        Err(error) => {
            // To standard output for `--help` and `--version`. A closed pipe is not our failure.
            let _ = error.print();
            return error.exit_code();
        }
    };
    let outcome = start_log().map_err(Failure::from).and_then(|()| match command {
        Command::Build(arguments) => super::build::build(*arguments, host).map(|()| 0),
        Command::Run(arguments) => super::run::run(arguments, host),
        Command::Python(arguments) => super::python::python(arguments, host),
        Command::Inspect(arguments) => super::inspect::inspect(&arguments).map(|()| 0),
        Command::Link(arguments) => super::link::link(&arguments).map(|()| 0),
        Command::Cache(arguments) => super::cache::cache(&arguments).map(|()| 0),
    });
    outcome.unwrap_or_else(|failure| {
        failure.report();
        failure.status.into()
    })
}
