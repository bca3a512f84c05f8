//! Why a library could not be opened: the loader's words, and what they are about.
//!
//! The loader names a file that is missing or wrong, but not who asked for it. Here the libraries of
//! the bundle that the opened one needs are gone through for the one that the words are about.

use std::collections::BTreeSet;

use crate::bundle::{Bundle, Distribution};

use super::LibraryError;
use super::elf::DynamicSection;
use super::needs::{needed_entries, search_directories};

/// The words that a C library other than glibc is known by.
const OTHER_LIBC: &str = "musl";

/// The error for the library `name`, about which the loader said `words` when it was opened from its
/// file, or else from memory.
pub(super) fn explain(bundle: &Bundle, name: &str, words: String, is_file: bool) -> LibraryError {
    let (asking, section) = asking_library(bundle, name, &words).unwrap_or((name.to_owned(), None));
    let mut facts = match distribution_of(bundle, &asking) {
        Some(Distribution { name, version, .. }) => {
            format!("asked for by `{asking}` of {name} {version}")
        }
        None => format!("asked for by `{asking}`"),
    };
    facts += &format!(" in bundle `{}`", bundle.path().display());
    if !is_file {
        facts += "; opened from memory, because no file of it can be loaded: that takes `/proc`, and \
                  finds needed libraries only by the name in their `DT_SONAME`";
    }
    if let Some(section) = section {
        if let Some(missing) = missing_library(&section, &words) {
            facts += &format!("; looked for in {}", places(&asking, &section));
            if missing.contains(OTHER_LIBC) {
                facts += "; it was built for the C library musl";
            }
        }
        if let Some(ours) = DynamicSection::of_this_process()
            && (ours.machine, ours.is_64_bit) != (section.machine, section.is_64_bit)
        {
            facts += &format!(
                "; expected a library for {}, found one for {}",
                ours.architecture(),
                section.architecture()
            );
        }
    }
    LibraryError::Open { words, facts }
}

/// The library that the words are about, and its dynamic section: the one of those needed that
/// needs a library which is named as missing, or that is named itself; else the opened one.
fn asking_library(
    bundle: &Bundle,
    name: &str,
    words: &str,
) -> Option<(String, Option<DynamicSection>)> {
    let mut left = vec![name.to_owned()];
    let mut seen = BTreeSet::new();
    let mut first = None;
    while let Some(name) = left.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(section) = bundle.read(&name).ok().and_then(|data| DynamicSection::parse(&data))
        else {
            first.get_or_insert((name, None));
            continue;
        };
        if missing_library(&section, words).is_some() {
            return Some((name, Some(section)));
        }
        left.extend(needed_entries(bundle, &name, &section));
        first.get_or_insert((name, Some(section)));
    }
    first
}

/// The needed library with whose name the words begin, as the loader's do when it is missing.
fn missing_library<'section>(
    section: &'section DynamicSection,
    words: &str,
) -> Option<&'section str> {
    section
        .needed
        .iter()
        .map(String::as_str)
        .find(|needed| words.strip_prefix(needed).is_some_and(|rest| rest.starts_with(':')))
}

/// Where the loader looks for what a library needs.
fn places(name: &str, section: &DynamicSection) -> String {
    let mut places: Vec<String> = search_directories(name, section)
        .zip(&section.search)
        .map(|(directory, written)| match directory {
            Some(directory) => format!("`{directory}` of the bundle"),
            None => format!("`{written}`"),
        })
        .collect();
    if let Some(path) = std::env::var_os("LD_LIBRARY_PATH").filter(|path| !path.is_empty()) {
        places.push(format!("LD_LIBRARY_PATH `{}`", path.to_string_lossy()));
    }
    places.push("the system's library folders".into());
    places.join(", ")
}

/// The distribution in whose RECORD the entry is.
fn distribution_of(bundle: &Bundle, name: &str) -> Option<Distribution> {
    let is_listed = |record: &[u8]| {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(record)
            .byte_records()
            .any(|row| row.is_ok_and(|row| row.get(0) == Some(name.as_bytes())))
    };
    bundle.metadata_directories().into_iter().find_map(|directory| {
        let record = bundle.read(&format!("{directory}/RECORD")).ok()?;
        if !is_listed(&record) {
            return None;
        }
        let metadata = bundle.read(&format!("{directory}/METADATA")).unwrap_or_default();
        Some(Distribution::parse(directory, &metadata))
    })
}
