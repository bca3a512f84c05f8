//! Packs: files of many code objects, mapped and read in place.
//!
//! ```text
//! 32 bytes     `mmport bytecode`, a zero, the format's version, zeros
//! records      see [`super::record`]
//! ```
//!
//! While a process writes one, that is all there is, and readers go through the records. When it is
//! *sealed*, an index follows, so that opening it costs the same for ten records and ten thousand:
//!
//! ```text
//! 32 bytes × count   keys, sorted
//! 8 bytes × count    where the records are, in the order of the keys
//! 4 bytes × count    when each was last used, in seconds since the epoch; the only part that changes
//! 40 bytes           `mmport index` and zeros (16), count (8), where the index begins (8), CRC-32 of
//!                    those, zeros (4)
//! ```
//!
//! Nothing in a pack is trusted: offsets are bounds-checked, a record has to be of the key that was
//! asked for, and its code has to pass the check before anybody sees it. So what is damaged is at
//! worst not found.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::bundle::{BundleError, Mapping};
use crate::native::is_own_file;

use super::key::Key;
use super::pack_writer::SEALED;
use super::record::Record;

/// The first bytes of a pack: its name and the version of the format.
pub(super) const HEADER: &[u8; 32] = b"mmport bytecode\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// The first bytes of a sealed pack's last part.
const INDEX_MARK: &[u8; 16] = b"mmport index\0\0\0\0";
const FOOTER: usize = 40;
const KEY: usize = 32;
const OFFSET: usize = 8;
const STAMP: usize = 4;
/// What the index has of each record.
pub(super) const IN_INDEX: usize = KEY + OFFSET + STAMP;

/// Why a file is not used as a pack.
#[derive(Debug, thiserror::Error)]
pub(super) enum PackError {
    /// It cannot be opened, or has become shorter.
    #[error(transparent)]
    File(#[from] BundleError),
    /// Somebody else may have written it.
    #[error("open `{}`: expected a file of this user's that nobody else may write to, found another", .0.display())]
    NotOwn(PathBuf),
    /// It does not begin as packs do.
    #[error("open `{}`: expected a pack of code objects, found something else", .0.display())]
    NotAPack(PathBuf),
}

/// The code under a key is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage;

/// A pack, mapped.
#[derive(Debug)]
pub(super) struct Pack {
    mapping: Mapping,
    index: Index,
}

#[derive(Debug)]
enum Index {
    Sealed(SealedIndex),
    /// Where the records are.
    Scanned(HashMap<Key, usize>),
}

/// Where the parts of a sealed pack's index are.
#[derive(Debug, Clone, Copy)]
struct SealedIndex {
    start: usize,
    count: usize,
}

/// A record's place in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the record begins.
    pub offset: usize,
    /// Its number in the index, and when it was last used; `None` in a pack that is not sealed.
    pub stamp: Option<(usize, u32)>,
}

impl SealedIndex {
    /// The index of the pack `data`, if it is sealed.
    fn read(data: &[u8]) -> Option<Self> {
        let footer = data.last_chunk::<FOOTER>()?;
        let (mark, rest) = footer.split_first_chunk::<16>()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (start, rest) = rest.split_first_chunk()?;
        let (crc, _) = rest.split_first_chunk()?;
        let index = Self {
            count: usize::try_from(u64::from_le_bytes(*count)).ok()?,
            start: usize::try_from(u64::from_le_bytes(*start)).ok()?,
        };
        let length = index.count.checked_mul(IN_INDEX)?.checked_add(FOOTER)?;
        let is_whole = mark == INDEX_MARK
            && u32::from_le_bytes(*crc) == crc32fast::hash(&footer[..32])
            && index.start.checked_add(length) == Some(data.len());
        is_whole.then_some(index)
    }

    fn key<'data>(&self, data: &'data [u8], number: usize) -> Option<&'data [u8; KEY]> {
        data.get(self.start + number * KEY..)?.first_chunk()
    }

    fn offset(&self, data: &[u8], number: usize) -> Option<usize> {
        let at = self.start + self.count * KEY + number * OFFSET;
        usize::try_from(u64::from_le_bytes(*data.get(at..)?.first_chunk()?)).ok()
    }

    /// Where the stamps begin.
    fn stamps(&self) -> usize {
        self.start + self.count * (KEY + OFFSET)
    }

    fn stamp(&self, data: &[u8], number: usize) -> Option<u32> {
        let at = self.stamps() + number * STAMP;
        Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?))
    }

    fn find(&self, data: &[u8], key: &Key) -> Option<Place> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.key(data, middle)?.cmp(&key.0) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.place(data, middle),
            }
        }
        None
    }

    fn place(&self, data: &[u8], number: usize) -> Option<Place> {
        let stamp = Some((number, self.stamp(data, number)?));
        Some(Place { offset: self.offset(data, number)?, stamp })
    }
}

impl Pack {
    /// Opens the pack at `path`.
    ///
    /// # Errors
    /// [`PackError`], when it is no pack or somebody else's.
    pub(super) fn open(path: &Path) -> Result<Self, PackError> {
        let metadata = fs::symlink_metadata(path)
            .map_err(|source| BundleError::Open { path: path.to_owned(), source })?;
        if !metadata.is_file() || !is_own_file(&metadata) {
            return Err(PackError::NotOwn(path.to_owned()));
        }
        if metadata.size() < HEADER.len() as u64 {
            return Err(PackError::NotAPack(path.to_owned()));
        }
        let mapping = Mapping::open(path)?;
        let index = mapping.read(|data| {
            data.starts_with(HEADER).then(|| match SealedIndex::read(data) {
                Some(index) => Index::Sealed(index),
                None => Index::Scanned(
                    records(data).map(|(offset, record)| (record.key, offset)).collect(),
                ),
            })
        })?;
        match index {
            Some(index) => Ok(Self { mapping, index }),
            None => Err(PackError::NotAPack(path.to_owned())),
        }
    }

    /// The pack's path.
    pub(super) fn path(&self) -> &Path {
        self.mapping.path()
    }

    /// The size of the file when it was opened, in bytes.
    pub(super) fn size(&self) -> usize {
        self.mapping.size()
    }

    /// Whether nothing is appended to it any more.
    pub(super) fn is_sealed(&self) -> bool {
        matches!(self.index, Index::Sealed(_))
    }

    /// How many records it has.
    pub(super) fn count(&self) -> usize {
        match &self.index {
            Index::Sealed(index) => index.count,
            Index::Scanned(offsets) => offsets.len(),
        }
    }

    /// Whether it was sealed once, by its name, and its index is not whole.
    pub(super) fn has_lost_its_end(&self) -> bool {
        let name = self.path().file_name().unwrap_or_default().as_encoded_bytes();
        !self.is_sealed() && name.starts_with(SEALED.as_bytes())
    }

    /// Whether there is code under this key, and it is what was written.
    pub(super) fn has(&self, key: &Key) -> bool {
        matches!(self.read(key, |_, _| ()), Some(Ok(())))
    }

    fn find(&self, data: &[u8], key: &Key) -> Option<Place> {
        match &self.index {
            Index::Sealed(index) => index.find(data, key),
            Index::Scanned(offsets) => Some(Place { offset: *offsets.get(key)?, stamp: None }),
        }
    }

    /// Runs `read` on the code under `key`, in place, after checking it. `None` where the pack has
    /// no such key.
    pub(super) fn read<T>(
        &self,
        key: &Key,
        read: impl FnOnce(Place, &[u8]) -> T,
    ) -> Option<Result<T, Damage>> {
        let outcome = self.mapping.read(|data| {
            let place = self.find(data, key)?;
            let record = data.get(place.offset..).and_then(Record::read).map(|(record, _)| record);
            Some(match record.filter(|record| record.key == *key && record.is_sound()) {
                Some(record) => Ok(read(place, record.code)),
                None => Err(Damage),
            })
        });
        outcome.unwrap_or(Some(Err(Damage)))
    }

    /// Runs `look` on every record, in the order in which they were written, with its place. Whether
    /// a record is sound is for `look` to find out. Returns how many keys of the index have none.
    ///
    /// # Errors
    /// [`BundleError`], when the file has become shorter.
    pub(super) fn each(&self, mut look: impl FnMut(Place, &Record)) -> Result<usize, BundleError> {
        self.mapping.read(|data| match &self.index {
            Index::Scanned(_) => {
                records(data)
                    .for_each(|(offset, record)| look(Place { offset, stamp: None }, &record));
                0
            }
            Index::Sealed(index) => {
                let mut places: Vec<(Place, Option<&[u8; KEY]>)> = (0..index.count)
                    .filter_map(|number| {
                        Some((index.place(data, number)?, index.key(data, number)))
                    })
                    .collect();
                places.sort_by_key(|(place, _)| place.offset);
                let mut missing = index.count - places.len();
                for (place, key) in places {
                    match data.get(place.offset..).and_then(Record::read) {
                        Some((record, _)) if Some(&record.key.0) == key => look(place, &record),
                        _ => missing += 1,
                    }
                }
                missing
            }
        })
    }

    /// Where stamps are in the file, and what they are with those of `used` set to `now`; `None` where
    /// the pack has none.
    pub(super) fn stamps(&self, used: &[usize], now: u32) -> Option<(u64, Vec<u8>)> {
        let Index::Sealed(index) = self.index else { return None };
        let range = index.stamps()..index.stamps() + index.count * STAMP;
        let mut stamps = self.mapping.read(|data| data.get(range).map(<[u8]>::to_vec)).ok()??;
        for number in used {
            let at = number * STAMP;
            stamps.get_mut(at..at + STAMP)?.copy_from_slice(&now.to_le_bytes());
        }
        Some((index.stamps() as u64, stamps))
    }
}

/// The records of a pack and where they begin, up to the first that does not hold together.
fn records(data: &[u8]) -> impl Iterator<Item = (usize, Record<'_>)> {
    let mut offset = HEADER.len();
    std::iter::from_fn(move || {
        let (record, length) = Record::read(data.get(offset..)?)?;
        let start = offset;
        offset += length;
        Some((start, record))
    })
}

/// The index of a pack with these records: key, where it begins, when it was last used. The index
/// will begin at `start`.
pub(super) fn index_of(records: &mut [(Key, u64, u32)], start: u64) -> Vec<u8> {
    records.sort_unstable();
    let mut data = Vec::with_capacity(records.len() * IN_INDEX + FOOTER);
    records.iter().for_each(|(key, _, _)| data.extend(key.0));
    records.iter().for_each(|(_, offset, _)| data.extend(offset.to_le_bytes()));
    records.iter().for_each(|(_, _, used)| data.extend(used.to_le_bytes()));
    let footer = data.len();
    data.extend(INDEX_MARK);
    data.extend((records.len() as u64).to_le_bytes());
    data.extend(start.to_le_bytes());
    data.extend(crc32fast::hash(&data[footer..]).to_le_bytes());
    data.extend([0; 4]);
    data
}
