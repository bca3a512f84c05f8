//! How units become files.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::super::{StoreError, Tree, Units};
use super::{Fixture, PACKAGES, files_below};

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
    let number = || fs::metadata(location.join("data")).unwrap().ino();
    let before = number();
    assert_eq!(fixture.tree().materialize(&fixture.bundle, "data").unwrap(), location);
    assert_eq!(number(), before);
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
    let left = fs::read_dir(locations[0].parent().unwrap()).unwrap();
    let left =
        left.filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with('.'));
    assert_eq!(left.count(), 0, "staging directories are left");
}

#[test]
fn a_killed_writer_leaves_nothing_that_is_taken_for_a_unit() {
    let fixture = Fixture::new(PACKAGES);
    let location = fixture.tree().materialize(&fixture.bundle, "space/inner").unwrap().to_owned();
    // What a process leaves that is killed in the middle of writing `data`.
    let staging = location.parent().unwrap().join(".staging-killed/unit");
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
    assert!(files_below(&fixture.packages()).is_empty());
}

#[test]
fn damaged_data_is_not_brought_out() {
    let fixture = Fixture::new(&[("data/__init__.py", b""), ("data/a.txt", b"some content")]);
    let mut data = fs::read(fixture.bundle.path()).unwrap();
    let at = fixture.bundle.entry("data/a.txt").unwrap().unwrap().data_offset().unwrap() as usize;
    data[at + 2] ^= 1;
    let fixture = Fixture::of_bytes(&data);
    let error = fixture.tree().materialize(&fixture.bundle, "data").unwrap_err();
    assert!(matches!(error, StoreError::Read { .. }), "{error}");
    assert!(files_below(&fixture.packages()).is_empty());
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

#[test]
fn directories_of_a_unit_are_read_only_too() {
    let fixture = Fixture::new(PACKAGES);
    let location = fixture.tree().materialize(&fixture.bundle, "data").unwrap().to_owned();
    for directory in ["data", "data/deep", "data/deep/er"] {
        let mode = fs::metadata(location.join(directory)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o555, "{directory}");
    }
    // What further units go into stays open.
    fixture.tree().materialize(&fixture.bundle, "space/inner").unwrap();
    let location =
        fixture.tree().materialize(&fixture.bundle, "space/near.abi3.so").unwrap().to_owned();
    assert!(location.join("space/near.abi3.so").is_file());
}

#[test]
fn bundles_share_what_they_have_in_common() {
    let first =
        Fixture::new(&[("data/__init__.py", b""), ("data/a.txt", b"same"), ("data/b.txt", b"old")]);
    let second =
        Fixture::new(&[("data/__init__.py", b""), ("data/a.txt", b"same"), ("data/b.txt", b"new")]);
    let locations: Vec<PathBuf> = [&first, &second]
        .map(|fixture| {
            let tree = Tree::in_roots(Units::default(), vec![first.root()]);
            tree.materialize(&fixture.bundle, "data").unwrap().to_owned()
        })
        .into();
    assert_ne!(locations[0], locations[1], "one changed file makes another tree");
    let file = |at: usize, name: &str| fs::metadata(locations[at].join("data").join(name)).unwrap();
    assert_eq!(file(0, "a.txt").ino(), file(1, "a.txt").ino());
    assert_eq!(file(0, "a.txt").nlink(), 3, "two trees and the content itself");
    assert_ne!(file(0, "b.txt").ino(), file(1, "b.txt").ino());
    assert_eq!(fs::read(locations[1].join("data/b.txt")).unwrap(), b"new");
    assert_eq!(file(0, "__init__.py").nlink(), 3, "empty ones too");
}

#[test]
fn a_damaged_content_is_not_shared_further() {
    let first = Fixture::new(&[("data/__init__.py", b""), ("data/a.txt", b"same")]);
    let second = Fixture::new(&[("data/__init__.py", b""), ("data/a.txt", b"same"), ("x.py", b"")]);
    let place = |fixture: &Fixture| {
        let tree = Tree::in_roots(Units::default(), vec![first.root()]);
        tree.materialize(&fixture.bundle, "data").unwrap().join("data/a.txt")
    };
    let damaged = place(&first);
    fs::set_permissions(&damaged, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&damaged, b"SAME").unwrap();
    assert_eq!(fs::read(place(&second)).unwrap(), b"same");
}

#[test]
fn the_next_root_is_taken_when_one_fails_in_the_middle() {
    let fixture = Fixture::new(PACKAGES);
    let first = fixture.directory.path().join("first");
    let roots = vec![first.clone(), fixture.root()];
    let tree = Tree::in_roots(Units::default(), roots);
    tree.materialize(&fixture.bundle, "space/inner").unwrap();
    // The tree was there a moment ago, and nothing can be written to it any more.
    let directory = fs::read_dir(first.join("trees-v2")).unwrap().next().unwrap().unwrap().path();
    fs::remove_dir_all(&directory).unwrap();
    fs::write(directory, b"").unwrap();
    let location = tree.materialize(&fixture.bundle, "other/data").unwrap();
    assert!(location.starts_with(fixture.root()), "{}", location.display());
}

#[test]
fn a_tree_that_is_being_removed_is_made_again() {
    let fixture = Fixture::new(PACKAGES);
    let location = fixture.tree().materialize(&fixture.bundle, "data").unwrap().to_owned();
    let directory = location.parent().unwrap();
    let lock = fs::File::open(directory.join("in-use")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| {
            fixture.tree().materialize(&fixture.bundle, "data").unwrap().join("data/__init__.py")
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        fs::remove_dir_all(directory).unwrap();
        drop(lock);
        assert!(starting.join().unwrap().is_file());
    });
}

#[test]
fn a_tree_in_use_says_so() {
    let fixture = Fixture::new(PACKAGES);
    let tree = fixture.tree();
    let location = tree.materialize(&fixture.bundle, "data").unwrap();
    let lock = fs::File::open(location.parent().unwrap().join("in-use")).unwrap();
    let lock_it = || rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive);
    assert!(lock_it().is_err());
    drop(tree);
    // Waits: what another test starts has our descriptors until it is another program.
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
}

#[test]
fn what_others_have_planted_is_not_waited_for() {
    let fixture = Fixture::new(PACKAGES);
    let tree = fixture.tree();
    let location = tree.materialize(&fixture.bundle, "data").unwrap().to_owned();
    drop(tree);
    let in_use = location.parent().unwrap().join("in-use");
    fs::remove_file(&in_use).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(&in_use).status().unwrap();
    assert!(fifo.success());
    // Opening a FIFO for reading would wait for a writer; that it cannot be locked is no matter.
    assert_eq!(fixture.tree().materialize(&fixture.bundle, "data").unwrap(), location);
}

#[test]
fn a_root_that_a_foreign_group_can_write_to_is_not_used() {
    let fixture = Fixture::new(PACKAGES);
    fs::create_dir(fixture.root()).unwrap();
    let own = rustix::process::getegid().as_raw();
    if std::os::unix::fs::chown(fixture.root(), None, Some(own + 1)).is_err() {
        return; // Only root may give a directory to a group that it is not in.
    }
    let is_used = |mode| {
        fs::set_permissions(fixture.root(), fs::Permissions::from_mode(mode)).unwrap();
        fixture.tree().materialize(&fixture.bundle, "data").is_ok()
    };
    assert!(!is_used(0o770));
    assert!(is_used(0o750));
}

#[test]
fn clashing_names_are_the_bundles_fault() {
    let long = format!("data/{}", "x".repeat(300));
    let fixture = Fixture::new(&[("data/__init__.py", b""), (&long, b"x")]);
    let error = fixture.tree().materialize(&fixture.bundle, "data").unwrap_err();
    assert!(matches!(error, StoreError::Write { .. }), "{error}");
    assert!(error.next_step().contains("rebuild the bundle"), "{}", error.next_step());
}

#[test]
fn a_root_whose_path_is_not_text_is_not_used() {
    let fixture = Fixture::new(PACKAGES);
    let name = std::ffi::OsStr::from_bytes(b"r\xff");
    let roots = vec![fixture.directory.path().join(name), fixture.root()];
    let tree = Tree::in_roots(Units::default(), roots);
    let location = tree.materialize(&fixture.bundle, "data").unwrap();
    assert!(location.starts_with(fixture.root()));
}

#[test]
fn a_root_that_belongs_to_somebody_else_is_not_used() {
    let fixture = Fixture::new(PACKAGES);
    fs::create_dir(fixture.root()).unwrap();
    let other = rustix::process::geteuid().as_raw() + 1;
    if std::os::unix::fs::chown(fixture.root(), Some(other), None).is_err() {
        return; // Only root may give a directory away.
    }
    let error = fixture.tree().materialize(&fixture.bundle, "data").unwrap_err();
    assert!(error.to_string().contains("belongs to somebody else"), "{error}");
}
