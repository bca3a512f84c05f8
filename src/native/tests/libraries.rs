//! Shared libraries made by the C compiler: what they need, opening them, and what goes wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::super::{LibraryError, MemoryLibraries, Tree, Units, open_library};
use super::Fixture;

const FLAGS: i32 = RTLD_NOW | RTLD_LOCAL;

/// Compiles `source` to a shared library.
fn compile(source: &str, output: &Path, options: &[&str]) -> Vec<u8> {
    let code = output.with_extension("c");
    fs::create_dir_all(output.parent().unwrap()).unwrap();
    fs::write(&code, source).unwrap();
    let outcome = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(output)
        .arg(&code)
        .args(options)
        .status()
        .unwrap();
    assert!(outcome.success());
    fs::read(output).unwrap()
}

/// A package whose library needs one in a folder beside the package; `tag` keeps the names of
/// libraries apart, for the loader knows them by name in the whole process.
fn with_needs(tag: &str) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let dependency = format!("libdependency{tag}.so.1");
    let place = directory.path().join("pkg.libs").join(&dependency);
    let soname = format!("-Wl,-soname,{dependency}");
    let needed = compile("int seven(void) { return 7; }", &place, &[&soname]);
    let library = compile(
        "int seven(void); int answer(void) { return 6 * seven(); }",
        &directory.path().join("pkg/native.so"),
        &[place.to_str().unwrap(), "-Wl,-rpath,$ORIGIN/../pkg.libs"],
    );
    Fixture::new(&[
        ("pkg/__init__.py", b""),
        ("pkg/native.so", &library),
        (&format!("pkg.libs/{dependency}"), &needed),
        ("pkg.libs/libopened.so.2", b"opened by name"),
        ("pkg-1.5.dist-info/METADATA", b"Name: Pkg\nVersion: 1.5\n"),
        ("pkg-1.5.dist-info/RECORD", b"pkg/__init__.py,,\npkg/native.so,,\n"),
        ("unrelated.libs/libother.so.1", b"other"),
    ])
}

fn answer(path: &Path) -> i32 {
    // SAFETY: the library was compiled above, and the function takes and returns what is said here.
    unsafe {
        let library = Library::open(Some(path), FLAGS).unwrap();
        let function = library.get::<unsafe extern "C" fn() -> i32>("answer").unwrap();
        function()
    }
}

#[test]
fn the_libraries_that_a_package_needs_come_with_it() {
    let fixture = with_needs("files");
    let tree = fixture.tree();
    let location = tree.materialize(&fixture.bundle, "pkg").unwrap().to_owned();
    assert!(location.join("pkg.libs/libdependencyfiles.so.1").is_file());
    assert!(location.join("pkg.libs/libopened.so.2").is_file(), "what is opened by name");
    assert!(!location.join("unrelated.libs").exists());
    assert_eq!(answer(&location.join("pkg/native.so")), 42);
}

#[test]
fn a_damaged_library_is_found_and_replaced() {
    let fixture = with_needs("damaged");
    let location = fixture.tree().materialize(&fixture.bundle, "pkg").unwrap().to_owned();
    let entry = fixture.bundle.entry("pkg/native.so").unwrap().unwrap();
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 4] = [
        ("pkg/native.so", |path| fs::write(path, b"short").unwrap()),
        ("pkg/native.so", |path| {
            let mut content = fs::read(path).unwrap();
            content[100] ^= 1;
            fs::write(path, content).unwrap();
        }),
        ("pkg.libs/libdependencydamaged.so.1", |path| fs::write(path, b"").unwrap()),
        ("pkg.libs/libdependencydamaged.so.1", |path| fs::remove_file(path).unwrap()),
    ];
    for (name, damage) in damages {
        let path = location.join(name);
        let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o755));
        damage(&path);
        let found = fixture.tree().library(&fixture.bundle, &entry).unwrap();
        assert_eq!(found, location.join("pkg/native.so"));
        assert_eq!(fs::read(&path).unwrap(), *fixture.bundle.read(name).unwrap(), "{name}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o555);
    }
    assert_eq!(answer(&location.join("pkg/native.so")), 42);
}

#[test]
fn a_copied_store_is_taken_as_it_is() {
    let fixture = with_needs("copied");
    let tree = fixture.tree();
    let entry = fixture.bundle.entry("pkg/native.so").unwrap().unwrap();
    let path = tree.library(&fixture.bundle, &entry).unwrap();
    // A copy that did not keep times.
    let file = fs::File::open(&path).unwrap();
    let number = std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap());
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let odd = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::new(5, 123);
    file.set_modified(odd).unwrap();
    fixture.tree().library(&fixture.bundle, &entry).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::ino(&after), number, "it was not replaced");
    assert_ne!(after.modified().unwrap(), odd, "it is sealed again");
}

#[test]
fn libraries_open_from_memory_with_what_they_need() {
    let fixture = with_needs("memory");
    let entry = fixture.bundle.entry("pkg/native.so").unwrap().unwrap();
    let memory = MemoryLibraries::default();
    let path = open_library(&fixture.bundle, &memory, &entry, None, FLAGS).unwrap();
    assert!(path.starts_with("/proc/self/fd"), "{}", path.display());
    assert_eq!(answer(&path), 42);
    let again = open_library(&fixture.bundle, &memory, &entry, None, FLAGS).unwrap();
    assert_eq!(again, path, "a library is in memory once");
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains("memfd:native.so") && maps.contains("memfd:libdependencymemory.so.1"));
}

#[test]
fn what_the_loader_says_is_explained() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("libabsent.so.3");
    compile("int seven(void) { return 7; }", &absent, &["-Wl,-soname,libabsent.so.3"]);
    let options = [absent.to_str().unwrap(), "-Wl,-rpath,$ORIGIN/lib:/nowhere"];
    let missing = compile(
        "int seven(void); int answer(void) { return seven(); }",
        &directory.path().join("missing.so"),
        &options,
    );
    let undefined = compile(
        "int nowhere_defined(void); int answer(void) { return nowhere_defined(); }",
        &directory.path().join("undefined.so"),
        &[],
    );
    // The machine in the ELF header: another one.
    let mut foreign = undefined.clone();
    foreign[18..20].copy_from_slice(&183_u16.to_le_bytes());
    if cfg!(target_arch = "aarch64") {
        foreign[18..20].copy_from_slice(&62_u16.to_le_bytes());
    }
    let fixture = Fixture::new(&[
        ("pkg/__init__.py", b""),
        ("pkg/missing.so", &missing),
        ("pkg/undefined.so", &undefined),
        ("pkg/foreign.so", &foreign),
        ("pkg/text.so", b"no library at all"),
        ("pkg-1.5.dist-info/METADATA", b"Name: Pkg\nVersion: 1.5\n"),
        ("pkg-1.5.dist-info/RECORD", b"pkg/__init__.py,,\npkg/missing.so,,\npkg/undefined.so,,\n"),
    ]);
    let tree = Tree::in_roots(Units::default(), vec![fixture.root()]);
    let memory = MemoryLibraries::default();
    let bundle = fixture.bundle.path().display().to_string();
    let cases: [(&str, &[&str]); 4] = [
        (
            "pkg/missing.so",
            &[
                "libabsent.so.3: cannot open shared object file",
                "asked for by `pkg/missing.so` of Pkg 1.5",
                "looked for in `pkg/lib` of the bundle, `/nowhere`",
                "the system's library folders",
            ],
        ),
        ("pkg/undefined.so", &["undefined symbol: nowhere_defined", "of Pkg 1.5"]),
        ("pkg/foreign.so", &["expected a library for", "found one for"]),
        ("pkg/text.so", &["asked for by `pkg/text.so` in bundle"]),
    ];
    for (name, texts) in cases {
        let entry = fixture.bundle.entry(name).unwrap().unwrap();
        let path = tree.library(&fixture.bundle, &entry).unwrap();
        for path in [Some(&*path), None] {
            let outcome = open_library(&fixture.bundle, &memory, &entry, path, FLAGS);
            let Err(error) = outcome else { panic!("{name} at {path:?}: {outcome:?}") };
            assert!(matches!(error, LibraryError::Open { .. }));
            let message = error.to_string();
            for text in texts.iter().chain([&bundle.as_str()]) {
                assert!(message.contains(text), "{name}: {text:?} is not in {message}");
            }
        }
    }
}

#[test]
fn hostile_libraries_are_no_danger_to_the_reader() {
    let directory = tempfile::tempdir().unwrap();
    let library = compile("int x;", &directory.path().join("x.so"), &["-Wl,-rpath,$ORIGIN/a:b"]);
    let mut random = 1_u32;
    let mut next = move || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 8) as usize
    };
    for _ in 0..3000 {
        let mut damaged = library.clone();
        // Mostly in the headers, where the numbers are that the rest is found by.
        let reach = if next() % 2 == 0 { 1024 } else { damaged.len() };
        for _ in 0..1 + next() % 8 {
            let at = next() % reach;
            damaged[at] = next() as u8;
        }
        damaged.truncate(library.len() - next() % 64);
        // Neither a panic nor an endless loop, whatever it says.
        let _ = super::super::elf::DynamicSection::parse(&damaged);
    }
}

/// Two packages whose libraries need each other's folder; the second has data, too.
fn two_packages(tag: &str) -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let name = format!("libother{tag}.so");
    let place = directory.path().join("other").join(&name);
    let other = compile("int seven(void) { return 7; }", &place, &[&format!("-Wl,-soname,{name}")]);
    let library = compile(
        "int seven(void); int answer(void) { return 6 * seven(); }",
        &directory.path().join("pkg/native.so"),
        &[place.to_str().unwrap(), "-Wl,-rpath,$ORIGIN/../other"],
    );
    Fixture::new(&[
        ("pkg/__init__.py", b""),
        ("pkg/native.so", &library),
        ("other/__init__.py", b""),
        (&format!("other/{name}"), &other),
        ("other/deep/model.bin", b"model"),
    ])
}

#[test]
fn a_needed_package_that_is_gone_comes_back_whole() {
    let fixture = two_packages("gone");
    let entry = fixture.bundle.entry("pkg/native.so").unwrap().unwrap();
    let path = fixture.tree().library(&fixture.bundle, &entry).unwrap();
    let other = path.parent().unwrap().parent().unwrap().join("other");
    crate::native::remove_directory(&other).unwrap();
    fixture.tree().library(&fixture.bundle, &entry).unwrap();
    assert_eq!(fs::read(other.join("deep/model.bin")).unwrap(), b"model");
    assert_eq!(answer(&path), 42);
}

#[test]
fn what_is_missing_beside_a_damaged_library_comes_back_with_it() {
    let fixture = two_packages("beside");
    let entry = fixture.bundle.entry("pkg/native.so").unwrap().unwrap();
    let path = fixture.tree().library(&fixture.bundle, &entry).unwrap();
    let other = path.parent().unwrap().parent().unwrap().join("other");
    // As one that removes old files leaves it: directories, and nothing in them.
    for name in ["libotherbeside.so", "__init__.py", "deep/model.bin"] {
        fs::remove_file(other.join(name)).unwrap();
    }
    fixture.tree().library(&fixture.bundle, &entry).unwrap();
    assert_eq!(fs::read(other.join("deep/model.bin")).unwrap(), b"model");
    assert!(other.join("__init__.py").is_file());
    let mode = fs::metadata(other.join("deep")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o555);
}
