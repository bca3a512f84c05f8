//! What is in a bundle, for people: distributions, entry points, bytecode, extension modules.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Bundle, BundleError, Distribution, Entry, ScriptEntryPoint, is_metadata_directory,
    is_shared_library,
};

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

impl Sizes {
    fn add(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        self.bytes += entry.size();
        self.compressed += entry.compressed_size();
    }
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
    /// Sizes of the libraries by how they lie in the file: `stored`, `deflated`, `zstd`.
    pub library_sizes: BTreeMap<String, Sizes>,
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
            library_sizes: BTreeMap::new(),
        };
        let mut scripts = BTreeSet::new();
        for entry in self.entries_below("")?.iter().filter(|entry| !entry.is_directory()) {
            let name = entry.name();
            let (directory, base) = name.rsplit_once('/').unwrap_or(("", &name));
            let top = directory.split('/').next().unwrap_or_default();
            let is_metadata = is_metadata_directory(top);
            let kind = if is_metadata {
                "metadata"
            } else if base.ends_with(".py") {
                "source"
            } else if base.ends_with(".pyc") {
                // `verify` says what is wrong with it.
                let python = entry.read_with(python_of).unwrap_or_else(|_| "none (damaged)".into());
                *contents.bytecode.entry(python).or_default() += 1;
                "bytecode"
            } else if is_shared_library(base.as_bytes()) {
                contents.libraries.push(name.clone().into_owned());
                "library"
            } else {
                "data"
            };
            contents.sizes.entry(kind).or_default().add(entry);
            if kind == "library" {
                let compression = match entry.compression() {
                    Some(compression) => compression.to_string(),
                    None => "unknown".to_owned(),
                };
                contents.library_sizes.entry(compression).or_default().add(entry);
            }
            match (is_metadata && !directory.contains('/'), base) {
                (true, "METADATA" | "PKG-INFO") => {
                    contents.distributions.push(Distribution::parse(directory, &entry.read()?));
                }
                (true, "entry_points.txt") => {
                    scripts.extend(ScriptEntryPoint::parse(&entry.read()?))
                }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_is_named_by_its_python() {
        assert_eq!(python_of(&3495_u16.to_le_bytes()), "3.11");
        assert_eq!(python_of(&1_u16.to_le_bytes()), "magic number 1");
        assert_eq!(python_of(b"a"), "none (cut off)");
    }
}
