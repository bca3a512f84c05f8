//! While nobody listens, the trace allocates nothing: neither when a module is found, nor when it is
//! not, nor when it is executed.
//!
//! What finding and loading allocate themselves is compared with, rather than counted out: the same
//! answers come from the importer of the bundle, which has no trace.

mod counting;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use counting::{Allocated, Counting, counted};
use mmport::python::{MountedBundle, install_mounted, running_suffixes};
use pyo3::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const TIMES: u64 = 100;

/// Makes bytecode that is taken for any source.
const COMPILE: &std::ffi::CStr = c"import importlib.util, marshal
header = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, 'little') + bytes(8)
bytecode = header + marshal.dumps(compile('value = 1', 'module.py', 'exec'))";

/// A bundle of `package.module`, with bytecode.
fn bundle(py: Python<'_>, directory: &Path) -> PathBuf {
    let compiled = pyo3::types::PyDict::new(py);
    py.run(COMPILE, None, Some(&compiled)).unwrap();
    let bytecode: Vec<u8> = compiled.get_item("bytecode").unwrap().unwrap().extract().unwrap();
    let path = directory.join("bundle.zip");
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for stem in ["package/__init__", "package/module"] {
        for (suffix, data) in [("pyc", &*bytecode), ("py", b"value = 1")] {
            writer.start_file(format!("{stem}.{suffix}"), options).unwrap();
            writer.write_all(data).unwrap();
        }
    }
    writer.finish().unwrap();
    path
}

/// What [`TIMES`] calls allocate, after some to warm up.
fn allocated(call: impl Fn()) -> Allocated {
    (0..3).for_each(|_| call());
    counted(|| (0..TIMES).for_each(|_| call())).1
}

#[test]
fn the_trace_allocates_nothing_while_nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    Python::initialize();
    Python::attach(|py| {
        let path = bundle(py, directory.path());
        let mounted = MountedBundle::mount(&path, running_suffixes(py).unwrap()).unwrap();
        install_mounted(py, &mounted).unwrap();

        let sys = py.import("sys").unwrap();
        let finders = sys.getattr("meta_path").unwrap().extract::<Vec<Bound<'_, PyAny>>>().unwrap();
        let named = |finder: &Bound<'_, PyAny>| finder.get_type().name().unwrap().to_string();
        let finder = finders.iter().find(|finder| named(finder) == "BundleFinder").unwrap();
        let search = py.import("package").unwrap().getattr("__path__").unwrap();
        let module = py.import("package.module").unwrap();
        let loader = module.getattr("__loader__").unwrap();

        let find = |name| finder.call_method1("find_spec", (name, &search)).unwrap();
        assert!(find("package.module").getattr("loader").unwrap().eq(&loader).unwrap());
        assert!(find("package.absent").is_none());
        let find_present = || drop(find("package.module"));
        let find_absent = || drop(find("package.absent"));
        let answer = |name| drop(loader.call_method1("find_spec", (name,)).unwrap());
        let execute = || drop(loader.call_method1("exec_module", (&module,)).unwrap());
        let code = || drop(loader.call_method1("get_code", ("package.module",)).unwrap());

        let untraced = allocated(|| answer("package.module"));
        assert_ne!(untraced.times, 0, "the allocator does not count");
        let traced = allocated(find_present);
        assert!(traced.times <= untraced.times, "{traced:?}, {untraced:?}");
        assert!(traced.bytes <= untraced.bytes, "{traced:?}, {untraced:?}");
        // Nothing has to be made where nothing is found, so this is exact.
        assert_eq!(allocated(find_absent), Allocated::default());
        // To execute takes the module's name beside its code.
        let (executed, got) = (allocated(execute), allocated(code));
        assert!(executed.times <= got.times + TIMES, "{executed:?}, {got:?}");

        // Where somebody listens, what the trace allocates is seen by the same count.
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(std::io::sink)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            assert!(allocated(find_present).times > untraced.times);
            assert!(allocated(execute).times > executed.times);
        });
    });
}
