//! What is in a bundle, for people: distributions, entry points, bytecode, extension modules.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Bundle, BundleError, is_shared_library};

/// Magic numbers of released CPythons, from `Lib/importlib/_bootstrap_external.py`.
const MAGIC_NUMBERS: &[(u16, &str)] = &[
    (3413, "3.8"),
    (3425, "3.9"),
    (3439, "3.10"),
    (3495, "3.11"),
    (3531, "3.12"),
    (3571, "3.13"),
    (3627, "3.14"),
];

/// A distribution inside a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// Its name, as its metadata spells it.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A console script or other entry point of a distribution inside a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ScriptEntryPoint {
    /// Name of the script.
    pub name: String,
    /// `module:object`
    pub value: String,
    /// `console_scripts` or `gui_scripts`
    pub group: String,
}

/// Sizes of a kind of entries, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sizes {
    /// How many entries.
    pub entries: usize,
    /// Their data.
    pub bytes: u64,
    /// What they take in the file.
    pub compressed: u64,
}

/// What is in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Contents {
    /// Distributions, by name.
    pub distributions: Vec<Distribution>,
    /// Scripts, by name.
    pub scripts: Vec<ScriptEntryPoint>,
    /// Modules and packages that can be imported.
    pub modules: usize,
    /// How many bytecode entries there are for which Python.
    pub bytecode: BTreeMap<String, usize>,
    /// Extension modules and shared libraries, by name.
    pub libraries: Vec<String>,
    /// Sizes by kind: `source`, `bytecode`, `library`, `metadata`, `data`.
    pub sizes: BTreeMap<&'static str, Sizes>,
}

impl Bundle {
    /// Lists what is in the bundle.
    ///
    /// # Errors
    /// [`BundleError`], when the central directory or the metadata of a distribution is not sound.
    pub fn contents(&self) -> Result<Contents, BundleError> {
        let mut contents = Contents {
            distributions: Vec::new(),
            scripts: Vec::new(),
            modules: self.module_count(),
            bytecode: BTreeMap::new(),
            libraries: Vec::new(),
            sizes: BTreeMap::new(),
        };
        let mut scripts = BTreeSet::new();
        for entry in self.entries_below("")?.iter().filter(|entry| !entry.is_directory()) {
            let name = entry.name();
            let (directory, base) = name.rsplit_once('/').unwrap_or(("", &name));
            let is_metadata = directory
                .split('/')
                .next()
                .is_some_and(|top| top.ends_with(".dist-info") || top.ends_with(".egg-info"));
            let kind = if is_metadata {
                "metadata"
            } else if base.ends_with(".py") {
                "source"
            } else if base.ends_with(".pyc") {
                let data = entry.read_unverified()?;
                *contents.bytecode.entry(python_of(&data)).or_default() += 1;
                "bytecode"
            } else if is_shared_library(base.as_bytes()) {
                contents.libraries.push(name.clone().into_owned());
                "library"
            } else {
                "data"
            };
            let sizes = contents.sizes.entry(kind).or_default();
            sizes.entries += 1;
            sizes.bytes += entry.size();
            sizes.compressed += entry.compressed_size();
            match (is_metadata && !directory.contains('/'), base) {
                (true, "METADATA" | "PKG-INFO") => {
                    contents.distributions.push(distribution(&entry.read()?));
                }
                (true, "entry_points.txt") => scripts.extend(script_entries(&entry.read()?)),
                _ => {}
            }
        }
        contents.scripts = scripts.into_iter().collect();
        contents.distributions.sort_by_key(|distribution| distribution.name.to_lowercase());
        Ok(contents)
    }

    /// Reads every entry and checks its size and checksum; returns how many there are.
    ///
    /// # Errors
    /// [`BundleError`] for the first entry that is not sound.
    pub fn verify(&self) -> Result<usize, BundleError> {
        let entries = self.entries_below("")?;
        for entry in &entries {
            entry.read()?;
        }
        Ok(entries.len())
    }
}

/// Which Python wrote a `.pyc`, by its magic number.
fn python_of(data: &[u8]) -> String {
    let &[low, high, ..] = data else { return "none (cut off)".into() };
    let magic = u16::from_le_bytes([low, high]);
    MAGIC_NUMBERS
        .iter()
        .find(|(number, _)| *number == magic)
        .map_or_else(|| format!("magic number {magic}"), |(_, version)| (*version).to_owned())
}

/// Name and version from the headers of core metadata.
fn distribution(metadata: &[u8]) -> Distribution {
    let text = String::from_utf8_lossy(metadata);
    let field = |name: &str| {
        text.lines()
            .take_while(|line| !line.is_empty())
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map_or_else(String::new, |value| value.trim().to_owned())
    };
    Distribution { name: field("Name"), version: field("Version") }
}

/// The scripts in an `entry_points.txt`.
fn script_entries(text: &[u8]) -> Vec<ScriptEntryPoint> {
    let text = String::from_utf8_lossy(text);
    let mut group = "";
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            group = name.trim();
        } else if !line.starts_with(['#', ';'])
            && matches!(group, "console_scripts" | "gui_scripts")
            && let Some((name, value)) = line.split_once('=')
        {
            entries.push(ScriptEntryPoint {
                name: name.trim().to_owned(),
                value: value.trim().to_owned(),
                group: group.to_owned(),
            });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_ends_at_the_first_empty_line() {
        let found = distribution(b"Metadata-Version: 2.1\nName: a-b\nVersion: 1.0\n\nName: no\n");
        assert_eq!(found, Distribution { name: "a-b".into(), version: "1.0".into() });
    }

    #[test]
    fn scripts_are_told_from_other_entry_points() {
        let text = b"[console_scripts]\na = m:f\n# b = c\n[plugins]\nx = y\n[gui_scripts]\nz=m:g\n";
        let names: Vec<String> = script_entries(text).into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["a", "z"]);
    }

    #[test]
    fn bytecode_is_named_by_its_python() {
        assert_eq!(python_of(&3495_u16.to_le_bytes()), "3.11");
        assert_eq!(python_of(&1_u16.to_le_bytes()), "magic number 1");
        assert_eq!(python_of(b"a"), "none (cut off)");
    }
}
