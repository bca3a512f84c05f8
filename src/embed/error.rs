//! Why a bundle or an interpreter could not be started.

use std::path::PathBuf;

use crate::bundle::{BundleEntryPoint, BundleError, available_scripts};
use crate::native::StoreError;
use crate::python::MountError;

use super::identity::{FULL_VERSION, Misfit, STDLIB};

/// An error met before the program itself runs.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The bundle cannot be served.
    #[error(transparent)]
    Mount(#[from] MountError),

    /// The bundle was built for another Python or platform.
    #[error(
        "run bundle `{}`: it was built for {}, this mmport embeds {}",
        bundle.display(), misfit.expected, misfit.found
    )]
    Misfit {
        /// The bundle.
        bundle: PathBuf,
        /// What it needs and what there is.
        misfit: Misfit,
    },

    /// The executable is no longer the one that has started this process.
    #[error(
        "start the Python of `{}`: expected the standalone executable that `{}` is the runtime of, \
         found another file",
        bundle.display(), program.display()
    )]
    Replaced {
        /// What is there now.
        bundle: PathBuf,
        /// The runtime.
        program: PathBuf,
    },

    /// The entry point of the bundle is not what it was said to be.
    #[error("run entry point `{entry}` of bundle `{}`: {found}", bundle.display())]
    EntryPoint {
        /// The bundle.
        bundle: PathBuf,
        /// The entry point.
        entry: BundleEntryPoint,
        /// What is wrong with it.
        found: String,
    },

    /// No distribution in the bundle has such a script.
    #[error("run script `{name}` of bundle `{}`: {}", bundle.display(), available_scripts(available))]
    NoSuchScript {
        /// The bundle.
        bundle: PathBuf,
        /// The script that was asked for.
        name: String,
        /// The scripts that there are, nearest first.
        available: Vec<String>,
    },

    /// What the bundle has for `sys.prefix` cannot be brought out.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// An argument or path holds a NUL byte.
    #[error("start python: expected an argument without NUL bytes, found `{}`", argument.escape_debug())]
    Argument {
        /// The argument.
        argument: String,
    },

    /// CPython did not start.
    #[error("start python {FULL_VERSION} with its standard library in `{STDLIB}`: {message}")]
    Start {
        /// What CPython said.
        message: String,
    },

    /// Python refused what it was asked for by the command line.
    #[error("use the cache of code objects: {message}")]
    Tool {
        /// The Python exception.
        message: String,
    },

    /// The bridge could not be put in place, or a `.pth` file of the bundle asked to exit.
    #[error("prepare python for the bundle: {message}")]
    Install {
        /// The Python exception.
        message: String,
    },
}

impl LaunchError {
    /// The exit status that stands for this error.
    #[must_use]
    pub fn status(&self) -> u8 {
        match self {
            Self::Misfit { .. } => 126,
            Self::EntryPoint { .. } | Self::NoSuchScript { .. } => 127,
            _ => 125,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn next_step(&self) -> Option<String> {
        Some(match self {
            Self::Mount(MountError::Bundle(error)) => return error.next_step(),
            Self::Mount(MountError::Store(error)) | Self::Store(error) => error.next_step(),
            Self::Mount(MountError::Path(_)) => "move the bundle to a path in UTF-8".into(),
            Self::Misfit { bundle, .. } => format!(
                "rebuild `{}` with `mmport build --python` naming this Python, or run it with an \
                 mmport of the Python that it was built for",
                bundle.display()
            ),
            Self::Replaced { .. } => "start the program again".into(),
            Self::EntryPoint { bundle, .. } => {
                format!("`mmport inspect {}` lists its entry points", bundle.display())
            }
            Self::NoSuchScript { available, .. } if available.is_empty() => {
                "run it with MMPORT_INTERPRETER=1, which makes it Python: -m NAME runs a module"
                    .into()
            }
            Self::NoSuchScript { .. } => "name one of these, or module:function".into(),
            Self::Start { .. } => {
                "check that this Python is still installed there, or build mmport again".into()
            }
            Self::Argument { .. } | Self::Tool { .. } | Self::Install { .. } => return None,
        })
    }
}

impl From<BundleError> for LaunchError {
    fn from(error: BundleError) -> Self {
        Self::Mount(error.into())
    }
}
