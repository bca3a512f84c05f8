//! Layouts for a store of code objects, the parts of a hit, and what threads share.
//!
//! Three layouts hold the same code objects under the same keys, each with the same check:
//!
//! | layout | |
//! | --- | --- |
//! | a file each | named by key in 256 folders; written beside its place and renamed |
//! | growing pack | one file that every process appends to under a lock, scanned when it is opened |
//! | sealed packs | what mmport does |
//!
//! The first two are here to be compared with, and do less than a store has to: nothing is evicted,
//! nothing that others cut off is survived, and nobody's directory is looked at.
//!
//! Populating and threads are measured by the clock on the wall, the rest by processor time.
//!
//! `cargo bench --bench bytecode_store -- --calls` counts system calls instead, with strace.

#[path = "bytecode_store/layouts.rs"]
mod layouts;
#[path = "bytecode_store/processor_time.rs"]
mod processor_time;

use std::env;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, SamplingMode, Throughput};
use dashmap::DashMap;
use mmport::bundle::Mapping;
use mmport::bytecode::{BytecodeStore, DEFAULT_LIMIT, Key};

use layouts::{Layout, Module, check, key, key_bytes, keys, modules, random_bytes, target};
use processor_time::ProcessorTime;

/// The length of a module's source or code where only one is looked at.
const TYPICAL: usize = 8 << 10;
/// As many modules as an application of some size imports.
const IMPORTED: usize = 300;
const COUNTS: [usize; 2] = [1_000, 10_000];

fn populate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("populate");
    group
        .sample_size(10)
        .sampling_mode(SamplingMode::Flat)
        .measurement_time(Duration::from_secs(8));
    for count in COUNTS {
        let modules = modules(count);
        for layout in Layout::ALL.into_iter().filter(|layout| *layout != Layout::FileEachMapped) {
            let name = layout.name().trim_end_matches(", read");
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter_batched(
                    || tempfile::tempdir().unwrap(),
                    |directory| {
                        layout.populate(directory.path(), &modules);
                        // Dropped, and so removed, when time is not taken.
                        directory
                    },
                    BatchSize::PerIteration,
                );
            });
        }
    }
    group.finish();
}

fn open_and_look_up(criterion: &mut Criterion<ProcessorTime>) {
    for count in COUNTS {
        let modules = modules(count);
        let stores = Layout::ALL.map(|layout| {
            let directory = tempfile::tempdir().unwrap();
            layout.populate(directory.path(), &modules);
            (layout, directory)
        });
        for wanted in [count, IMPORTED] {
            let name = format!("open, look {wanted} of {count} up");
            let mut group = criterion.benchmark_group(name);
            group.sample_size(20).sampling_mode(SamplingMode::Flat);
            let keys = keys(count, wanted);
            for (layout, directory) in &stores {
                group.bench_function(layout.name(), |bencher| {
                    bencher.iter(|| layout.look_up(directory.path(), &keys));
                });
            }
            group.finish();
        }
    }
}

/// A store of `count` code objects of `length` bytes, open.
fn store_of(directory: &Path, count: usize, length: usize) -> BytecodeStore {
    let code = |number| Module { key: key(number), code: random_bytes(number, length) };
    Layout::SealedPacks.populate(directory, &(0..count).map(code).collect::<Vec<_>>());
    BytecodeStore::open(directory, &target(), DEFAULT_LIMIT, false)
}

fn parts_of_a_hit(criterion: &mut Criterion<ProcessorTime>) {
    let mut group = criterion.benchmark_group("hit");
    let bytes = random_bytes(0, TYPICAL);
    let target = target();
    group.bench_function("key of 8 KiB", |bencher| bencher.iter(|| target.key(black_box(&bytes))));
    let key_bytes = key_bytes(&key(0));
    group.bench_function("check of 8 KiB", |bencher| {
        bencher.iter(|| check(black_box(&key_bytes), black_box(&bytes)));
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, &bytes).unwrap();
    let mapping = Mapping::open(&path).unwrap();
    group.bench_function("guard of a read", |bencher| {
        bencher.iter(|| mapping.read(|data| black_box(data).len()).unwrap());
    });
    for count in COUNTS {
        for length in [0, TYPICAL] {
            let directory = tempfile::tempdir().unwrap();
            let store = store_of(directory.path(), count, length);
            let mut keys = keys(count, count).into_iter().cycle();
            let name = format!("look up and check {length} bytes");
            group.bench_function(BenchmarkId::new(name, count), |bencher| {
                bencher.iter(|| store.find(&keys.next().unwrap(), |code| black_box(code).len()));
            });
        }
    }
    group.finish();
}

/// What `threads` threads take to do `look_up` for `rounds` keys each.
fn together(threads: usize, rounds: u64, keys: &[Key], look_up: impl Fn(&Key) + Sync) -> Duration {
    let rounds = usize::try_from(rounds).unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let keys = keys.iter().cycle().skip(thread * keys.len() / threads).take(rounds);
            let look_up = &look_up;
            scope.spawn(move || keys.for_each(look_up));
        }
    });
    started.elapsed()
}

fn contention(criterion: &mut Criterion) {
    let count = COUNTS[0];
    let directory = tempfile::tempdir().unwrap();
    let store = store_of(directory.path(), count, TYPICAL);
    let keys = keys(count, count);
    // What the store does to find its packs, and a search in the index of one, without the guard.
    let packs = RwLock::new(Arc::new(keys.clone()));
    let places: DashMap<Key, usize> = keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
    let mut group = criterion.benchmark_group("threads");
    for threads in [1, 2, 4] {
        group.throughput(Throughput::Elements(threads as u64));
        group.bench_function(
            BenchmarkId::new("RwLock<Arc<_>>, binary search", threads),
            |bencher| {
                bencher.iter_custom(|rounds| {
                    together(threads, rounds, &keys, |key| {
                        let packs = Arc::clone(&packs.read().unwrap());
                        black_box(packs.binary_search(key).unwrap());
                    })
                });
            },
        );
        group.bench_function(BenchmarkId::new("DashMap", threads), |bencher| {
            bencher.iter_custom(|rounds| {
                together(threads, rounds, &keys, |key| {
                    black_box(*places.get(key).unwrap());
                })
            });
        });
        group.bench_function(BenchmarkId::new("whole hit of 8 KiB", threads), |bencher| {
            bencher.iter_custom(|rounds| {
                together(threads, rounds, &keys, |key| {
                    store.find(key, |code| black_box(code).len()).unwrap();
                })
            });
        });
    }
    group.finish();
}

/// Does one thing once, for strace to look at.
fn once(layout: Layout, operation: &str, directory: &Path, count: usize) {
    match operation {
        "nothing" => drop(black_box(keys(count, count))),
        "generate" => drop(black_box(modules(count))),
        "populate" => layout.populate(directory, &modules(count)),
        "all" => _ = black_box(layout.look_up(directory, &keys(count, count))),
        _ => _ = black_box(layout.look_up(directory, &keys(count, IMPORTED))),
    }
}

/// System calls of `once` in a process of its own: those that name or use a file, and those that set
/// handlers of signals.
fn calls_of(layout: usize, operation: &str, directory: &Path, count: usize) -> [u64; 2] {
    const HANDLERS: &str = "rt_sigaction";
    let counts = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("strace");
    let traced = format!("trace=%file,%desc,{HANDLERS}");
    command.args(["-f", "-qq", "-c", "-e", &traced, "-o"]).arg(counts.path());
    command.arg(env::current_exe().unwrap()).args(["--once", &layout.to_string(), operation]);
    let status = command.arg(directory).arg(count.to_string()).status().expect("strace is needed");
    assert!(status.success());
    // Columns: % time, seconds, microseconds per call, calls, errors (or nothing), call.
    let text = fs::read_to_string(counts.path()).unwrap();
    let calls = |name: &str| -> u64 {
        let line = text.lines().find(|line| line.ends_with(&format!(" {name}")));
        line.map_or(0, |line| line.split_whitespace().nth(3).unwrap().parse().unwrap())
    };
    let signals = calls(HANDLERS);
    [calls("total") - signals, signals]
}

/// Prints how many calls each layout makes beyond those of a process that only makes the keys, or the
/// code: maps come from the allocator, too.
fn print_calls() {
    println!("| modules | operation | layout | file-system calls | handlers of signals |");
    println!("| --: | --- | --- | --: | --: |");
    for count in COUNTS {
        let directories = Layout::ALL.map(|_| tempfile::tempdir().unwrap());
        for (operation, without) in
            [("populate", "generate"), ("all", "nothing"), ("300", "nothing")]
        {
            for (number, (layout, directory)) in Layout::ALL.iter().zip(&directories).enumerate() {
                let base = calls_of(number, without, directory.path(), count);
                let calls = calls_of(number, operation, directory.path(), count);
                let [files, signals] = [0, 1].map(|kind| calls[kind].saturating_sub(base[kind]));
                let name = layout.name();
                println!("| {count} | {operation} | {name} | {files} | {signals} |");
            }
        }
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [first, layout, operation, directory, count, ..] = &*arguments
        && first == "--once"
    {
        let layout = Layout::ALL[layout.parse::<usize>().unwrap()];
        once(layout, operation, directory.as_ref(), count.parse().unwrap());
    } else if arguments.iter().any(|argument| argument == "--calls") {
        print_calls();
    } else {
        let mut criterion = Criterion::default().configure_from_args();
        populate(&mut criterion);
        contention(&mut criterion);
        let mut criterion =
            Criterion::default().with_measurement(ProcessorTime).configure_from_args();
        open_and_look_up(&mut criterion);
        parts_of_a_hit(&mut criterion);
        criterion.final_summary();
    }
}
