//! Tests of the store as a whole: what is found, what is lost, and what is left on the disk.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::housekeeping::evict;
use super::store::{LAYOUT, pack_paths};
use super::*;

const LIMIT: u64 = 512 << 20;

fn target() -> Target {
    Target::new("cpython-311", [0xa7, 0x0d, 0x0d, 0x0a], 0, true)
}

fn open(root: &Path) -> BytecodeStore {
    BytecodeStore::open(root, &target(), LIMIT, true)
}

fn source(number: usize) -> String {
    format!("value = {number}\n")
}

fn code(number: usize) -> Vec<u8> {
    format!("code object {number} ").repeat(1 + number % 7).into_bytes()
}

fn key(number: usize) -> Key {
    target().key(source(number).as_bytes())
}

fn insert(store: &BytecodeStore, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        store.insert(&key(number), &format!("m{number}"), "/a/m.py", &code(number));
    }
}

fn find(store: &BytecodeStore, number: usize) -> Option<Vec<u8>> {
    store.find(&key(number), <[u8]>::to_vec)
}

fn packs(root: &Path) -> Vec<PathBuf> {
    pack_paths(&root.join(LAYOUT).join(target().directory())).collect()
}

fn sealed(root: &Path, numbers: impl IntoIterator<Item = usize>) {
    let store = open(root);
    insert(&store, numbers);
    store.finish();
}

#[test]
fn what_one_process_compiles_the_next_one_finds() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(find(&open(root.path()), 1), None);
    sealed(root.path(), 0..100);
    assert_eq!(packs(root.path()).len(), 1);
    let store = open(root.path());
    for number in 0..100 {
        assert_eq!(find(&store, number), Some(code(number)), "{number}");
    }
    assert_eq!(find(&store, 100), None);
    store.finish();
    assert_eq!(packs(root.path()).len(), 1);
}

#[test]
fn a_pack_that_was_never_sealed_is_used_and_put_in_order() {
    let root = tempfile::tempdir().unwrap();
    let killed = open(root.path());
    insert(&killed, 0..10);
    // Its lock is held while it lives, and so nobody else touches it.
    sealed(root.path(), 20..21);
    assert_eq!(packs(root.path()).len(), 2);
    drop(killed);
    let store = open(root.path());
    assert_eq!(find(&store, 3), Some(code(3)));
    store.finish();
    assert_eq!(packs(root.path()).len(), 1);
    let store = open(root.path());
    for number in (0..10).chain([20]) {
        assert_eq!(find(&store, number), Some(code(number)), "{number}");
    }
}

#[test]
fn what_another_process_has_added_meanwhile_is_found() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..1);
    let store = open(root.path());
    assert_eq!(find(&store, 1), None);
    sealed(root.path(), 1..2);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(find(&store, 1), Some(code(1)));
}

#[test]
fn what_all_others_have_is_not_kept_twice() {
    let root = tempfile::tempdir().unwrap();
    let (one, other) = (open(root.path()), open(root.path()));
    insert(&one, 0..10);
    insert(&other, 0..10);
    one.finish();
    other.finish();
    assert_eq!(packs(root.path()).len(), 1);
}

#[test]
fn many_packs_become_one() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..30 {
        sealed(root.path(), number..number + 3);
    }
    assert!(packs(root.path()).len() <= 9, "{:?}", packs(root.path()));
    let store = open(root.path());
    for number in 0..32 {
        assert_eq!(find(&store, number), Some(code(number)), "{number}");
    }
}

#[test]
fn a_pack_cut_off_anywhere_loses_what_is_missing_and_no_more() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..4);
    let path = packs(root.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let store = open(root.path());
        for number in 0..4 {
            let found = find(&store, number);
            assert!(found.is_none() || found == Some(code(number)), "{length}");
        }
        let (_, damaged) = verify_store(root.path()).unwrap();
        assert_eq!(damaged.len(), 1, "{length}");
        for left in packs(root.path()) {
            fs::remove_file(left).unwrap();
        }
    }
}

#[test]
fn a_flipped_bit_anywhere_gives_no_other_code_and_is_mended() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..3);
    let path = packs(root.path()).remove(0);
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        for left in packs(root.path()) {
            fs::remove_file(left).unwrap();
        }
        let mut flipped = whole.clone();
        flipped[position] ^= 1 << (position % 8);
        fs::write(&path, flipped).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let store = open(root.path());
        for number in 0..3 {
            match find(&store, number) {
                None => insert(&store, [number]),
                found => assert_eq!(found, Some(code(number)), "{position}"),
            }
        }
        store.finish();
        let store = open(root.path());
        for number in 0..3 {
            assert_eq!(find(&store, number), Some(code(number)), "{position}");
        }
    }
}

#[test]
fn an_entry_that_is_damaged_while_it_is_mapped_is_not_served() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..1);
    let path = packs(root.path()).remove(0);
    let store = open(root.path());
    assert_eq!(find(&store, 0), Some(code(0)));
    let at = fs::read(&path).unwrap().windows(4).rposition(|part| part == b"obje").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"x", at as u64).unwrap();
    assert_eq!(find(&store, 0), None);
    file.set_len(40).unwrap();
    assert_eq!(find(&store, 0), None);
}

#[test]
fn verifying_drops_what_is_damaged() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..10);
    assert_eq!(verify_store(root.path()).unwrap(), (10, Vec::new()));
    let path = packs(root.path()).remove(0);
    let at =
        fs::read(&path).unwrap().windows(13).position(|part| part == b"code object 5").unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(b"x", at as u64).unwrap();
    let (looked_at, damaged) = verify_store(root.path()).unwrap();
    assert_eq!((looked_at, damaged), (10, vec![DamagedPack { path, lost: 1 }]));
    assert_eq!(verify_store(root.path()).unwrap(), (9, Vec::new()));
    let store = open(root.path());
    let found: BTreeSet<usize> = (0..10).filter(|n| find(&store, *n).is_some()).collect();
    assert_eq!(found, (0..10).filter(|number| *number != 5).collect());
}

/// Sets when the entries of the only pack were last used; in the order of their keys.
fn set_stamps(root: &Path, stamp: impl Fn(&str) -> u32) {
    let path = packs(root).remove(0);
    let pack = super::pack::Pack::open(&path).unwrap();
    let mut numbered = Vec::new();
    pack.each(|place, record| {
        let module = String::from_utf8_lossy(record.module).into_owned();
        numbered.push((place.stamp.unwrap().0, stamp(&module)));
    })
    .unwrap();
    for (number, stamp) in numbered {
        let (offset, stamps) = pack.stamps(&[number], stamp).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&stamps, offset).unwrap();
    }
}

#[test]
fn what_was_used_least_recently_goes_first() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    for number in 0..100 {
        store.insert(&key(number), &format!("m{number}"), "/a/m.py", &[7; 1000]);
    }
    store.finish();
    set_stamps(root.path(), |module| 1000 - module[1..].parse::<u32>().unwrap());
    let before = store_usage(root.path());
    prune_store(root.path(), before.bytes / 2).unwrap();
    let after = store_usage(root.path());
    assert!(after.bytes <= before.bytes / 2, "{after:?}");
    assert!(after.bytes > before.bytes / 3, "{after:?}");
    let store = open(root.path());
    let found: Vec<usize> = (0..100).filter(|n| find(&store, *n).is_some()).collect();
    assert_eq!(found, (0..found.len()).collect::<Vec<_>>(), "the newest are left");
    // Whoever has the former pack mapped has what it had.
    assert_eq!(evict(&bytecode_directory(root.path()), u64::MAX).unwrap(), 0);
}

#[test]
fn using_an_entry_renews_its_stamp_once_it_is_old() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..2);
    set_stamps(root.path(), |_| 1000);
    let store = open(root.path());
    assert_eq!(find(&store, 1), Some(code(1)));
    store.finish();
    let used = |module: &str| {
        let listed = cached_code(root.path());
        listed.iter().find(|code| code.module == module).unwrap().used
    };
    assert_eq!(used("m0"), 1000);
    assert!(used("m1") > 1_000_000_000);
}

#[test]
fn a_directory_that_others_may_write_to_is_not_used() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..1);
    let layout = root.path().join(LAYOUT);
    for directory in [layout.clone(), layout.join("cpython-311"), root.path().to_owned()] {
        let before = directory.metadata().unwrap().permissions();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        let store = open(root.path());
        assert_eq!(find(&store, 0), None, "{}", directory.display());
        insert(&store, [5]);
        store.finish();
        assert_eq!(packs(root.path()).len(), 1);
        fs::set_permissions(&directory, before).unwrap();
    }
    let path = packs(root.path()).remove(0);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o622)).unwrap();
    assert_eq!(find(&open(root.path()), 0), None);
}

#[test]
fn nothing_is_written_without_leave() {
    let root = tempfile::tempdir().unwrap();
    let store = BytecodeStore::open(root.path(), &target(), LIMIT, false);
    insert(&store, 0..3);
    store.finish();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn clearing_leaves_what_is_being_written() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..3);
    let store = open(root.path());
    insert(&store, 3..4);
    clear_store(root.path()).unwrap();
    store.finish();
    let store = open(root.path());
    assert_eq!((find(&store, 0), find(&store, 3)), (None, Some(code(3))));
}

#[test]
fn what_this_process_has_written_it_finds_itself() {
    let root = tempfile::tempdir().unwrap();
    let store = open(root.path());
    insert(&store, 0..3);
    for number in 0..3 {
        assert_eq!(find(&store, number), Some(code(number)), "{number}");
    }
    assert_eq!(find(&store, 3), None);
}

#[test]
fn many_packs_are_put_together_by_who_only_reads() {
    let root = tempfile::tempdir().unwrap();
    let mut contents = Vec::new();
    for number in 0..12 {
        sealed(root.path(), number..=number);
        for path in packs(root.path()) {
            contents.push((path.clone(), fs::read(&path).unwrap()));
            fs::remove_file(path).unwrap();
        }
    }
    for (path, content) in contents {
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_eq!(packs(root.path()).len(), 12);
    let store = open(root.path());
    assert_eq!(find(&store, 7), Some(code(7)));
    store.finish();
    assert_eq!(packs(root.path()).len(), 1);
    assert_eq!(find(&open(root.path()), 11), Some(code(11)));
}

#[test]
fn no_more_is_dropped_than_has_to_be() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..100);
    let layout = root.path().join(LAYOUT);
    let size = packs(root.path())[0].metadata().unwrap().len();
    let dropped = evict(&layout, size - 1).unwrap();
    let left: u64 = packs(root.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    // An eighth, and the part of a record.
    assert_eq!(size - left, dropped);
    assert!(dropped < size / 8 + 300, "{dropped} of {size}");
}

#[test]
fn other_things_in_place_of_packs_are_cleared_away() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..1);
    let directory = root.path().join(LAYOUT).join(target().directory());
    for name in ["pack-directory", "writing-directory"] {
        fs::create_dir_all(directory.join(name).join("below")).unwrap();
        std::os::unix::fs::symlink("nowhere", directory.join(format!("{name}-link"))).unwrap();
    }
    let (looked_at, damaged) = verify_store(root.path()).unwrap();
    assert_eq!((looked_at, damaged.len()), (1, 4));
    assert_eq!(packs(root.path()).len(), 1);
    fs::create_dir(directory.join("pack-directory")).unwrap();
    clear_store(root.path()).unwrap();
    assert_eq!(packs(root.path()).len(), 0);
}

#[test]
fn clearing_removes_what_is_in_the_place_of_a_store() {
    let root = tempfile::tempdir().unwrap();
    let layout = root.path().join(LAYOUT);
    fs::write(&layout, "no directory").unwrap();
    clear_store(root.path()).unwrap();
    sealed(root.path(), 0..1);
    for directory in [layout.join("cpython-311"), layout] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).unwrap();
        clear_store(root.path()).unwrap();
        assert!(!directory.exists(), "{}", directory.display());
        sealed(root.path(), 0..1);
    }
    assert_eq!(find(&open(root.path()), 0), Some(code(0)));
}

#[test]
fn no_lock_is_held_while_code_is_read() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..2);
    let store = open(root.path());
    insert(&store, 5..6);
    for number in [0, 5] {
        // What is unmarshalled may import, and so may what it replaces when it goes.
        let inner = store.find(&key(number), |_| {
            insert(&store, 10 + number..11 + number);
            (find(&store, 1), find(&store, 5), find(&store, 10 + number))
        });
        let expected = (Some(code(1)), Some(code(5)), Some(code(10 + number)));
        assert_eq!(inner, Some(expected), "{number}");
    }
}

#[test]
fn whoever_else_is_tidying_up_is_not_waited_for() {
    let root = tempfile::tempdir().unwrap();
    sealed(root.path(), 0..1);
    let layout = root.path().join(LAYOUT);
    let lock = super::housekeeping::TidyingLock::take(&layout).unwrap();
    assert!(lock.is_some());
    for number in 1..20 {
        sealed(root.path(), number..number + 1);
    }
    assert_eq!(packs(root.path()).len(), 20, "nobody has put them together");
    drop(lock);
    // The file is still there, and no lock.
    sealed(root.path(), 20..21);
    assert_eq!(packs(root.path()).len(), 1);
    let store = open(root.path());
    assert!((0..21).all(|number| find(&store, number) == Some(code(number))));
}
