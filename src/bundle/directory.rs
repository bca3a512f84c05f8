//! The zip central directory.
//!
//! [`CentralDirectory::locate`] finds the end record (zip64 too) and the start of the archive,
//! which may stand behind a `#!` line or an executable. Its bytes are copied out of the map once, so
//! that names, sizes and checksums stay what they were when the bundle was opened;
//! [`CentralDirectory::headers`] yields one borrowed [`Header`] per entry without allocating. Nothing here trusts a number in the file:
//! each is checked against the map before it is used. The layout is that of PKWARE's APPNOTE
//! 6.3.10, sections 4.3.12 to 4.3.16 and 4.5.3; where zips in the wild differ from it, CPython's
//! `Lib/zipimport.py` decides.

use std::path::Path;

use super::BundleError;
use super::directory_bytes::DirectoryBytes;

pub(super) const END_SIGNATURE: &[u8] = b"PK\x05\x06";
pub(super) const END_SIZE: usize = 22;
pub(super) const END64_SIGNATURE: &[u8] = b"PK\x06\x06";
pub(super) const END64_SIZE: usize = 56;
const LOCATOR64_SIGNATURE: &[u8] = b"PK\x06\x07";
pub(super) const LOCATOR64_SIZE: usize = 20;
pub(super) const HEADER_SIGNATURE: &[u8] = b"PK\x01\x02";
pub(super) const HEADER_SIZE: usize = 46;
pub(super) const COMMENT_LIMIT: usize = u16::MAX as usize;
pub(super) const ZIP64_EXTRA_ID: u16 = 1;
pub(super) const UTF8_FLAG: u16 = 0x800;
const ENCRYPTED_FLAG: u16 = 0x1;

/// The central directory of a zip.
#[derive(Debug)]
pub struct CentralDirectory {
    /// All headers, one after the other.
    pub(super) bytes: DirectoryBytes,
    /// Where they start in the file.
    start: usize,
    /// What has to be added to each offset that the zip states, because bytes were put before it.
    archive_start: u64,
}

/// One entry as the central directory states it.
#[derive(Debug, Clone, Copy)]
pub struct Header<'directory> {
    /// The name's bytes, as stored.
    pub name: &'directory [u8],
    /// Whether the name is declared to be UTF-8 (otherwise it is code page 437).
    pub is_utf8: bool,
    /// Whether the data is encrypted, which no importer serves.
    pub is_encrypted: bool,
    /// Compression method: 0 is stored, 8 deflated, 93 zstd.
    pub method: u16,
    /// Modification time and date in MS-DOS form: `(time, date)`.
    pub modified: (u16, u16),
    /// CRC-32 of the data.
    pub crc: u32,
    /// Bytes in the file.
    pub compressed_size: u64,
    /// Bytes of the data.
    pub size: u64,
    /// Where the local header starts, in the file.
    pub local_header: u64,
    /// Unix mode and type of the file, or 0 where the zip was made elsewhere.
    pub mode: u32,
    /// Where this header starts in the directory. It fits: a directory is smaller than 4 GiB.
    pub ordinal: u32,
}

/// Reads a little-endian `u16`; the caller has checked the bounds.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// Reads a little-endian `u32`; the caller has checked the bounds.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Reads a little-endian `u64`; the caller has checked the bounds.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | (u64::from(u32_at(bytes, at + 4)) << 32)
}

/// What the end record (or its zip64 form) says.
struct EndRecord {
    at: usize,
    directory_size: u64,
    directory_offset: u64,
}

impl CentralDirectory {
    /// Finds the central directory of the zip in `map`.
    ///
    /// # Errors
    /// [`BundleError::NotAZip`] without an end record, [`BundleError::Corrupt`] when that record
    /// points outside the file.
    pub fn locate(map: &[u8], path: &Path) -> Result<Self, BundleError> {
        let end = find_end_record(map).ok_or_else(|| BundleError::NotAZip {
            path: path.to_owned(),
            size: map.len(),
            searched: map.len().min(END_SIZE + COMMENT_LIMIT),
            found: printable(&map[..map.len().min(16)]),
        })?;
        let corrupt = |what, expected: String, found: String| BundleError::Corrupt {
            path: path.to_owned(),
            offset: end.at as u64,
            what,
            expected,
            found,
        };
        if end.directory_size > end.at as u64 {
            return Err(corrupt(
                "size of the central directory",
                format!("at most the {} bytes before its end record", end.at),
                format!("{}", end.directory_size),
            ));
        }
        // Checked above: the size fits before the record, so it fits a usize.
        let start = end.at - end.directory_size as usize;
        let Some(archive_start) = (start as u64).checked_sub(end.directory_offset) else {
            return Err(corrupt(
                "offset of the central directory",
                format!("at most {start}"),
                format!("{}", end.directory_offset),
            ));
        };
        if u32::try_from(end.directory_size).is_err() {
            return Err(corrupt(
                "size of the central directory",
                "less than 4 GiB".into(),
                format!("{}", end.directory_size),
            ));
        }
        Ok(Self { bytes: DirectoryBytes::copy(&map[start..end.at]), start, archive_start })
    }

    /// Walks the headers in the order of the directory.
    pub fn headers<'directory>(&'directory self, path: &'directory Path) -> Headers<'directory> {
        Headers { directory: self, path, at: 0 }
    }

    /// Parses the header at `ordinal`, which must be one that [`Self::headers`] yielded.
    ///
    /// # Errors
    /// [`BundleError::Corrupt`] when no sound header starts there.
    pub fn header_at(&self, path: &Path, ordinal: u32) -> Result<Header<'_>, BundleError> {
        self.parse(path, ordinal as usize).map(|(header, _)| header)
    }

    /// Parses one header; also returns where the next one starts.
    // Inlined into the walk over all headers, which is most of opening a bundle: what is not used of a
    // header is then not made.
    #[inline]
    fn parse(&self, path: &Path, at: usize) -> Result<(Header<'_>, usize), BundleError> {
        let corrupt = |what, expected: String, found: String| BundleError::Corrupt {
            path: path.to_owned(),
            offset: (self.start + at) as u64,
            what,
            expected,
            found,
        };
        let directory = &*self.bytes;
        let end = self.start + directory.len();
        let fixed = directory.get(at..).and_then(|rest| rest.get(..HEADER_SIZE));
        let Some(fixed) = fixed else {
            return Err(corrupt(
                "central directory header",
                format!("{HEADER_SIZE} bytes before offset {end}"),
                format!("{}", directory.len().saturating_sub(at)),
            ));
        };
        if &fixed[..4] != HEADER_SIGNATURE {
            return Err(corrupt(
                "central directory header",
                printable(HEADER_SIGNATURE),
                printable(&fixed[..4]),
            ));
        }
        let flags = u16_at(fixed, 8);
        let name_end = at + HEADER_SIZE + usize::from(u16_at(fixed, 28));
        let extra_end = name_end + usize::from(u16_at(fixed, 30));
        let next = extra_end + usize::from(u16_at(fixed, 32));
        if next > directory.len() {
            return Err(corrupt(
                "name, extra field and comment of a central directory header",
                format!("an end at or before offset {end}"),
                format!("offset {}", self.start + next),
            ));
        }
        let mut compressed_size = u64::from(u32_at(fixed, 20));
        let mut size = u64::from(u32_at(fixed, 24));
        let mut local_header = u64::from(u32_at(fixed, 42));
        let sentinel = u64::from(u32::MAX);
        if size == sentinel || compressed_size == sentinel || local_header == sentinel {
            let mut wide = zip64_extra(&directory[name_end..extra_end]);
            for field in [&mut size, &mut compressed_size, &mut local_header] {
                if *field == sentinel {
                    let Some(value) = wide.next() else {
                        return Err(corrupt(
                            "zip64 extra field",
                            "one 8-byte value for each size or offset of 0xffffffff".into(),
                            "fewer".into(),
                        ));
                    };
                    *field = value;
                }
            }
        }
        let Some(local_header) = local_header.checked_add(self.archive_start) else {
            return Err(corrupt(
                "local header offset",
                format!("an offset before {}", self.start),
                format!("{local_header}"),
            ));
        };
        let header = Header {
            name: &directory[at + HEADER_SIZE..name_end],
            is_utf8: flags & UTF8_FLAG != 0,
            is_encrypted: flags & ENCRYPTED_FLAG != 0,
            method: u16_at(fixed, 10),
            modified: (u16_at(fixed, 12), u16_at(fixed, 14)),
            crc: u32_at(fixed, 16),
            compressed_size,
            size,
            local_header,
            // The upper half holds the Unix mode when the upper byte of "made by" is 3.
            mode: if fixed[5] == 3 { u32_at(fixed, 38) >> 16 } else { 0 },
            ordinal: at as u32,
        };
        Ok((header, next))
    }
}

/// The headers of a central directory; made by [`CentralDirectory::headers`].
pub struct Headers<'directory> {
    directory: &'directory CentralDirectory,
    path: &'directory Path,
    at: usize,
}

impl<'directory> Iterator for Headers<'directory> {
    type Item = Result<Header<'directory>, BundleError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let directory = self.directory;
        if self.at >= directory.bytes.len() {
            return None;
        }
        match directory.parse(self.path, self.at) {
            Ok((header, next)) => {
                self.at = next;
                Some(Ok(header))
            }
            Err(error) => {
                self.at = directory.bytes.len();
                Some(Err(error))
            }
        }
    }
}

/// Finds the end record: the last one whose comment reaches exactly to the end of the file, as
/// CPython's `zipimport` looks for it, or failing that the last one whose comment fits.
fn find_end_record(map: &[u8]) -> Option<EndRecord> {
    let last = map.len().checked_sub(END_SIZE)?;
    let first = last.saturating_sub(COMMENT_LIMIT);
    let at = (first..=last).rev().find(|&at| {
        map[at..].starts_with(END_SIGNATURE)
            && at + END_SIZE + usize::from(u16_at(map, at + 20)) <= map.len()
    })?;
    let narrow = EndRecord {
        at,
        directory_size: u64::from(u32_at(map, at + 12)),
        directory_offset: u64::from(u32_at(map, at + 16)),
    };
    Some(find_end64_record(map, at).unwrap_or(narrow))
}

/// The zip64 end record that belongs to the end record at `end`, if there is one. It stands
/// directly before its locator, whatever was put before the archive.
fn find_end64_record(map: &[u8], end: usize) -> Option<EndRecord> {
    let locator = end.checked_sub(LOCATOR64_SIZE)?;
    if !map[locator..].starts_with(LOCATOR64_SIGNATURE) {
        return None;
    }
    let at = locator.checked_sub(END64_SIZE)?;
    if !map[at..].starts_with(END64_SIGNATURE) {
        return None;
    }
    Some(EndRecord {
        at,
        directory_size: u64_at(map, at + 40),
        directory_offset: u64_at(map, at + 48),
    })
}

/// The 8-byte values of the zip64 extra field in `extra`; none where there is no such field.
fn zip64_extra(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut values: &[u8] = &[];
    while extra.len() >= 4 {
        let length = usize::from(u16_at(extra, 2));
        let Some(data) = extra.get(4..4 + length) else { break };
        if u16_at(extra, 0) == ZIP64_EXTRA_ID {
            values = data;
            break;
        }
        extra = &extra[4 + length..];
    }
    values.chunks_exact(8).map(|value| u64_at(value, 0))
}

/// Bytes as a person can read them: `PK\x01\x02`.
pub(super) fn printable(bytes: &[u8]) -> String {
    format!("`{}`", bytes.escape_ascii())
}
