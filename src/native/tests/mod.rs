//! Tests of units, trees and libraries on real bundles, directories and shared libraries.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::bundle::{Bundle, Suffixes};

use super::{Tree, Units};

mod libraries;
mod trees;
mod units;

struct Fixture {
    directory: tempfile::TempDir,
    bundle: Bundle,
}

impl Fixture {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            let mode = if name.ends_with(".sh") { 0o755 } else { 0o644 };
            writer.start_file(*name, SimpleFileOptions::default().unix_permissions(mode)).unwrap();
            writer.write_all(content).unwrap();
        }
        Self::of_bytes(&writer.finish().unwrap().into_inner())
    }

    fn of_bytes(data: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.zip");
        fs::write(&path, data).unwrap();
        let suffixes = Suffixes::new([".abi3.so", ".so"], "cpython-311", 0);
        Self { bundle: Bundle::open(&path, suffixes).unwrap(), directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// The files in the tree, without those that are the store's own.
    fn packages(&self) -> PathBuf {
        let trees: Vec<PathBuf> = fs::read_dir(self.root().join("trees-v2"))
            .map(|trees| trees.map(|tree| tree.unwrap().path()).collect())
            .unwrap_or_default();
        assert!(trees.len() <= 1, "{trees:?}");
        trees.first().map_or(self.root(), |tree| tree.join("site-packages"))
    }

    fn tree(&self) -> Tree {
        Tree::in_roots(Units::default(), vec![self.root()])
    }
}

const PACKAGES: &[(&str, &[u8])] = &[
    ("pure/__init__.py", b""),
    ("pure/sub/mod.py", b""),
    ("data/__init__.py", b"x = 1\n"),
    ("data/__init__.pyc", b"code"),
    ("data/deep/er/table.txt", b"table"),
    ("data/tool.sh", b"#!/bin/sh\n"),
    ("space/inner/__init__.py", b""),
    ("space/inner/list.json", b"[]"),
    ("space/other/__init__.py", b""),
    ("space/near.abi3.so", b"not really ELF"),
    ("lone.abi3.so", b"not really ELF"),
    ("libs.libs/liba.so.1", b"not really ELF"),
    ("other/data/__init__.py", b""),
    ("other/data/a.txt", b"a"),
];

fn files_below(directory: &Path) -> Vec<(String, Vec<u8>, u32)> {
    let mut files: Vec<_> = walkdir::WalkDir::new(directory)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let name = entry.path().strip_prefix(directory).unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (name.to_str().unwrap().to_owned(), fs::read(entry.path()).unwrap(), mode)
        })
        .collect();
    files.sort();
    files
}
