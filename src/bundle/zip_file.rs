//! A zip file that may change while it is served: its map, renewed when the file is another one.
//!
//! `zipimport` opens its archive for every read, so it sees what is there now. [`ZipFile::current`]
//! has the same effect for one `stat`: the map is used as long as device, inode, size and times of the
//! file are those it was made from. A file that is cut short during a read is noticed by the
//! [`Mapping`]; data is copied out of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Weak};

use dashmap::DashMap;

use super::compression::{Compression, decompress_zstd, inflate};
use super::entry::copied;
use super::mapping::Identity;
use super::{BundleError, Mapping};
use crate::shared_map::shared_map;

const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const LOCAL_SIZE: usize = 30;

/// Maps that somebody holds, so that the importers of one archive share one.
static HELD: LazyLock<DashMap<PathBuf, Weak<ZipFile>>> = LazyLock::new(shared_map);

/// Why the data of an entry cannot be reached; `zipimport` has a different exception for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ZipDataError {
    /// An `EOFError`: the local header is not within the file.
    #[error("EOF read where not expected")]
    EndOfFile,
    /// A `ZipImportError`: there is something else.
    #[error("bad local file header")]
    LocalHeader,
    /// An `OSError`: the data is not within the file.
    #[error("zipimport: can't read data")]
    Data,
}

/// A zip file as it is now.
#[derive(Debug)]
pub struct ZipFile {
    mapping: Mapping,
    identity: Identity,
}

impl ZipFile {
    /// The file at `path` as it is now: `held` if it is still that, else a new map.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn current(path: &Path, held: Option<Arc<Self>>) -> io::Result<Arc<Self>> {
        let identity = Identity::of(&path.metadata()?);
        let same = |file: &Arc<Self>| file.identity == identity && file.mapping.path() == path;
        if let Some(file) = held.filter(same) {
            return Ok(file);
        }
        if let Some(file) = HELD.get(path).and_then(|entry| entry.upgrade()).filter(same) {
            return Ok(file);
        }
        let mapping = Mapping::open(path).map_err(|error| match error {
            BundleError::Open { source, .. } => source,
            error => io::Error::other(error),
        })?;
        // Should the file have been replaced since its `stat`, the next one will tell.
        let file = Arc::new(Self { mapping, identity });
        HELD.insert(path.to_owned(), Arc::downgrade(&file));
        Ok(file)
    }

    /// Runs `read` on the whole file.
    ///
    /// # Errors
    /// [`BundleError::CutOff`].
    pub fn with_bytes<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T, BundleError> {
        let outcome = self.mapping.read(read)?;
        // Zeros that are left from an earlier read are not told by a checksum here.
        if self.mapping.is_whole() { Ok(outcome) } else { Err(self.mapping.cut_off()) }
    }

    /// A copy of the data of an entry: as it lies in the file, or decompressed. `None` where it
    /// cannot be decompressed to the stated size.
    ///
    /// # Errors
    /// As [`Self::data`].
    pub fn read(
        &self,
        local_header: u64,
        compressed_size: u64,
        compression: Compression,
        size: u64,
    ) -> Result<Option<Vec<u8>>, ZipDataError> {
        self.with_data(local_header, compressed_size, |stored| match compression {
            Compression::Stored => copied(stored),
            Compression::Deflated => inflate(stored, size).ok(),
            Compression::Zstd => decompress_zstd(stored, size).ok(),
        })
    }

    /// A copy of the bytes of an entry, as they lie in the file.
    ///
    /// # Errors
    /// [`ZipDataError`], in the order in which `zipimport` looks.
    pub fn data(&self, local_header: u64, size: u64) -> Result<Vec<u8>, ZipDataError> {
        self.with_data(local_header, size, copied)?.ok_or(ZipDataError::Data)
    }

    fn with_data<T>(
        &self,
        local_header: u64,
        size: u64,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, ZipDataError> {
        self.with_bytes(|bytes| data_in(bytes, local_header, size).map(read))
            .unwrap_or(Err(ZipDataError::Data))
    }
}

/// The bytes of an entry of the zip in `map`.
fn data_in(map: &[u8], local_header: u64, size: u64) -> Result<&[u8], ZipDataError> {
    let start = usize::try_from(local_header).map_err(|_| ZipDataError::EndOfFile)?;
    let rest = map.get(start..).ok_or(ZipDataError::EndOfFile)?;
    let header = rest.get(..LOCAL_SIZE).ok_or(ZipDataError::EndOfFile)?;
    if !header.starts_with(LOCAL_SIGNATURE) {
        return Err(ZipDataError::LocalHeader);
    }
    let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let start = LOCAL_SIZE + length(26) + length(28);
    let size = usize::try_from(size).map_err(|_| ZipDataError::Data)?;
    let end = start.checked_add(size).ok_or(ZipDataError::Data)?;
    match rest.get(start..end) {
        Some(data) => Ok(data),
        // Nothing is read of nothing, wherever that is.
        None if size == 0 => Ok(&[]),
        None => Err(ZipDataError::Data),
    }
}

impl Drop for ZipFile {
    fn drop(&mut self) {
        // Nobody holds this one any more; another for the same path may have come in its place.
        HELD.remove_if(self.mapping.path(), |_, file| file.strong_count() == 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = LOCAL_SIGNATURE.to_vec();
        bytes.resize(26, 0);
        bytes.extend((name.len() as u16).to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(name.as_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn data_is_found_behind_its_header() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        std::fs::write(&path, local("name", b"data")).unwrap();
        let file = ZipFile::current(&path, None).unwrap();
        assert_eq!(file.data(0, 4), Ok(b"data".to_vec()));
        assert_eq!(file.data(0, 5), Err(ZipDataError::Data));
        assert_eq!(file.data(0, u64::MAX), Err(ZipDataError::Data));
        assert_eq!(file.data(1, 1), Err(ZipDataError::LocalHeader));
        assert_eq!(file.data(9, 1), Err(ZipDataError::EndOfFile));
        assert_eq!(file.data(u64::MAX, 1), Err(ZipDataError::EndOfFile));
    }

    #[test]
    fn a_map_is_shared_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.zip");
        std::fs::write(&path, b"first").unwrap();
        let first = ZipFile::current(&path, None).unwrap();
        assert!(Arc::ptr_eq(&first, &ZipFile::current(&path, None).unwrap()));
        assert!(Arc::ptr_eq(&first, &ZipFile::current(&path, Some(first.clone())).unwrap()));
        // Renamed over, so another inode.
        std::fs::write(folder.path().join("new"), b"other").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        let second = ZipFile::current(&path, Some(first.clone())).unwrap();
        let content = |file: &ZipFile| file.with_bytes(<[u8]>::to_vec).unwrap();
        assert_eq!((content(&first), content(&second)), (b"first".to_vec(), b"other".to_vec()));
        // Cut short in place, so another size.
        std::fs::write(&path, b"").unwrap();
        assert_eq!(content(&ZipFile::current(&path, Some(second)).unwrap()), b"");
        std::fs::remove_file(&path).unwrap();
        let error = ZipFile::current(&path, Some(first)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
