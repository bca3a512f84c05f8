//! Opening a bundle and looking a name up.

use std::hint::black_box;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mmport::bundle::{Bundle, Suffixes};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn suffixes() -> Suffixes {
    Suffixes::new([".cpython-311-x86_64-linux-gnu.so", ".abi3.so", ".so"], "cpython-311", 0)
}

/// A bundle of `entries` entries, half of them sources and half bytecode, in packages of 20
/// modules, as installed distributions have on average.
fn bundle_of(directory: &std::path::Path, entries: usize) -> PathBuf {
    let path = directory.join(format!("{entries}.zip"));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for suffix in ["pyc", "py"] {
        for number in 0..entries / 2 {
            let name = format!("package_{}/some_module_{number}.{suffix}", number / 20);
            writer.start_file(name, options).unwrap();
            writer.write_all(b"x = 1\n").unwrap();
        }
    }
    std::fs::write(&path, writer.finish().unwrap().into_inner()).unwrap();
    path
}

fn open(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("open");
    for entries in [100, 1_000, 10_000, 100_000] {
        let path = bundle_of(directory.path(), entries);
        group.bench_function(BenchmarkId::new("mmport", entries), |bencher| {
            bencher.iter(|| Bundle::open(black_box(&path), suffixes()).unwrap());
        });
        group.bench_function(BenchmarkId::new("zip crate", entries), |bencher| {
            bencher.iter(|| {
                let file = std::fs::File::open(black_box(&path)).unwrap();
                zip::ZipArchive::new(std::io::BufReader::new(file)).unwrap()
            });
        });
    }
    group.finish();
}

fn look_up(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let mut group = criterion.benchmark_group("look up");
    for entries in [100, 1_000, 10_000, 100_000] {
        let bundle = Bundle::open(&bundle_of(directory.path(), entries), suffixes()).unwrap();
        let number = entries / 4;
        let prefix = format!("package_{}/", number / 20);
        let name = format!("some_module_{number}");
        assert!(bundle.find(&prefix, &name).is_some());
        group.bench_function(BenchmarkId::new("found", entries), |bencher| {
            bencher.iter(|| bundle.find(black_box(&prefix), black_box(&name)));
        });
        group.bench_function(BenchmarkId::new("absent", entries), |bencher| {
            bencher.iter(|| bundle.find(black_box(""), black_box("collections")));
        });
    }
    group.finish();
}

criterion_group!(benches, open, look_up);
criterion_main!(benches);
