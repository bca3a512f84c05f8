//! Tests of units and trees on real bundles and directories.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::bundle::{Bundle, Suffixes};

use super::{MaterializeRules, StoreError, Tree, Units};

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

#[test]
fn units_are_the_topmost_regular_packages_that_carry_files() {
    let fixture = Fixture::new(PACKAGES);
    let cases = [
        ("pure", None),
        ("pure/sub", None),
        ("data", Some("data")),
        ("data/deep/er", Some("data")),
        ("space", None),
        ("space/inner", Some("space/inner")),
        ("space/other", None),
        ("absent", None),
        ("", None),
    ];
    for (directory, unit) in cases {
        let found = Units::default().of_directory(&fixture.bundle, directory);
        assert_eq!(found, unit, "{directory}");
    }
}

#[test]
fn globs_add_and_spare_packages_by_dotted_name() {
    let fixture = Fixture::new(PACKAGES);
    let texts = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
    let rules = MaterializeRules::new(&texts(&["p*", "data"]), &texts(&["space.*"])).unwrap();
    let units = Units::new(rules);
    for (directory, unit) in
        [("pure/sub", Some("pure")), ("data", Some("data")), ("space/inner", None)]
    {
        assert_eq!(units.of_directory(&fixture.bundle, directory), unit, "{directory}");
    }
    assert!(MaterializeRules::new(&texts(&["a["]), &[]).is_err());
}

#[test]
fn a_unit_is_brought_out_whole_and_read_only() {
    let fixture = Fixture::new(PACKAGES);
    let tree = fixture.tree();
    let location = tree.materialize(&fixture.bundle, "data").unwrap();
    let expected: Vec<(String, Vec<u8>, u32)> = vec![
        ("__init__.py".into(), b"x = 1\n".into(), 0o444),
        ("deep/er/table.txt".into(), b"table".into(), 0o444),
        ("tool.sh".into(), b"#!/bin/sh\n".into(), 0o555),
    ];
    assert_eq!(files_below(&location.join("data")), expected);
    // Nothing else: no other unit, no staging directory.
    let names: Vec<_> = fs::read_dir(location).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["data"]);
    assert_eq!(fs::metadata(fixture.root()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_there_is_not_written_again() {
    let fixture = Fixture::new(PACKAGES);
    let location = fixture.tree().materialize(&fixture.bundle, "data").unwrap().to_owned();
    // A mark that a second writing would remove.
    let mark = location.join("data/mark");
    fs::write(&mark, b"").unwrap();
    assert_eq!(fixture.tree().materialize(&fixture.bundle, "data").unwrap(), location);
    assert!(mark.exists());
}

#[test]
fn single_files_and_namespace_portions_keep_their_place() {
    let fixture = Fixture::new(PACKAGES);
    let tree = fixture.tree();
    for (name, unit) in [
        ("lone.abi3.so", "lone.abi3.so"),
        ("libs.libs/liba.so.1", "libs.libs/liba.so.1"),
        ("space/near.abi3.so", "space/near.abi3.so"),
        ("space/inner/list.json", "space/inner"),
    ] {
        assert_eq!(tree.units().holding_file(&fixture.bundle, name), unit);
        let location = tree.materialize(&fixture.bundle, unit).unwrap();
        assert_eq!(fs::read(location.join(name)).unwrap(), *fixture.bundle.read(name).unwrap());
    }
}

#[test]
fn many_writers_at_once_agree() {
    let fixture = Fixture::new(PACKAGES);
    let locations: Vec<PathBuf> = std::thread::scope(|scope| {
        let run = || fixture.tree().materialize(&fixture.bundle, "data").unwrap().to_owned();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(locations.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(files_below(&locations[0].join("data")).len(), 3);
    assert_eq!(fs::read_dir(&locations[0]).unwrap().count(), 1, "staging directories are left");
}

#[test]
fn a_killed_writer_leaves_nothing_that_is_taken_for_a_unit() {
    let fixture = Fixture::new(PACKAGES);
    let location = fixture.tree().materialize(&fixture.bundle, "space/inner").unwrap().to_owned();
    // What a process leaves that is killed in the middle of writing `data`.
    let staging = location.join(".staging-killed/unit");
    fs::create_dir_all(&staging).unwrap();
    fs::write(staging.join("__init__.py"), b"x =").unwrap();
    fixture.tree().materialize(&fixture.bundle, "data").unwrap();
    assert_eq!(files_below(&location.join("data")).len(), 3);
}

#[test]
fn the_first_root_that_serves_is_taken() {
    let fixture = Fixture::new(PACKAGES);
    let file = fixture.directory.path().join("file");
    fs::write(&file, b"").unwrap();
    let shared = fixture.directory.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o777)).unwrap();
    let roots = vec![file.clone(), shared.clone(), fixture.root()];
    let tree = Tree::in_roots(Units::default(), roots);
    let location = tree.materialize(&fixture.bundle, "data").unwrap();
    assert!(location.starts_with(fixture.root()), "{}", location.display());

    let none = Tree::in_roots(Units::default(), vec![file, shared]);
    let error = none.materialize(&fixture.bundle, "data").unwrap_err();
    assert!(matches!(error, StoreError::NoRoot { .. }), "{error}");
    assert!(error.to_string().contains("everybody may write to it"), "{error}");
}

#[test]
fn overlapping_entries_are_refused() {
    // Many names for the same data, as a zip bomb has them: all headers point to the first entry.
    let content: Vec<u8> = (0..5000_u32).map(|n| (n * n / 7) as u8).collect();
    let names: Vec<String> = (0..20).map(|n| format!("data/file{n:02}.bin")).collect();
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("data/__init__.py", options).unwrap();
    for (number, name) in names.iter().enumerate() {
        writer.start_file(name.as_str(), options).unwrap();
        writer.write_all(if number == 0 { &content } else { b"" }).unwrap();
    }
    let mut data = writer.finish().unwrap().into_inner();
    let headers: Vec<usize> =
        (0..data.len() - 4).filter(|at| &data[*at..at + 4] == b"PK\x01\x02").collect();
    let first = headers[1];
    for header in &headers[2..] {
        // CRC, both sizes, and the offset of the local header.
        data.copy_within(first + 16..first + 28, header + 16);
        data.copy_within(first + 42..first + 46, header + 42);
    }
    let fixture = Fixture::of_bytes(&data);
    let error = fixture.tree().materialize(&fixture.bundle, "data").unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    assert!(files_below(&fixture.root()).is_empty());
}

#[test]
fn damaged_data_is_not_brought_out() {
    let fixture = Fixture::new(&[("data/__init__.py", b""), ("data/a.txt", b"some content")]);
    let mut data = fixture.bundle.bytes().to_vec();
    let at = fixture.bundle.entry("data/a.txt").unwrap().unwrap().data_offset().unwrap() as usize;
    data[at + 2] ^= 1;
    let fixture = Fixture::of_bytes(&data);
    let error = fixture.tree().materialize(&fixture.bundle, "data").unwrap_err();
    assert!(matches!(error, StoreError::Read { .. }), "{error}");
    assert!(files_below(&fixture.root()).is_empty());
}

#[test]
fn a_directory_that_is_no_package_is_never_taken_for_complete() {
    let fixture = Fixture::new(PACKAGES);
    let tree = fixture.tree();
    tree.materialize(&fixture.bundle, "space/inner").unwrap();
    let unit = tree.units().holding_file(&fixture.bundle, "space/near.abi3.so");
    let location = tree.materialize(&fixture.bundle, unit).unwrap();
    assert!(location.join("space/near.abi3.so").is_file());
}
