//! Making each distribution's `RECORD` true: one row for every file of the distribution that is
//! in the bundle, with its hash and size, and none for what is not.
//!
//! A row's path may be relative to where the installer put things (`../../bin/tool`); those that
//! lie in the bundle are named by their entry. Bytecode gets a row without hash and size, as
//! installers write them.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use sha2::{Digest, Sha256};

use super::error::BuildError;
use super::tree::Tree;

/// Files that no row of hashes covers: the record itself and its signatures.
const UNHASHED: [&str; 3] = ["RECORD", "RECORD.jws", "RECORD.p7s"];

/// The files of one distribution, read from its `RECORD`.
#[derive(Debug)]
pub(super) struct Record {
    /// The record's own entry name.
    pub name: String,
    /// The distribution's entries in the bundle, sorted, with hash and size where they have one.
    rows: Vec<(String, Option<(String, u64)>)>,
    /// Directories at the root whose files have rows that lead out of the directory of packages.
    pub outside: BTreeSet<String>,
}

impl Record {
    /// The records of all distributions in `tree`, checked against its files.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`].
    pub(super) fn all(tree: &Tree) -> Result<Vec<Self>, BuildError> {
        (Self::names(tree).into_par_iter()).map(|name| Self::read(tree, name)).collect()
    }

    /// The entry names of all records in `tree`.
    pub(super) fn names(tree: &Tree) -> Vec<&str> {
        let is_record = |name: &&str| {
            name.split_once('/').is_some_and(|(directory, file)| {
                file == "RECORD" && directory.ends_with(".dist-info")
            })
        };
        tree.names().filter(is_record).collect()
    }

    /// Adds rows for `names` to the record in the metadata directory `metadata`, if there is one.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`].
    pub(super) fn extend(
        tree: &mut Tree,
        metadata: &str,
        names: &[String],
    ) -> Result<(), BuildError> {
        let record = format!("{metadata}/RECORD");
        let Some(item) = tree.get(&record).filter(|_| !names.is_empty()) else { return Ok(()) };
        let mut text = item.content.read()?.into_owned();
        if !text.is_empty() && !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        let failed = |source: csv::Error| BuildError::Read {
            path: record.clone().into(),
            source: source.into(),
        };
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(&mut text);
        for name in names {
            writer.write_record([name.as_str(), "", ""]).map_err(failed)?;
        }
        drop(writer);
        tree.set(&record, text);
        Ok(())
    }

    fn read(tree: &Tree, name: &str) -> Result<Self, BuildError> {
        let text = match tree.get(name) {
            Some(item) => item.content.read()?,
            None => {
                let (rows, outside) = (Vec::new(), BTreeSet::new());
                return Ok(Self { name: name.to_owned(), rows, outside });
            }
        };
        let directory = name.split_once('/').map_or("", |(directory, _)| directory);
        let mut outside = BTreeSet::new();
        let mut entries: Vec<String> = paths_in(text.as_ref())
            .filter_map(|path| {
                let entry = entry_of(tree, &path)?;
                if path.starts_with("../")
                    && let Some((directory, _)) = entry.split_once('/')
                {
                    outside.insert(directory.to_owned());
                }
                Some(entry)
            })
            .collect();
        // What installers add to the metadata without a row, and what the row of was lost.
        let prefix = format!("{directory}/");
        entries.extend(tree.names().filter(|name| name.starts_with(&prefix)).map(str::to_owned));
        entries.sort_unstable();
        entries.dedup();
        let rows = (entries.into_par_iter())
            .map(|entry| {
                let unhashed =
                    (entry.strip_prefix(&prefix)).is_some_and(|file| UNHASHED.contains(&file));
                let evidence = match tree.get(&entry) {
                    Some(item) if !unhashed => {
                        let bytes = item.content.read()?;
                        Some((URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes)), bytes.len() as u64))
                    }
                    _ => None,
                };
                Ok((entry, evidence))
            })
            .collect::<Result<_, BuildError>>()?;
        Ok(Self { name: name.to_owned(), rows, outside })
    }

    /// The distribution's entries in the bundle.
    pub(super) fn entries(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|(entry, _)| entry.as_str())
    }

    /// The record's text, with rows for the bytecode that `bytecode_of` names for a source.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`] when the rows cannot be written, which memory alone could cause.
    pub(super) fn text(
        &self,
        bytecode_of: impl Fn(&str) -> Vec<String>,
    ) -> Result<Vec<u8>, BuildError> {
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        let failed = |source: csv::Error| BuildError::Read {
            path: self.name.clone().into(),
            source: source.into(),
        };
        for (entry, evidence) in &self.rows {
            let (hash, size) = match evidence {
                Some((hash, size)) => (format!("sha256={hash}"), size.to_string()),
                None => (String::new(), String::new()),
            };
            writer.write_record([entry.as_str(), &hash, &size]).map_err(failed)?;
            for bytecode in bytecode_of(entry) {
                writer.write_record([bytecode.as_str(), "", ""]).map_err(failed)?;
            }
        }
        writer.into_inner().map_err(|error| BuildError::Read {
            path: self.name.clone().into(),
            source: error.into_error(),
        })
    }
}

/// The paths that the rows of a record name.
pub(super) fn paths_in(text: &[u8]) -> impl Iterator<Item = String> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(text)
        .into_records()
        // A row that cannot be read is a row that cannot be true.
        .filter_map(Result::ok)
        .filter_map(|row| row.get(0).map(str::to_owned))
}

/// The entry that a row's path means, if it is in the bundle.
fn entry_of(tree: &Tree, path: &str) -> Option<String> {
    let mut entry = path;
    // pip counts from `lib/python`, which a target directory does not have: files of the data
    // scheme lie beside the packages there.
    while let Some(rest) = entry.strip_prefix("../") {
        entry = rest;
    }
    let entry = entry.strip_prefix("./").unwrap_or(entry);
    tree.contains(entry).then(|| entry.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_what_the_bundle_holds() {
        let mut tree = Tree::default();
        for (name, text) in [
            ("a/__init__.py", "x = 1\n"),
            ("a/bad.py", "print 1\n"),
            ("a/d,ata.txt", "abc"),
            ("share/a.txt", "s"),
            ("a-1.dist-info/INSTALLER", "pip\n"),
        ] {
            tree.set(name, text.as_bytes().to_vec());
        }
        let record = "a/__init__.py,sha256=wrong,6\na/bad.py,,\n\"a/d,ata.txt\",,\n\
                      ../../bin/a,sha256=x,1\n../../share/a.txt,,\na-1.dist-info/RECORD,,\n\
                      a/__pycache__/bad.cpython-311.pyc,,\n";
        tree.set("a-1.dist-info/RECORD", record.as_bytes().to_vec());
        let records = Record::all(&tree).unwrap();
        let compiled = |name: &str| match name {
            "a/__init__.py" => vec!["a/__init__.pyc".to_owned()],
            _ => Vec::new(),
        };
        let text = records[0].text(compiled).unwrap();
        let text = String::from_utf8(text).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "a-1.dist-info/INSTALLER,sha256=zuuue4knoyJ-UwPPXg8fezS7VCrXJQrAP7zeNuwvFQg,4"
        );
        assert_eq!(lines[1], "a-1.dist-info/RECORD,,");
        assert!(lines[2].starts_with("a/__init__.py,sha256=") && lines[2].ends_with(",6"));
        assert!(!lines[2].contains("wrong"));
        assert_eq!(lines[3], "a/__init__.pyc,,");
        assert!(lines[4].starts_with("a/bad.py,sha256="));
        assert!(lines[5].starts_with("\"a/d,ata.txt\",sha256="));
        assert!(lines[6].starts_with("share/a.txt,"));
        assert_eq!(lines.len(), 7);
    }
}
