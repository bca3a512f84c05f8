//! Names of a bundle: dotted-name lookups for imports, made by one borrowed walk.
//!
//! The index has one slot for each *stem*: the path of a would-be module without its suffix, such
//! as `pkg/mod`. A slot says at once whether the stem is an extension module, a source, bytecode,
//! a package, or a directory that only has something below it, so that finding a module is one
//! hash of `prefix + name` and one probe. No name is copied: a slot keeps where its stem lies in
//! the central directory (names that are not UTF-8 are decoded into a side buffer first, as
//! zipimport decodes code page 437).
//!
//! Names that no file system would give (absolute, with `.` or `..` components, with NUL or a
//! backslash) are not indexed; nothing can reach such an entry. Of two entries with the same name
//! the later one counts, as in `zipimport`.

use std::path::Path;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::codepage::decode_cp437;
use super::directory::{CentralDirectory, Header};
use super::found::{Found, FoundKind, FoundModule};
use super::servable::{is_servable, split_base};
use super::suffixes::FileKind;
use super::{BundleError, INFORMATION_ENTRY, Suffixes};

/// No entry.
const NONE: u32 = u32::MAX;

/// The entries that can make up one module, as offsets into the central directory.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModuleFiles {
    extension: u32,
    source: u32,
    bytecode: u32,
    cached: u32,
    extension_rank: u8,
}

impl ModuleFiles {
    const EMPTY: Self = Self {
        extension: NONE,
        source: NONE,
        bytecode: NONE,
        cached: NONE,
        extension_rank: u8::MAX,
    };

    fn is_empty(&self) -> bool {
        self.extension == NONE && self.source == NONE && self.bytecode == NONE
    }
}

/// Everything the bundle has under one stem.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Where the stem's bytes are: in the directory, or behind it in the side buffer.
    position: u64,
    length: u32,
    /// `stem/` has entries below it.
    is_directory: bool,
    /// Something below `stem/` is not a Python file.
    carries_files: bool,
    /// `stem.py` and its kin.
    module: ModuleFiles,
    /// `stem/__init__.py` and its kin.
    package: ModuleFiles,
}

/// The module index of a bundle.
#[derive(Debug)]
pub struct Index {
    slots: Vec<Slot>,
    table: HashTable<u32>,
    hasher: RandomState,
    decoded: Vec<u8>,
    /// The slot after the one that was asked for last, while the index is made. Zips name bytecode in
    /// the order of the sources, or sources and bytecode side by side, so it is mostly the next that is
    /// asked for, unless it is a new one; and to look at it costs less than a hash and a probe.
    expected: u32,
    entries: usize,
    modules: usize,
    /// The entry of that name.
    information: Option<u32>,
    /// Whether the Python that asks optimizes: bytecode beside its source is what `mmport build` and
    /// zip tools put there for a Python that does not.
    optimizes: bool,
}

/// A name as the index sees it: its bytes and where they lie.
struct Name<'name> {
    bytes: &'name [u8],
    position: u64,
}

impl<'name> Name<'name> {
    fn cut(&self, length: usize) -> Name<'name> {
        Name { bytes: &self.bytes[..length], position: self.position }
    }
}

impl Index {
    /// Walks the central directory and indexes every name.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when a header is not sound.
    pub(super) fn build(
        path: &Path,
        central: &CentralDirectory,
        suffixes: &Suffixes,
    ) -> Result<Self, BundleError> {
        let directory_bytes = &*central.bytes;
        // A header is at least 46 bytes and real names average 40, so this rarely grows.
        let expected = directory_bytes.len() / 96;
        let mut index = Self {
            slots: Vec::with_capacity(expected),
            table: HashTable::with_capacity(expected),
            hasher: RandomState::default(),
            decoded: Vec::new(),
            expected: 0,
            entries: 0,
            modules: 0,
            information: None,
            optimizes: suffixes.optimization() > 0,
        };
        // Entries of a directory mostly follow each other, so what is known of it is kept.
        let mut parent: &[u8] = b"";
        let mut parent_slot: Option<u32> = None;
        let mut parent_is_servable = true;
        for header in central.headers(path) {
            let header = header?;
            index.entries += 1;
            let ordinal = header.ordinal;
            if !header.is_utf8 && !header.name.is_ascii() {
                if is_servable(header.name) {
                    index.add_decoded(directory_bytes, &header, ordinal, suffixes);
                }
                continue;
            }
            let name = Name { bytes: header.name, position: u64::from(ordinal) + 46 };
            let (split, base_is_servable) = split_base(name.bytes);
            if split.is_none() && name.bytes == INFORMATION_ENTRY.as_bytes() {
                index.information = Some(ordinal);
            }
            let directory = split.map_or(&b""[..], |at| &name.bytes[..at]);
            if directory != parent {
                parent = directory;
                parent_is_servable = directory.is_empty() || is_servable(directory);
                parent_slot = if parent_is_servable {
                    index.add_directory(directory_bytes, &name.cut(directory.len()))
                } else {
                    None
                };
            }
            if parent_is_servable && split != Some(0) && base_is_servable {
                index.add_file(directory_bytes, &name, split, parent_slot, ordinal, suffixes);
            }
        }
        Ok(index)
    }

    /// Adds an entry whose name has to be decoded first.
    fn add_decoded(
        &mut self,
        directory_bytes: &[u8],
        header: &Header,
        ordinal: u32,
        suffixes: &Suffixes,
    ) {
        let text = decode_cp437(header.name);
        let position = (directory_bytes.len() + self.decoded.len()) as u64;
        self.decoded.extend_from_slice(text.as_bytes());
        let name = Name { bytes: text.as_bytes(), position };
        let split = name.bytes.iter().rposition(|byte| *byte == b'/');
        let parent = self.add_directory(directory_bytes, &name.cut(split.unwrap_or(0)));
        self.add_file(directory_bytes, &name, split, parent, ordinal, suffixes);
    }

    /// Makes sure that a directory and all directories above it have slots; returns its own, or
    /// `None` for the root.
    fn add_directory(&mut self, directory_bytes: &[u8], name: &Name) -> Option<u32> {
        if name.bytes.is_empty() {
            return None;
        }
        let own = self.slot_mut(directory_bytes, name);
        let mut slot = own;
        let mut end = name.bytes.len();
        // A loop, because a hostile name may have thousands of components.
        while !std::mem::replace(&mut self.slots[slot as usize].is_directory, true) {
            let Some(at) = memchr::memrchr(b'/', &name.bytes[..end]) else { break };
            end = at;
            slot = self.slot_mut(directory_bytes, &name.cut(end));
        }
        Some(own)
    }

    /// Adds one file to the slot of its stem.
    fn add_file(
        &mut self,
        directory_bytes: &[u8],
        name: &Name,
        split: Option<usize>,
        parent_slot: Option<u32>,
        ordinal: u32,
        suffixes: &Suffixes,
    ) {
        let base_start = split.map_or(0, |at| at + 1);
        let base = &name.bytes[base_start..];
        if base.is_empty() {
            return; // An entry for a directory itself; its slot was made by the caller.
        }
        let parent = &name.bytes[..base_start.saturating_sub(1)];
        if parent == b"__pycache__" || parent.ends_with(b"/__pycache__") {
            if let Some(stem) = suffixes.cached_stem(base) {
                self.add_cached(
                    directory_bytes,
                    &parent[..parent.len() - b"__pycache__".len()],
                    stem,
                    ordinal,
                );
            }
            return;
        }
        let (stem, kind) = match suffixes.classify(base) {
            kind @ (FileKind::Source(stem)
            | FileKind::Bytecode(stem)
            | FileKind::Extension(stem, _)) => (stem, kind),
            FileKind::Typing => return,
            FileKind::Data => {
                self.mark_files(directory_bytes, name, parent_slot);
                return;
            }
        };
        let is_init = stem == b"__init__";
        if matches!(kind, FileKind::Extension(..)) {
            self.mark_files(directory_bytes, name, parent_slot);
        }
        let slot = match (is_init, parent_slot) {
            (true, Some(slot)) => slot,
            // `__init__.py` at the root is just a module.
            _ => self.slot_mut(directory_bytes, &name.cut(base_start + stem.len())),
        };
        let slot = &mut self.slots[slot as usize];
        let files =
            if is_init && parent_slot.is_some() { &mut slot.package } else { &mut slot.module };
        if files.is_empty() {
            self.modules += 1;
        }
        match kind {
            FileKind::Source(_) => files.source = ordinal,
            FileKind::Bytecode(_) => files.bytecode = ordinal,
            FileKind::Extension(_, rank) if rank <= files.extension_rank => {
                files.extension = ordinal;
                files.extension_rank = rank;
            }
            FileKind::Extension(..) | FileKind::Typing | FileKind::Data => {}
        }
    }

    /// Adds `directory__pycache__/stem.TAG.pyc` to the slot of `directory/stem`. The stem is not a
    /// run of bytes in the directory, so it goes to the side buffer; bundles for one Python have none.
    fn add_cached(&mut self, directory_bytes: &[u8], directory: &[u8], stem: &[u8], ordinal: u32) {
        let is_package = stem == b"__init__" && !directory.is_empty();
        let position = (directory_bytes.len() + self.decoded.len()) as u64;
        let mut key = directory.to_vec();
        if is_package {
            key.pop(); // the slash: a package's slot is its directory's
        } else {
            key.extend_from_slice(stem);
        }
        self.decoded.extend_from_slice(&key);
        let slot = self.slot_mut(directory_bytes, &Name { bytes: &key, position });
        let slot = &mut self.slots[slot as usize];
        if is_package {
            slot.package.cached = ordinal;
        } else {
            slot.module.cached = ordinal;
        }
    }

    /// Notes that every directory above a file carries files besides Python's.
    fn mark_files(&mut self, directory_bytes: &[u8], name: &Name, parent_slot: Option<u32>) {
        let mut slot = parent_slot;
        while let Some(number) = slot {
            let current = &mut self.slots[number as usize];
            if current.carries_files {
                return; // and so does everything above
            }
            current.carries_files = true;
            let length = current.length as usize;
            slot = name.bytes[..length]
                .iter()
                .rposition(|byte| *byte == b'/')
                .map(|at| self.slot_mut(directory_bytes, &name.cut(at)));
        }
    }

    /// The slot of a stem, made when there is none.
    fn slot_mut(&mut self, directory_bytes: &[u8], name: &Name) -> u32 {
        let Self { slots, table, hasher, decoded, expected, .. } = self;
        let is_expected = |slot: &Slot| stem_of(directory_bytes, decoded, slot) == name.bytes;
        if slots.get(*expected as usize).is_some_and(is_expected) {
            let number = *expected;
            *expected += 1;
            return number;
        }
        let hash = hasher.hash_one(Stem(name.bytes));
        let entry = table.entry(
            hash,
            |slot| stem_of(directory_bytes, decoded, &slots[*slot as usize]) == name.bytes,
            |slot| hasher.hash_one(Stem(stem_of(directory_bytes, decoded, &slots[*slot as usize]))),
        );
        let number = match entry {
            hashbrown::hash_table::Entry::Occupied(entry) => *entry.get(),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                // Fewer slots than directory bytes, which fit a u32.
                let number = slots.len() as u32;
                entry.insert(number);
                slots.push(Slot {
                    position: name.position,
                    length: name.bytes.len() as u32,
                    is_directory: false,
                    carries_files: false,
                    module: ModuleFiles::EMPTY,
                    package: ModuleFiles::EMPTY,
                });
                number
            }
        };
        *expected = number + 1;
        number
    }

    fn slot(&self, directory_bytes: &[u8], stem: &[u8]) -> Option<&Slot> {
        let hash = self.hasher.hash_one(Stem(stem));
        let number = self.table.find(hash, |slot| {
            stem_of(directory_bytes, &self.decoded, &self.slots[*slot as usize]) == stem
        })?;
        Some(&self.slots[*number as usize])
    }

    /// What an import of the module at `stem` (`pkg/mod`) finds. The order is that of CPython's
    /// `FileFinder.find_spec`: a package before a module before a namespace portion.
    pub(super) fn find(&self, directory_bytes: &[u8], stem: &[u8]) -> Option<Found> {
        let slot = self.slot(directory_bytes, stem)?;
        let found = |is_package, kind| Some(Found::Module(FoundModule { is_package, kind }));
        if let Some(kind) = self.choose(&slot.package) {
            return found(true, kind);
        }
        if let Some(kind) = self.choose(&slot.module) {
            return found(false, kind);
        }
        slot.is_directory.then_some(Found::NamespacePortion)
    }

    /// Which of a module's files is loaded: extension, source, bytecode, in CPython's order.
    fn choose(&self, files: &ModuleFiles) -> Option<FoundKind> {
        let some = |ordinal: u32| (ordinal != NONE).then_some(ordinal);
        if let Some(extension) = some(files.extension) {
            return Some(FoundKind::Extension(extension));
        }
        if let Some(source) = some(files.source) {
            return Some(FoundKind::Source {
                source,
                cached: some(files.cached),
                beside: some(files.bytecode).filter(|_| !self.optimizes),
            });
        }
        some(files.bytecode).map(FoundKind::Bytecode)
    }

    /// Whether `directory` is a regular package, that is, has an `__init__`.
    pub(super) fn is_regular_package(&self, directory_bytes: &[u8], directory: &[u8]) -> bool {
        self.slot(directory_bytes, directory).is_some_and(|slot| !slot.package.is_empty())
    }

    /// Whether `directory` is a directory, with an entry of its own or only entries below it.
    pub(super) fn is_directory(&self, directory_bytes: &[u8], directory: &[u8]) -> bool {
        self.slot(directory_bytes, directory).is_some_and(|slot| slot.is_directory)
    }

    /// Whether anything below `directory` is not a Python file.
    pub(super) fn carries_files(&self, directory_bytes: &[u8], directory: &[u8]) -> bool {
        self.slot(directory_bytes, directory).is_some_and(|slot| slot.carries_files)
    }

    /// Directories at the root, in the order in which they were first met.
    pub(super) fn root_directories<'index>(
        &'index self,
        directory_bytes: &'index [u8],
    ) -> impl Iterator<Item = &'index [u8]> {
        self.slots
            .iter()
            .filter(|slot| slot.is_directory)
            .map(move |slot| stem_of(directory_bytes, &self.decoded, slot))
            .filter(|stem| memchr::memchr(b'/', stem).is_none())
    }

    /// Where the header is of [`INFORMATION_ENTRY`].
    pub(super) fn information(&self) -> Option<u32> {
        self.information
    }

    /// How many entries the central directory lists.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// How many modules and packages can be imported.
    pub(super) fn modules(&self) -> usize {
        self.modules
    }
}

/// A stem as hashed: its bytes alone, without the length that slices add.
struct Stem<'bytes>(&'bytes [u8]);

impl std::hash::Hash for Stem<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        state.write(self.0);
    }
}

/// The bytes of a slot's stem.
fn stem_of<'bytes>(
    directory_bytes: &'bytes [u8],
    decoded: &'bytes [u8],
    slot: &Slot,
) -> &'bytes [u8] {
    let start = slot.position as usize;
    let length = slot.length as usize;
    if start < directory_bytes.len() {
        &directory_bytes[start..start + length]
    } else {
        &decoded[start - directory_bytes.len()..start - directory_bytes.len() + length]
    }
}
