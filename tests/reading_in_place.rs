//! Stored entries are read where they lie in the map, and looking a name up allocates nothing.

mod counting;

use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use counting::{Counting, counted};
use mmport::bundle::{Bundle, Found, Suffixes};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const LARGE: usize = 10 * 1024 * 1024;
/// Far below [`LARGE`], and above what reading has to allocate of its own.
const LITTLE: u64 = 64 * 1024;

/// A bundle of one large entry, stored and deflated, and some modules.
fn bundle(directory: &Path) -> (PathBuf, Bundle) {
    let path = directory.join("bundle.zip");
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    let data: Vec<u8> = (0..LARGE).map(|number| (number % 251) as u8).collect();
    let options = SimpleFileOptions::default();
    for (name, method) in
        [("stored.pyc", CompressionMethod::Stored), ("deflated.pyc", CompressionMethod::Deflated)]
    {
        writer.start_file(name, options.compression_method(method)).unwrap();
        writer.write_all(&data).unwrap();
    }
    for name in ["package/__init__.py", "package/module.py", "package/inner/data.txt"] {
        writer.start_file(name, options).unwrap();
    }
    writer.finish().unwrap();
    let bundle = Bundle::open(&path, Suffixes::new([".so"], "cpython-311", 0)).unwrap();
    (path, bundle)
}

/// The addresses at which this process has `path` mapped.
fn maps_of(path: &Path) -> Vec<Range<usize>> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let address = |text| usize::from_str_radix(text, 16).unwrap();
    maps.lines()
        .filter(|line| line.ends_with(path.to_str().unwrap()))
        .map(|line| line.split_once(' ').unwrap().0.split_once('-').unwrap())
        .map(|(start, end)| address(start)..address(end))
        .collect()
}

#[test]
fn stored_data_is_seen_in_the_map_and_not_copied() {
    let directory = tempfile::tempdir().unwrap();
    let (path, bundle) = bundle(&directory.path().canonicalize().unwrap());
    let seen = |data: &[u8]| (data.as_ptr() as usize, data.len());

    let stored = bundle.entry("stored.pyc").unwrap().unwrap();
    let ((start, length), allocated) = counted(|| stored.read_with(seen).unwrap());
    assert_eq!(length, LARGE);
    assert!(allocated.bytes < LITTLE, "{allocated:?}");
    let maps = maps_of(&path);
    assert_eq!(maps.len(), 1, "{maps:?}");
    assert!(maps[0].contains(&start) && maps[0].contains(&(start + length - 1)), "{start:#x}");

    // Copies are seen by the same count.
    let (copy, allocated) = counted(|| stored.read().unwrap());
    assert!(copy.len() == LARGE && allocated.bytes >= LARGE as u64, "{allocated:?}");
    let deflated = bundle.entry("deflated.pyc").unwrap().unwrap();
    let ((start, _), allocated) = counted(|| deflated.read_with(seen).unwrap());
    assert!(allocated.bytes >= LARGE as u64, "{allocated:?}");
    assert!(!maps[0].contains(&start));
}

#[test]
fn looking_a_name_up_allocates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (_, bundle) = bundle(directory.path());
    let (found, allocated) = counted(|| {
        [
            bundle.find("", "stored"),
            bundle.find("", "package"),
            bundle.find("package/", "module"),
            bundle.find("package/", "inner"),
            bundle.find("package/", "absent"),
            bundle.find("", "collections"),
        ]
    });
    assert_eq!(allocated.times, 0, "{allocated:?}");
    let kinds = found.map(|found| match found {
        Some(Found::Module(found)) if found.is_package => "package",
        Some(Found::Module(_)) => "module",
        Some(Found::NamespacePortion) => "portion",
        None => "absent",
    });
    assert_eq!(kinds, ["module", "package", "module", "portion", "absent", "absent"]);
}
