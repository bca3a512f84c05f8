//! One entry of a bundle and its bytes.
//!
//! Data is looked at only while its map is [guarded](super::Mapping::read), and always checked
//! against the size and the checksum that the central directory stated when the bundle was opened. So
//! a bundle that was cut off, overwritten or damaged since gives errors, not other bytes. (What is
//! overwritten in the instant between the check and the use is not noticed.) Stored data is seen in place; compressed data is decompressed, at every read.

use std::borrow::Cow;

use super::compression::{Compression, Mismatch, decompress_zstd, inflate};
use super::directory::{Header, printable};
use super::{Bundle, BundleError};

const LOCAL_SIGNATURE: &[u8] = b"PK\x03\x04";
const LOCAL_SIZE: u64 = 30;

/// An entry of a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'bundle> {
    bundle: &'bundle Bundle,
    header: Header<'bundle>,
}

impl<'bundle> Entry<'bundle> {
    pub(super) fn new(bundle: &'bundle Bundle, header: Header<'bundle>) -> Self {
        Self { bundle, header }
    }

    /// The entry's name, decoded.
    #[must_use]
    pub fn name(&self) -> Cow<'bundle, str> {
        super::decode_name(&self.header)
    }

    /// The name's bytes as stored.
    #[must_use]
    pub fn name_bytes(&self) -> &'bundle [u8] {
        self.header.name
    }

    /// Size of the data in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.header.size
    }

    /// Size in the file in bytes.
    #[must_use]
    pub fn compressed_size(&self) -> u64 {
        self.header.compressed_size
    }

    /// CRC-32 of the data, as the central directory states it.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.header.crc
    }

    /// Whether the data lies in the file as it is.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.compression() == Some(Compression::Stored)
    }

    /// How the data lies in the file; `None` where it cannot be read here.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        Compression::of_method(self.header.method)
    }

    /// Whether the entry stands for a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.header.name.ends_with(b"/")
    }

    /// Whether the file had an executable bit when the bundle was made on Unix.
    #[must_use]
    pub fn is_executable(&self) -> bool {
        self.header.mode & 0o111 != 0
    }

    /// Modification time and date in MS-DOS form: `(time, date)`.
    #[must_use]
    pub fn modified(&self) -> (u16, u16) {
        self.header.modified
    }

    /// Where the data starts in the file.
    ///
    /// # Errors
    /// [`BundleError::Entry`] when the local header is not sound or the data reaches outside the
    /// file.
    pub fn data_offset(&self) -> Result<u64, BundleError> {
        self.read_map(|map| self.stored_bytes(map).map(|(offset, _)| offset))
    }

    /// A copy of the data.
    ///
    /// # Errors
    /// [`BundleError::Entry`] when the data cannot be reached, decompressed or does not match its size
    /// or checksum; [`BundleError::CutOff`].
    pub fn read(&self) -> Result<Vec<u8>, BundleError> {
        self.read_map(|map| match self.checked_data(map)? {
            Cow::Owned(data) => Ok(data),
            Cow::Borrowed(data) => copied(data).ok_or_else(|| {
                let size = data.len();
                self.error("size", "one for which there is memory".into(), format!("{size} bytes"))
            }),
        })
    }

    /// Runs `read` on the data, in place where it is stored.
    ///
    /// # Errors
    /// As [`Self::read`]; the result of `read` is dropped where the file was cut off under it.
    pub fn read_with<T>(&self, read: impl FnOnce(&[u8]) -> T) -> Result<T, BundleError> {
        self.read_map(|map| self.checked_data(map).map(|data| read(&data)))
    }

    /// Reads the map; says that the file was cut off where that can be why an entry is not sound.
    fn read_map<T>(
        &self,
        read: impl FnOnce(&[u8]) -> Result<T, BundleError>,
    ) -> Result<T, BundleError> {
        let mapping = self.bundle.mapping();
        mapping
            .read(read)?
            .map_err(|error| if mapping.is_whole() { error } else { mapping.cut_off() })
    }

    /// The data, with the checksum that the central directory states.
    fn checked_data<'map>(&self, map: &'map [u8]) -> Result<Cow<'map, [u8]>, BundleError> {
        let data = self.data(map)?;
        let crc = crc32fast::hash(&data);
        if crc != self.header.crc {
            return Err(self.error(
                "crc-32 of the data",
                format!("{:#010x}", self.header.crc),
                format!("{crc:#010x}"),
            ));
        }
        Ok(data)
    }

    fn data<'map>(&self, map: &'map [u8]) -> Result<Cow<'map, [u8]>, BundleError> {
        if self.header.is_encrypted {
            return Err(self.error("data", "no encryption".into(), "encrypted data".into()));
        }
        let (_, stored) = self.stored_bytes(map)?;
        let size = self.header.size;
        let mismatch = |found: Mismatch| self.error(found.what, found.expected, found.found);
        match self.compression() {
            Some(Compression::Stored) if size == self.header.compressed_size => {
                Ok(Cow::Borrowed(stored))
            }
            Some(Compression::Stored) => Err(self.error(
                "size of stored data",
                format!("{} bytes, as in the file", self.header.compressed_size),
                format!("{size} bytes"),
            )),
            Some(Compression::Deflated) => inflate(stored, size).map(Cow::Owned).map_err(mismatch),
            Some(Compression::Zstd) => {
                decompress_zstd(stored, size).map(Cow::Owned).map_err(mismatch)
            }
            None => Err(self.error(
                "compression method",
                "0 (stored), 8 (deflated) or 93 (zstd)".into(),
                self.header.method.to_string(),
            )),
        }
    }

    /// Follows the local header to the bytes in the file.
    fn stored_bytes<'map>(&self, map: &'map [u8]) -> Result<(u64, &'map [u8]), BundleError> {
        let outside = |what, end: Option<u64>| {
            self.error(
                what,
                format!("an end within the file's {} bytes", map.len()),
                end.map_or("an offset past 2^64".into(), |end| format!("offset {end}")),
            )
        };
        let start = self.header.local_header;
        let end = start.checked_add(LOCAL_SIZE);
        let local = slice(map, start, end).ok_or_else(|| outside("local header", end))?;
        if &local[..4] != LOCAL_SIGNATURE {
            return Err(self.error(
                "local header",
                printable(LOCAL_SIGNATURE),
                printable(&local[..4]),
            ));
        }
        let name = u64::from(u16::from_le_bytes([local[26], local[27]]));
        let extra = u64::from(u16::from_le_bytes([local[28], local[29]]));
        // Cannot overflow: `start + LOCAL_SIZE` is within the file.
        let data = start + LOCAL_SIZE + name + extra;
        let end = data.checked_add(self.header.compressed_size);
        let bytes = slice(map, data, end).ok_or_else(|| outside("data", end))?;
        Ok((data, bytes))
    }

    fn error(&self, what: &'static str, expected: String, found: String) -> BundleError {
        BundleError::Entry {
            path: self.bundle.path().to_owned(),
            entry: self.name().into_owned(),
            what,
            expected,
            found,
        }
    }
}

/// A copy, if there is memory for it.
pub(super) fn copied(data: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(data.len()).ok()?;
    copy.extend_from_slice(data);
    Some(copy)
}

/// `map[start..end]` if that lies within the map.
fn slice(map: &[u8], start: u64, end: Option<u64>) -> Option<&[u8]> {
    map.get(usize::try_from(start).ok()?..usize::try_from(end?).ok()?)
}
