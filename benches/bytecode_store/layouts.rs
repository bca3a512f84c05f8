//! The modules that are stored, and the layouts that store them.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use mmport::bytecode::{BytecodeStore, DEFAULT_LIMIT, Key, Target};
use rustix::fs::{FlockOperation, flock};

/// Lengths of code objects, each as frequent as the others: the distribution of Django's (its 2.5 %,
/// 7.5 %, … quantiles), scaled so that the mean is 8 KiB.
const LENGTHS: [usize; 20] = [
    100, 230, 450, 700, 950, 1_300, 1_700, 2_300, 2_800, 3_300, 4_100, 5_000, 6_100, 7_500, 9_000,
    11_000, 14_000, 18_000, 25_000, 50_310,
];
/// A code object to be stored.
pub struct Module {
    pub key: Key,
    pub code: Vec<u8>,
}

pub fn target() -> Target {
    Target::new("cpython-311", [0xa7, 0x0d, 0x0d, 0x0a], 0, true)
}

pub fn key(number: usize) -> Key {
    target().key(&number.to_le_bytes())
}

/// Bytes from a seeded generator (xorshift64*).
pub fn random_bytes(seed: usize, length: usize) -> Vec<u8> {
    let mut state = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let words = std::iter::repeat_with(|| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    });
    words.flatten().take(length).collect()
}

pub fn modules(count: usize) -> Vec<Module> {
    let module = |number: usize| Module {
        key: key(number),
        code: random_bytes(number, LENGTHS[number % LENGTHS.len()]),
    };
    (0..count).map(module).collect()
}

/// Keys of `wanted` of the first `count` modules, in an order that is not that of writing.
pub fn keys(count: usize, wanted: usize) -> Vec<Key> {
    let mut keys: Vec<Key> = (0..count).map(key).collect();
    keys.sort_unstable();
    keys.truncate(wanted);
    keys
}

/// The bytes that `Display` shows.
pub fn key_bytes(key: &Key) -> [u8; 32] {
    *blake3::Hash::from_hex(key.to_string()).unwrap().as_bytes()
}

pub fn check(key: &[u8; 32], code: &[u8]) -> [u8; 16] {
    *blake3::keyed_hash(key, code).as_bytes().first_chunk().unwrap()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    FileEachRead,
    FileEachMapped,
    GrowingPack,
    SealedPacks,
}

impl Layout {
    pub const ALL: [Self; 4] =
        [Self::FileEachRead, Self::FileEachMapped, Self::GrowingPack, Self::SealedPacks];

    pub fn name(self) -> &'static str {
        match self {
            Self::FileEachRead => "a file each, read",
            Self::FileEachMapped => "a file each, mapped",
            Self::GrowingPack => "growing pack",
            Self::SealedPacks => "sealed packs",
        }
    }

    /// Puts all modules into an empty store, as one process that has compiled them does.
    pub fn populate(self, directory: &Path, modules: &[Module]) {
        match self {
            Self::FileEachRead | Self::FileEachMapped => write_files(directory, modules),
            Self::GrowingPack => append_to_pack(directory, modules),
            Self::SealedPacks => {
                let store = BytecodeStore::open(directory, &target(), DEFAULT_LIMIT, true);
                for module in modules {
                    store.insert(&module.key, "module", "/application/module.py", &module.code);
                }
                store.finish();
            }
        }
    }

    /// Opens the store and looks all keys up, as a new process does; how many bytes were found.
    pub fn look_up(self, directory: &Path, keys: &[Key]) -> usize {
        let find =
            |find: &dyn Fn(&Key) -> Option<usize>| keys.iter().map(|it| find(it).unwrap()).sum();
        match self {
            Self::FileEachRead => find(&|key| read_file(directory, key)),
            Self::FileEachMapped => find(&|key| map_file(directory, key)),
            Self::GrowingPack => {
                let pack = GrowingPack::open(directory);
                find(&|key| pack.find(key))
            }
            Self::SealedPacks => {
                let store = BytecodeStore::open(directory, &target(), DEFAULT_LIMIT, false);
                find(&|key| store.find(key, |code| black_box(code).len()))
            }
        }
    }
}

/// The file of a key: 16 bytes of check, then the code.
fn file_of(directory: &Path, key: &Key) -> PathBuf {
    let name = key.to_string();
    directory.join(&name[..2]).join(&name[2..])
}

fn write_files(directory: &Path, modules: &[Module]) {
    for folder in 0..256 {
        fs::create_dir(directory.join(format!("{folder:02x}"))).unwrap();
    }
    for Module { key, code } in modules {
        let path = file_of(directory, key);
        let beside = path.with_extension("new");
        let mut content = check(&key_bytes(key), code).to_vec();
        content.extend(code);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&beside).unwrap().write_all(&content).unwrap();
        fs::rename(beside, path).unwrap();
    }
}

fn open_file(directory: &Path, key: &Key) -> Option<(File, usize)> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(file_of(directory, key)).ok()?;
    let metadata = file.metadata().ok()?;
    let is_own = metadata.is_file() && metadata.mode() & 0o022 == 0;
    is_own.then_some((file, usize::try_from(metadata.len()).ok()?))
}

fn checked_length(key: &Key, content: &[u8]) -> Option<usize> {
    let (found, code) = content.split_first_chunk::<16>()?;
    (check(&key_bytes(key), code) == *found).then(|| black_box(code).len())
}

fn read_file(directory: &Path, key: &Key) -> Option<usize> {
    let (file, length) = open_file(directory, key)?;
    let mut content = Vec::with_capacity(length);
    // As far as `fstat` has said, so that no call is needed to see the end.
    file.take(length as u64).read_to_end(&mut content).ok()?;
    checked_length(key, &content)
}

fn map_file(directory: &Path, key: &Key) -> Option<usize> {
    let (file, _) = open_file(directory, key)?;
    // SAFETY: nobody else writes to the benchmark's directory.
    let content = unsafe { Mmap::map(&file) }.ok()?;
    checked_length(key, &content)
}

/// Records of key (32), check (16), length (8), code.
struct GrowingPack {
    map: Mmap,
    places: HashMap<[u8; 32], usize>,
}

const RECORD: usize = 56;

fn append_to_pack(directory: &Path, modules: &[Module]) {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600);
    let mut file = options.open(directory.join("pack")).unwrap();
    for Module { key, code } in modules {
        let key = key_bytes(key);
        let mut record = key.to_vec();
        record.extend(check(&key, code));
        record.extend((code.len() as u64).to_le_bytes());
        record.extend(code);
        // Others append too, and a record that was cut off must not have others behind it.
        flock(&file, FlockOperation::LockExclusive).unwrap();
        file.write_all(&record).unwrap();
        flock(&file, FlockOperation::Unlock).unwrap();
    }
}

impl GrowingPack {
    fn open(directory: &Path) -> Self {
        let file = File::open(directory.join("pack")).unwrap();
        // SAFETY: nobody else writes to the benchmark's directory.
        let map = unsafe { Mmap::map(&file) }.unwrap();
        let mut places = HashMap::new();
        let mut offset = 0;
        while let Some(record) = map.get(offset..offset + RECORD) {
            places.insert(*record.first_chunk().unwrap(), offset);
            offset += RECORD + code_length(record);
        }
        Self { map, places }
    }

    fn find(&self, key: &Key) -> Option<usize> {
        let key = key_bytes(key);
        let record = self.map.get(*self.places.get(&key)?..)?;
        let code = record.get(RECORD..RECORD + code_length(record))?;
        (check(&key, code) == record[32..48]).then(|| black_box(code).len())
    }
}

fn code_length(record: &[u8]) -> usize {
    usize::try_from(u64::from_le_bytes(*record[48..].first_chunk().unwrap())).unwrap()
}
