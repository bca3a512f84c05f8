//! The `mmport` command, with an interpreter inside.
//!
//! Started by a name that begins with `python` from a bundle's environment, it is that bundle's
//! Python instead.

use std::ffi::OsString;

use mmport::cli::{self, Failure, Host};
use mmport::embed;

fn main() {
    // Rust ignores SIGPIPE, and child processes would inherit that. Python sets its own handling.
    // SAFETY: resetting a signal to its default before any thread is started has no preconditions.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let program = arguments.first().map(OsString::as_os_str);
    let status = match program.and_then(embed::bundle_of_executable) {
        Some((bundle, environment)) => {
            let started = mmport::trace::start_log().map_err(Failure::from).and_then(|()| {
                embed::run_bundle_python(&bundle, &environment, &arguments).map_err(Failure::from)
            });
            started.unwrap_or_else(|failure| {
                failure.report();
                failure.status.into()
            })
        }
        None => cli::main(arguments, Host::Embedded),
    };
    std::process::exit(status);
}
