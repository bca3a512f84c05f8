//! Why a bundle, or one of its entries, cannot be read.
//!
//! Every variant names the file and, where there is one, the byte offset or the entry; what was
//! expected and what was found are separate fields so that the message can say both.

use std::io;
use std::path::PathBuf;

/// An error met while opening a bundle or reading an entry of it.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file could not be opened or mapped.
    #[error("open bundle `{}`", path.display())]
    Open {
        /// The bundle.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },

    /// The path names something that is not a regular file.
    #[error("open bundle `{}`: expected a regular file, found {found}", path.display())]
    NotAFile {
        /// The bundle.
        path: PathBuf,
        /// What the path names.
        found: &'static str,
    },

    /// The file has no end-of-central-directory record, so it is no zip, or was cut off.
    #[error(
        "read bundle `{}`: not a zip: expected an end-of-central-directory record in the last \
         {searched} of {size} bytes, found none (the file starts with {found})",
        path.display()
    )]
    NotAZip {
        /// The bundle.
        path: PathBuf,
        /// Size of the file in bytes.
        size: usize,
        /// How many bytes at the end were searched.
        searched: usize,
        /// The first bytes, printable.
        found: String,
    },

    /// A zip record reaches outside the file or has impossible values.
    #[error(
        "read bundle `{}`: {what} at offset {offset}: expected {expected}, found {found}",
        path.display()
    )]
    Corrupt {
        /// The bundle.
        path: PathBuf,
        /// Byte offset of the record in the file.
        offset: u64,
        /// The record or field.
        what: &'static str,
        /// What a sound bundle has there.
        expected: String,
        /// What this one has.
        found: String,
    },

    /// An entry cannot be served.
    #[error(
        "read entry `{entry}` of bundle `{}`: {what}: expected {expected}, found {found}",
        path.display()
    )]
    Entry {
        /// The bundle.
        path: PathBuf,
        /// Name of the entry.
        entry: String,
        /// The field or the data.
        what: &'static str,
        /// What a sound entry has.
        expected: String,
        /// What this one has.
        found: String,
    },

    /// The file was made shorter while it was in use.
    #[error(
        "read bundle `{}`: expected its {expected} bytes, found that it was cut off while in use",
        path.display()
    )]
    CutOff {
        /// The bundle.
        path: PathBuf,
        /// Size of the file in bytes when it was opened.
        expected: usize,
    },

    /// The bundle has no entry of that name.
    #[error("read entry `{entry}` of bundle `{}`: no such entry", path.display())]
    NoEntry {
        /// The bundle.
        path: PathBuf,
        /// The name asked for.
        entry: String,
    },
}

impl BundleError {
    /// What a person can do about it, as one line, or `None` where nothing useful can be said.
    #[must_use]
    pub fn next_step(&self) -> Option<String> {
        Some(match self {
            Self::Open { path, source } if source.kind() == io::ErrorKind::NotFound => {
                format!("check the path; `mmport build -o {}` makes one", path.display())
            }
            Self::Open { path, .. } => {
                format!("check who may read it: `ls -l {}`", path.display())
            }
            Self::NotAFile { .. } => {
                "name a bundle file, as `mmport build -o FILE` makes it".into()
            }
            Self::NotAZip { .. } | Self::Corrupt { .. } | Self::Entry { .. } => {
                "the file is damaged, cut off or no bundle: copy it again or rebuild it with \
                 `mmport build`"
                    .into()
            }
            Self::CutOff { .. } => "start the program again; replace a bundle in use by renaming \
                                    another file to its name, as `mmport build` does"
                .into(),
            Self::NoEntry { path, .. } => {
                format!("`mmport inspect {}` lists what is inside", path.display())
            }
        })
    }
}
