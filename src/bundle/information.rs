//! What a bundle was built for: the entry `mmport.json` at its root.
//!
//! Facts that cannot be told from the rest of the zip and are needed before Python starts: which
//! Python and platform fit, and which entry point `__main__.py` calls. Nothing that the zip says
//! elsewhere is repeated here, so nothing here can be stale. A zip without it is served all the
//! same.

use serde::{Deserialize, Serialize};

use super::{Compression, StandalonePython};

/// Name of the entry.
pub const INFORMATION_ENTRY: &str = "mmport.json";

/// The layout that this version writes and reads.
pub const INFORMATION_FORMAT: u32 = 1;

/// What `mmport build` noted about a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInformation {
    /// Layout of this entry, [`INFORMATION_FORMAT`].
    pub format: u32,
    /// Version of mmport that built the bundle.
    pub mmport: String,
    /// The Python it was built for.
    pub python: TargetPython,
    /// Further Pythons that it was built for: it has bytecode for them too, and their extension modules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<TargetPython>,
    /// What `__main__.py` runs; `None` for a bundle that acts as Python.
    #[serde(default)]
    pub entry: Option<BundleEntryPoint>,
    /// Globs of packages that are materialized whatever they hold.
    #[serde(default)]
    pub materialize: Vec<String>,
    /// Globs of packages that are never materialized.
    #[serde(default)]
    pub no_materialize: Vec<String>,
    /// Directories at the root that belong below `sys.prefix`, such as `share`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<String>,
    /// How extension modules and shared libraries were to be kept, where there are any: as they
    /// are, unless this makes them smaller.
    #[serde(default)]
    pub libraries: Option<Compression>,
    /// What `site` would do for the installed distributions when Python starts.
    #[serde(default, skip_serializing_if = "SiteSetup::is_empty")]
    pub site: SiteSetup,
    /// The Python inside, in a standalone executable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standalone: Option<StandalonePython>,
}

impl BuildInformation {
    /// All Pythons that the bundle was built for.
    #[must_use]
    pub fn targets(&self) -> Vec<&TargetPython> {
        [&self.python].into_iter().chain(&self.also).collect()
    }

    /// All of them in words: `cpython 3.11, 3.13 on linux-x86_64`; without the platform where it does
    /// not matter.
    #[must_use]
    pub fn targets_as_text(&self) -> String {
        fn list<'text>(texts: impl Iterator<Item = &'text str>) -> String {
            let mut known: Vec<&str> = Vec::new();
            texts.for_each(|text| {
                if !known.contains(&text) {
                    known.push(text);
                }
            });
            known.join(", ")
        }
        let targets = self.targets();
        let versions = list(targets.iter().map(|target| &*target.version));
        let mut text = format!("{} {versions}", self.python.implementation);
        if self.python.native {
            text.push_str(" on ");
            text.push_str(&list(targets.iter().map(|target| &*target.platform)));
        }
        text
    }
}

/// What `site` does for a directory of packages before a program starts; nothing, for most bundles.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteSetup {
    /// The `.pth` files at the root that have something to do, in the order of their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_files: Vec<String>,
    /// Whether there is a module `sitecustomize`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub customize: bool,
}

impl SiteSetup {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.path_files.is_empty() && !self.customize
    }
}

/// A Python as far as a bundle depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetPython {
    /// `sys.implementation.name`: `cpython`.
    pub implementation: String,
    /// Major and minor version: `3.11`.
    pub version: String,
    /// `sys.implementation.cache_tag`: `cpython-311`.
    pub cache_tag: String,
    /// `SOABI`: `cpython-311-x86_64-linux-gnu`.
    pub soabi: String,
    /// `sysconfig.get_platform()`: `linux-x86_64`.
    pub platform: String,
    /// Whether the bundle holds extension modules or shared libraries, so that the platform has to
    /// match.
    pub native: bool,
}

/// What a bundle runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum BundleEntryPoint {
    /// A console script of a distribution.
    Script {
        /// Name of the script.
        name: String,
        /// Module that it imports.
        module: String,
        /// What it calls in there; may be dotted.
        object: String,
    },
    /// `-e module:function`
    Object {
        /// Module that is imported.
        module: String,
        /// What is called in there; may be dotted.
        object: String,
    },
    /// `-m name`
    Module {
        /// The module or package.
        name: String,
    },
    /// A `__main__.py` of the bundle's own.
    Main,
}

/// Why `mmport.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum InformationError {
    /// It is not the JSON that this version expects.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It has another layout.
    #[error("format {0}")]
    Format(u64),
}

impl BuildInformation {
    /// Parses the entry's data.
    pub(super) fn parse(data: &[u8]) -> Result<Self, InformationError> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        // The format first: another layout should be named as such, not as a missing field.
        let Format { format } = serde_json::from_slice(data)?;
        if format != u64::from(INFORMATION_FORMAT) {
            return Err(InformationError::Format(format));
        }
        Ok(serde_json::from_slice(data)?)
    }
}

impl std::fmt::Display for BundleEntryPoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Script { name, module, object } => {
                write!(formatter, "{name} = {module}:{object}")
            }
            Self::Object { module, object } => write!(formatter, "{module}:{object}"),
            Self::Module { name } => write!(formatter, "-m {name}"),
            Self::Main => formatter.write_str("__main__.py"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the first version wrote, with what is put in for `more`.
    fn parse(more: &str) -> BuildInformation {
        let text = format!(
            r#"{{"format": 1, "mmport": "0.1.0", "python": {{"implementation": "cpython",
            "version": "3.11", "cache_tag": "cpython-311", "soabi": "cpython-311-x86_64-linux-gnu",
            "platform": "linux-x86_64", "native": true}}{more}}}"#
        );
        BuildInformation::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn how_libraries_are_kept_may_be_said() {
        assert_eq!(parse("").libraries, None);
        assert_eq!(parse(r#", "libraries": null"#).libraries, None);
        assert_eq!(parse(r#", "libraries": "zstd""#).libraries, Some(Compression::Zstd));
    }
}
