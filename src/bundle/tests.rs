//! Tests of bundles as a whole: against the zip crate as the reference, and with damaged ones.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::{Bundle, BundleError, Child, Found, FoundKind, Suffixes};

/// Entries of a bundle in the making.
type Files<'files> = &'files [(&'files str, &'files [u8])];

/// How data may lie in a bundle.
const METHODS: [CompressionMethod; 3] =
    [CompressionMethod::Stored, CompressionMethod::Deflated, CompressionMethod::Zstd];

fn suffixes() -> Suffixes {
    Suffixes::new([".cpython-311-x86_64-linux-gnu.so", ".abi3.so", ".so"], "cpython-311", 0)
}

fn zip_bytes(files: Files, method: CompressionMethod, prefix: &[u8]) -> Vec<u8> {
    let mut data = Cursor::new(prefix.to_vec());
    data.set_position(prefix.len() as u64);
    let mut writer = ZipWriter::new(data);
    let options = SimpleFileOptions::default().compression_method(method);
    for (name, content) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A bundle in a file of its own.
struct OnDisk {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl OnDisk {
    fn new(data: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bundle.zip");
        std::fs::write(&path, data).unwrap();
        Self { _directory: directory, path }
    }

    fn open(&self) -> Result<Bundle, BundleError> {
        Bundle::open(&self.path, suffixes())
    }
}

fn bundle_of(files: Files) -> (OnDisk, Bundle) {
    let disk = OnDisk::new(&zip_bytes(files, CompressionMethod::Stored, b""));
    let bundle = disk.open().unwrap();
    (disk, bundle)
}

/// What `find` says, as a word.
fn kind(bundle: &Bundle, prefix: &str, name: &str) -> &'static str {
    match bundle.find(prefix, name) {
        None => "nothing",
        Some(Found::NamespacePortion) => "namespace",
        Some(Found::Module(found)) => match (found.is_package, found.kind) {
            (true, FoundKind::Source { beside: None, cached: None, .. }) => "package source",
            (true, FoundKind::Source { .. }) => "package source and bytecode",
            (true, FoundKind::Bytecode(_)) => "package bytecode",
            (true, FoundKind::Extension(_)) => "package extension",
            (false, FoundKind::Source { beside: None, cached: None, .. }) => "source",
            (false, FoundKind::Source { cached: Some(_), .. }) => "source and cached bytecode",
            (false, FoundKind::Source { .. }) => "source and bytecode",
            (false, FoundKind::Bytecode(_)) => "bytecode",
            (false, FoundKind::Extension(_)) => "extension",
        },
    }
}

#[test]
fn names_are_found_in_the_order_of_file_finder() {
    let (_disk, bundle) = bundle_of(&[
        ("plain.py", b""),
        ("compiled.pyc", b""),
        ("both.py", b""),
        ("both.pyc", b""),
        ("cached.py", b""),
        ("__pycache__/cached.cpython-311.pyc", b""),
        ("__pycache__/cached.cpython-312.pyc", b""),
        ("__pycache__/orphan.cpython-311.pyc", b""),
        ("native.cpython-311-x86_64-linux-gnu.so", b""),
        ("native.py", b""),
        ("other.cpython-312-x86_64-linux-gnu.so", b""),
        ("stable.abi3.so", b""),
        ("pkg/__init__.py", b""),
        ("pkg.py", b""),
        ("pkg/sub/mod.py", b""),
        ("pkg/sub/deep/__init__.pyc", b""),
        ("pkg/data/file.txt", b""),
        ("space/a/b.py", b""),
        ("mixed/x.txt", b""),
        ("mixed.py", b""),
    ]);
    let cases = [
        ("", "plain", "source"),
        ("", "compiled", "bytecode"),
        ("", "both", "source and bytecode"),
        ("", "cached", "source and cached bytecode"),
        ("", "orphan", "nothing"),
        ("", "native", "extension"),
        ("", "other", "nothing"),
        ("", "stable", "extension"),
        ("", "pkg", "package source"),
        ("pkg/", "sub", "namespace"),
        ("pkg/sub/", "mod", "source"),
        ("pkg/sub/", "deep", "package bytecode"),
        ("pkg/", "data", "namespace"),
        ("", "space", "namespace"),
        ("space/", "a", "namespace"),
        ("space/a/", "b", "source"),
        ("", "mixed", "source"),
        ("", "absent", "nothing"),
        ("pkg/", "plain", "nothing"),
        ("", "", "nothing"),
        ("", "pkg/sub", "nothing"),
        ("pkg/", "__init__", "source"),
        ("pkg/sub/", "__init__", "nothing"),
    ];
    for (prefix, name, expected) in cases {
        assert_eq!(kind(&bundle, prefix, name), expected, "{prefix}{name}");
    }
}

#[test]
fn packages_that_carry_files_are_known_with_all_above_them() {
    let (_disk, bundle) = bundle_of(&[
        ("pure/__init__.py", b""),
        ("pure/py.typed", b""),
        ("pure/mod.pyi", b""),
        ("data/__init__.py", b""),
        ("data/a/b/c.txt", b""),
        ("native/__init__.py", b""),
        ("native/_x.abi3.so", b""),
    ]);
    for (directory, expected) in [
        ("pure", false),
        ("data", true),
        ("data/a", true),
        ("data/a/b", true),
        ("native", true),
        ("absent", false),
    ] {
        assert_eq!(bundle.carries_files(directory), expected, "{directory}");
    }
}

#[test]
fn every_entry_reads_as_the_zip_crate_reads_it() {
    let large: Vec<u8> = (0..100_000_u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let files: Files = &[
        ("a.py", b"x = 1\n"),
        ("empty", b""),
        ("pkg/large.bin", &large),
        ("p\u{e9}/\u{4f60}.py", b"pass"),
    ];
    for method in METHODS {
        for prefix in [&b""[..], b"#!/usr/bin/env python\n"] {
            let data = zip_bytes(files, method, prefix);
            let disk = OnDisk::new(&data);
            let bundle = disk.open().unwrap();
            let mut reference = ZipArchive::new(Cursor::new(&data)).unwrap();
            assert_eq!(bundle.entry_count(), reference.len());
            for number in 0..reference.len() {
                let mut file = reference.by_index(number).unwrap();
                let mut content = Vec::new();
                file.read_to_end(&mut content).unwrap();
                let name = file.name().unwrap().into_owned();
                let entry = bundle.entry(&name).unwrap().unwrap();
                assert_eq!(entry.read().unwrap(), content, "{name}");
                assert_eq!(entry.size(), file.size());
                assert_eq!(entry.crc(), file.crc32());
                assert_eq!(Some(entry.data_offset().unwrap()), file.data_start());
                assert_eq!(entry.is_stored(), method == CompressionMethod::Stored);
            }
        }
    }
}

#[test]
fn bytes_put_before_a_finished_zip_are_accounted_for() {
    let zip = zip_bytes(&[("a.py", b"x = 1")], CompressionMethod::Stored, b"");
    let disk = OnDisk::new(&[b"#!/bin/sh\n".as_slice(), &zip].concat());
    assert_eq!(&*disk.open().unwrap().read("a.py").unwrap(), b"x = 1");
}

#[test]
fn a_zip64_directory_is_read() {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options =
        SimpleFileOptions::default().compression_method(CompressionMethod::Stored).large_file(true);
    for number in 0..70_000 {
        writer.start_file(format!("m{number}.py"), options).unwrap();
    }
    writer.start_file("last.py", options).unwrap();
    writer.write_all(b"x = 1").unwrap();
    let disk = OnDisk::new(&writer.finish().unwrap().into_inner());
    let bundle = disk.open().unwrap();
    assert_eq!(bundle.entry_count(), 70_001);
    assert_eq!(kind(&bundle, "", "m69999"), "source");
    assert_eq!(&*bundle.read("last.py").unwrap(), b"x = 1");
}

#[test]
fn the_later_of_two_entries_counts() {
    // The writer refuses duplicates, so two names of one length are made the same afterwards.
    let mut data =
        zip_bytes(&[("a.py", b"first"), ("b.py", b"second")], CompressionMethod::Stored, b"");
    for at in 0..data.len() - 4 {
        if &data[at..at + 4] == b"b.py" {
            data[at] = b'a';
        }
    }
    let disk = OnDisk::new(&data);
    let bundle = disk.open().unwrap();
    assert_eq!(&*bundle.read("a.py").unwrap(), b"second");
    let Some(Found::Module(found)) = bundle.find("", "a") else { panic!("not found") };
    let FoundKind::Source { source, .. } = found.kind else { panic!("no source") };
    assert_eq!(bundle.entry_at(source).unwrap().read().unwrap(), b"second");
}

#[test]
fn names_that_no_file_can_have_are_not_served() {
    let names = ["../up.py", "/abs.py", "a/../b.py", "./c.py", "d//e.py", "nul\0.py", "back\\s.py"];
    for name in names {
        // The writer may refuse or clean such a name, so it is put in afterwards.
        let stand_in = "x".repeat(name.len());
        let mut data = zip_bytes(&[(stand_in.as_str(), b"")], CompressionMethod::Stored, b"");
        for at in 0..data.len() - name.len() {
            if &data[at..at + name.len()] == stand_in.as_bytes() {
                data[at..at + name.len()].copy_from_slice(name.as_bytes());
            }
        }
        let disk = OnDisk::new(&data);
        let bundle = disk.open().unwrap();
        assert_eq!(bundle.entry_count(), 1);
        assert_eq!(bundle.module_count(), 0, "{name:?}");
        assert!(bundle.entries_below("").unwrap().is_empty(), "{name:?}");
    }
}

#[test]
fn names_in_code_page_437_are_decoded() {
    let mut data = zip_bytes(&[("xy/zz.py", b"pass")], CompressionMethod::Stored, b"");
    for at in 0..data.len() - 8 {
        if &data[at..at + 8] == b"xy/zz.py" {
            data[at + 1] = 0x81; // `ü` in code page 437
        }
    }
    let disk = OnDisk::new(&data);
    let bundle = disk.open().unwrap();
    assert_eq!(kind(&bundle, "x\u{fc}/", "zz"), "source");
    assert_eq!(kind(&bundle, "", "x\u{fc}"), "namespace");
    assert_eq!(&*bundle.read("x\u{fc}/zz.py").unwrap(), b"pass");
}

#[test]
fn directories_are_listed() {
    let (_disk, bundle) = bundle_of(&[
        ("a/b.txt", b""),
        ("a/b/c.py", b""),
        ("a/b-x.py", b""),
        ("a/b-x.pyc", b""),
        ("a/alone.pyc", b""),
        ("a.txt", b""),
        ("ab/x", b""),
    ]);
    let child = |name: &'static str, is_directory| Child { name: name.into(), is_directory };
    assert_eq!(
        bundle.children("a/").unwrap(),
        [
            child("alone.pyc", false),
            child("b", true),
            child("b-x.py", false),
            child("b.txt", false)
        ]
    );
    assert_eq!(
        bundle.children("").unwrap(),
        [child("a", true), child("a.txt", false), child("ab", true)]
    );
    assert_eq!(bundle.children("absent/").unwrap(), []);
}

#[test]
fn what_is_no_bundle_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| Bundle::open(path, suffixes()).unwrap_err();
    assert!(matches!(open(&directory.path().join("absent")), BundleError::Open { .. }));
    assert!(matches!(open(directory.path()), BundleError::NotAFile { .. }));
    for content in [&b""[..], b"x", b"#!/bin/sh\necho no zip here, but long enough for one\n"] {
        let disk = OnDisk::new(content);
        let error = disk.open().unwrap_err();
        assert!(matches!(error, BundleError::NotAZip { .. }), "{error}");
    }
}

#[test]
fn a_size_that_cannot_be_reached_is_refused_before_memory_is_asked_for() {
    for (method, what) in [
        (CompressionMethod::Deflated, "size of deflated data"),
        (CompressionMethod::Zstd, "size of zstd data"),
    ] {
        let mut data = zip_bytes(&[("a", &[0; 5000])], method, b"");
        let header = data.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        data[header + 24..header + 28].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
        let disk = OnDisk::new(&data);
        let error = disk.open().unwrap().read("a").unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn a_wrong_checksum_is_noticed() {
    for method in METHODS {
        let mut data = zip_bytes(&[("a", &[0; 5000])], method, b"");
        let header = data.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        data[header + 16] ^= 1;
        let disk = OnDisk::new(&data);
        let error = disk.open().unwrap().read("a").unwrap_err().to_string();
        assert!(error.contains("crc-32 of the data"), "{error}");
    }
}

#[test]
fn damaged_data_is_noticed() {
    for method in METHODS {
        let content: Vec<u8> = (0..2000_u32).map(|n| (n * n / 7) as u8).collect();
        let sound = zip_bytes(&[("a", &content)], method, b"");
        let disk = OnDisk::new(&sound);
        let start = disk.open().unwrap().entry("a").unwrap().unwrap().data_offset().unwrap();
        let mut data = sound.clone();
        data[start as usize + 100] ^= 0x40;
        let error = OnDisk::new(&data).open().unwrap().read("a").unwrap_err();
        assert!(matches!(error, BundleError::Entry { .. }), "{error}");
    }
}

/// Everything that can be asked of a bundle, whatever is in it.
fn exercise(bundle: &Bundle) {
    let _ = bundle.information();
    let _ = bundle.contents();
    let _ = bundle.verify();
    let _ = bundle.children("");
    let _ = bundle.children("pkg/");
    for entry in bundle.entries_below("").unwrap_or_default() {
        let _ = (entry.name(), entry.data_offset(), entry.read());
        let name = entry.name();
        let (prefix, base) = name.rsplit_once('/').unwrap_or(("", &name));
        let stem = base.split('.').next().unwrap_or(base);
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        if let Some(Found::Module(found)) = bundle.find(&prefix, stem)
            && let FoundKind::Source { source, .. } = found.kind
        {
            let _ = bundle.entry_at(source).map(|entry| entry.read().is_ok());
        }
    }
}

/// A small generator, so that a failure can be repeated from its number.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }
}

#[test]
fn damaged_bundles_never_panic() {
    let files: Files = &[
        ("mmport.json", b"{\"format\":1}"),
        ("pkg/__init__.py", b"x = 1\n"),
        ("pkg/mod.py", b"import os\n"),
        ("pkg/mod.pyc", &[0xa7, 0x0d, 0x0d, 0x0a, 0, 0]),
        ("pkg/data.txt", &[b'a'; 300]),
        ("d-1.0.dist-info/METADATA", b"Name: d\nVersion: 1.0\n"),
        ("d-1.0.dist-info/entry_points.txt", b"[console_scripts]\nd = pkg:main\n"),
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.zip");
    let mut outcomes: BTreeMap<bool, usize> = BTreeMap::new();
    for method in METHODS {
        let sound = zip_bytes(files, method, b"");
        for seed in 1..=1500 {
            let mut random = Random(seed);
            let mut data = sound.clone();
            for _ in 0..=random.next(6) {
                // Half of the damage goes where the structure is.
                let from = if random.next(2) == 0 { 0 } else { data.len() * 2 / 3 };
                let at = from + random.next(data.len() - from);
                match random.next(4) {
                    0 => data[at] = random.next(256) as u8,
                    1 => data[at] ^= 1 << random.next(8),
                    2 => data[at] = 0xff,
                    _ if data.len() > 60 => data.truncate(at.max(50)),
                    _ => {}
                }
            }
            std::fs::write(&path, &data).unwrap();
            let opened = Bundle::open(&path, suffixes());
            *outcomes.entry(opened.is_ok()).or_default() += 1;
            if let Ok(bundle) = opened {
                exercise(&bundle);
            }
        }
    }
    // Both ways have to be reached, or this tests nothing.
    assert!(outcomes.len() == 2 && outcomes.values().all(|count| *count > 100), "{outcomes:?}");
}

#[test]
fn names_with_very_many_components_are_left_out() {
    let name = format!("{}x.py", "a/".repeat(30_000));
    let (_disk, bundle) = bundle_of(&[(&name, b""), ("b/c/d.py", b"")]);
    // On a small stack, as a thread of Python's may have.
    std::thread::Builder::new()
        .stack_size(256 << 10)
        .spawn(move || {
            assert_eq!(bundle.module_count(), 1);
            let again = Bundle::open(bundle.path(), suffixes()).unwrap();
            assert_eq!(kind(&again, "b/c/", "d"), "source");
        })
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn build_information_is_found_wherever_it_stands() {
    let wrong: &[u8] = b"{\"format\": 99}";
    for files in [[("mmport.json", wrong), ("a.py", b"")], [("a.py", b""), ("mmport.json", wrong)]]
    {
        assert!(bundle_of(&files).1.information().is_err());
    }
    assert!(bundle_of(&[("a/mmport.json", wrong)]).1.information().unwrap().is_none());
}
