//! `mmport python`: the interpreter as plain Python.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use crate::embed::{self, hosted};

use super::failure::FAILED;
use super::{Failure, Host};

/// Arguments of `mmport python`.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(super) struct PythonArguments {
    /// Python's own arguments: -c, -m, a script, -, or none for the interactive interpreter.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Runs plain Python.
pub(super) fn python(arguments: PythonArguments, host: Host) -> Result<i32, Failure> {
    match host {
        Host::Embedded => {
            let mut argv = vec![OsString::from("python")];
            argv.extend(arguments.arguments);
            Ok(embed::run_python(&argv)?)
        }
        Host::Running => {
            let python = hosted::executable().map_err(Failure::from)?;
            let error = std::process::Command::new(&python).args(arguments.arguments).exec();
            Err(Failure {
                status: FAILED,
                message: format!("failed to start `{}`: {error}", python.display()),
                next_step: None,
            })
        }
    }
}
