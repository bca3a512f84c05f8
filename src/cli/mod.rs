//! The command line: arguments as typed, turned once into what is meant, and the exit status.
//!
//! One front end serves the native binary, which embeds an interpreter, and the pip package, which
//! runs inside the Python that it is installed in; [`Host`] says which, and only the subcommands
//! that run something look at it.
//!
//! | status | meaning |
//! | --- | --- |
//! | the program's own | `run` and `python`, once the program has started |
//! | 0 | done |
//! | 2 | the command line is wrong |
//! | 125 | mmport itself failed |
//! | 126 | the bundle does not fit this Python or platform |
//! | 127 | entry point not found |

use std::path::PathBuf;

use crate::embed::{hosted, identity};

mod arguments;
mod build;
mod cache;
mod cache_code;
mod failure;
mod fitting;
mod inspect;
mod link;
mod python;
mod run;
mod with;

pub use arguments::main;
pub use failure::Failure;

/// What executes Python code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// The interpreter that the native binary embeds and starts when it is needed.
    Embedded,
    /// The Python that imported the extension module and is running.
    Running,
}

impl Host {
    /// The interpreter that bundles are built for unless another is asked for.
    fn python(self) -> Result<PathBuf, Failure> {
        match self {
            Self::Embedded => Ok(identity::EXECUTABLE.into()),
            Self::Running => Ok(hosted::executable()?),
        }
    }
}
