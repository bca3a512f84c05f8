//! The central directory as CPython's `zipimport` reads it, for `mmport.ZipImporter`.
//!
//! Bundles are read by [`CentralDirectory`](super::directory::CentralDirectory), which is stricter
//! and borrows everything. Which zips `zipimport` takes, what it makes of odd ones and in which
//! words it refuses them differs a little, and between Pythons; whoever stands in for it has to do
//! the same. The headers are read until something else follows, whatever the end record says about
//! their size. The texts of errors are those of `Lib/zipimport.py`, without the archive's name at
//! their end.

use std::borrow::Cow;

use super::codepage::decode_cp437;
use super::directory::{
    COMMENT_LIMIT, END_SIGNATURE, END_SIZE, END64_SIGNATURE, END64_SIZE, HEADER_SIGNATURE,
    HEADER_SIZE, LOCATOR64_SIZE, UTF8_FLAG, ZIP64_EXTRA_ID, u16_at, u32_at, u64_at,
};

const SENTINEL: u64 = u32::MAX as u64;

/// Which Python's `zipimport` is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZipRules {
    /// CPython 3.10 to 3.12: no zip64.
    Narrow,
    /// CPython 3.13: zip64, and the number of entries has to be right.
    Wide,
}

/// Why `zipimport` would not read a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipDirectoryError {
    /// A `ZipImportError` with this text, a colon and the archive's name.
    #[error("{0}")]
    Refused(&'static str),
    /// Another number of entries than the end record states.
    #[error("mismatched num_entries: {found} should be {stated}")]
    Count {
        /// How many there are.
        found: u64,
        /// How many there should be.
        stated: u64,
    },
    /// An `EOFError`.
    #[error("EOF read where not expected")]
    EndOfFile,
    /// A `UnicodeDecodeError`: this name is declared to be UTF-8 and is not.
    #[error("name that is not UTF-8: `{}`", .0.escape_ascii())]
    Name(Vec<u8>),
    /// An `IndexError`: fewer values in a zip64 extra field than the header needs.
    #[error("pop from empty list")]
    Extra,
}

/// One entry as the directory states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZipEntry<'map> {
    /// The name: UTF-8 where that is declared, else code page 437.
    pub name: Cow<'map, str>,
    /// Compression method.
    pub method: u16,
    /// Bytes in the file.
    pub compressed_size: u64,
    /// Bytes of the data.
    pub size: u64,
    /// Where the local header starts, in the file.
    pub local_header: u64,
    /// Modification time in MS-DOS form.
    pub time: u16,
    /// Modification date in MS-DOS form.
    pub date: u16,
    /// CRC-32 of the data.
    pub crc: u32,
}

impl ZipEntry<'_> {
    /// The entry with a name of its own.
    #[must_use]
    pub fn into_owned(self) -> ZipEntry<'static> {
        ZipEntry { name: Cow::Owned(self.name.into_owned()), ..self }
    }
}

/// What the end record states, and where it stands.
struct End {
    at: u64,
    directory_size: u64,
    directory_offset: u64,
    /// `None` where the rules do not ask for it.
    count: Option<u64>,
}

fn refused<T>(text: &'static str) -> Result<T, ZipDirectoryError> {
    Err(ZipDirectoryError::Refused(text))
}

/// All entries of the zip in `map`, in the order of its directory.
///
/// # Errors
/// As `zipimport._read_directory` of a Python with these rules.
pub fn read_zip_directory(
    map: &[u8],
    rules: ZipRules,
) -> Result<Vec<ZipEntry<'_>>, ZipDirectoryError> {
    let end = match rules {
        ZipRules::Narrow => find_end(map)?,
        ZipRules::Wide => find_end_or_end64(map)?,
    };
    if end.at < end.directory_size {
        return refused("bad central directory size");
    }
    if end.at < end.directory_offset {
        return refused("bad central directory offset");
    }
    let start = end.at - end.directory_size;
    let Some(archive_start) = start.checked_sub(end.directory_offset) else {
        return refused("bad central directory size or offset");
    };
    let mut entries = Vec::new();
    // Before the end record, so it fits.
    let mut at = start as usize;
    loop {
        let rest = &map[at..];
        if rest.len() < 4 {
            return Err(ZipDirectoryError::EndOfFile);
        }
        if !rest.starts_with(HEADER_SIGNATURE) {
            let found = entries.len() as u64;
            return match end.count {
                Some(stated) if stated != found => Err(ZipDirectoryError::Count { found, stated }),
                _ => Ok(entries),
            };
        }
        let Some(fixed) = rest.get(..HEADER_SIZE) else {
            return Err(ZipDirectoryError::EndOfFile);
        };
        let name_end = HEADER_SIZE + usize::from(u16_at(fixed, 28));
        let next = name_end + usize::from(u16_at(fixed, 30)) + usize::from(u16_at(fixed, 32));
        let mut size = u64::from(u32_at(fixed, 24));
        let mut compressed_size = u64::from(u32_at(fixed, 20));
        let mut local_header = u64::from(u32_at(fixed, 42));
        if rules == ZipRules::Narrow && local_header > end.directory_offset {
            return refused("bad local header offset");
        }
        let (Some(name), Some(extra)) = (rest.get(HEADER_SIZE..name_end), rest.get(name_end..next))
        else {
            return refused("can't read Zip file");
        };
        let is_utf8 = u16_at(fixed, 8) & UTF8_FLAG != 0;
        let name = decode(name, is_utf8).ok_or_else(|| ZipDirectoryError::Name(name.into()))?;
        if rules == ZipRules::Wide {
            widen(extra, [&mut size, &mut compressed_size, &mut local_header])?;
            if local_header > end.directory_offset {
                return refused("bad local header offset");
            }
        }
        entries.push(ZipEntry {
            name,
            method: u16_at(fixed, 10),
            compressed_size,
            size,
            // Both are at most the size of the file.
            local_header: local_header + archive_start,
            time: u16_at(fixed, 12),
            date: u16_at(fixed, 14),
            crc: u32_at(fixed, 16),
        });
        at += next;
    }
}

fn decode(name: &[u8], is_utf8: bool) -> Option<Cow<'_, str>> {
    if is_utf8 || name.is_ascii() {
        std::str::from_utf8(name).ok().map(Cow::Borrowed)
    } else {
        Some(Cow::Owned(decode_cp437(name)))
    }
}

/// The end record of a Python that knows no zip64.
fn find_end(map: &[u8]) -> Result<End, ZipDirectoryError> {
    let Some(last) = map.len().checked_sub(END_SIZE) else { return refused("can't read Zip file") };
    let at = if map[last..].starts_with(END_SIGNATURE) {
        last
    } else {
        let first = last.saturating_sub(COMMENT_LIMIT);
        match memchr::memmem::rfind(&map[first..], END_SIGNATURE) {
            Some(at) => first + at,
            None => return refused("not a Zip file"),
        }
    };
    let Some(record) = map[at..].get(..END_SIZE) else { return refused("corrupt Zip file") };
    Ok(End {
        at: at as u64,
        directory_size: u64::from(u32_at(record, 12)),
        directory_offset: u64::from(u32_at(record, 16)),
        count: None,
    })
}

/// The end record of a Python that knows zip64.
fn find_end_or_end64(map: &[u8]) -> Result<End, ZipDirectoryError> {
    let searched = COMMENT_LIMIT + END_SIZE + END64_SIZE + LOCATOR64_SIZE;
    let first = map.len().saturating_sub(searched);
    let narrow = memchr::memmem::rfind(&map[first..], END_SIGNATURE).map(|at| first + at);
    let wide = memchr::memmem::rfind(&map[first..], END64_SIGNATURE).map(|at| first + at);
    if let (Some(at), Some(narrow)) = (wide, narrow)
        && at + END64_SIZE + LOCATOR64_SIZE == narrow
    {
        return Ok(End {
            at: at as u64,
            directory_size: u64_at(map, at + 40),
            directory_offset: u64_at(map, at + 48),
            count: Some(u64_at(map, at + 24)),
        });
    }
    let Some(at) = narrow else { return refused("not a Zip file") };
    let Some(record) = map[at..].get(..END_SIZE) else { return refused("corrupt Zip file") };
    Ok(End {
        at: at as u64,
        directory_size: u64::from(u32_at(record, 12)),
        directory_offset: u64::from(u32_at(record, 16)),
        count: Some(u64::from(u16_at(record, 8))),
    })
}

/// Takes the fields that do not fit 32 bits from the zip64 extra field, where there is one.
/// `extra` has the entry's comment at its end, and the lengths are compared with all of it, as
/// CPython does.
fn widen(mut extra: &[u8], fields: [&mut u64; 3]) -> Result<(), ZipDirectoryError> {
    if fields.iter().all(|field| **field != SENTINEL) {
        return Ok(());
    }
    while !extra.is_empty() {
        let unreadable = refused("can't read header extra");
        if extra.len() < 4 {
            return unreadable;
        }
        let next = 4 + usize::from(u16_at(extra, 2));
        if extra.len() < next {
            return unreadable;
        }
        if u16_at(extra, 0) != ZIP64_EXTRA_ID {
            extra = &extra[next..];
            continue;
        }
        let values = &extra[4..];
        if !values.len().is_multiple_of(8) || values.len() > 3 * 8 {
            return unreadable;
        }
        let mut values = values.chunks_exact(8).map(|value| u64_at(value, 0));
        for field in fields {
            if *field == SENTINEL {
                *field = values.next().ok_or(ZipDirectoryError::Extra)?;
            }
        }
        return Ok(());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(comment: &str) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for name in ["a.py", "b/", "b/c.txt"] {
            if name.ends_with('/') {
                writer.add_directory(name, SimpleFileOptions::default()).unwrap();
            } else {
                writer.start_file(name, SimpleFileOptions::default()).unwrap();
                writer.write_all(name.as_bytes()).unwrap();
            }
        }
        writer.set_comment(comment).unwrap();
        writer.finish().unwrap().into_inner()
    }

    fn names(map: &[u8], rules: ZipRules) -> Result<Vec<String>, String> {
        let name = |entry: &ZipEntry| entry.name.to_string();
        read_zip_directory(map, rules)
            .map(|entries| entries.iter().map(name).collect())
            .map_err(|error| error.to_string())
    }

    const BOTH: [ZipRules; 2] = [ZipRules::Narrow, ZipRules::Wide];

    #[test]
    fn entries_are_read_behind_other_bytes_and_before_comments() {
        for rules in BOTH {
            for comment in ["", "a comment"] {
                for front in ["", "#!/bin/sh\n"] {
                    let map = [front.as_bytes(), &archive(comment)].concat();
                    assert_eq!(names(&map, rules).unwrap(), ["a.py", "b/", "b/c.txt"]);
                    let first = read_zip_directory(&map, rules).unwrap().remove(0);
                    assert_eq!(first.local_header, front.len() as u64);
                }
            }
        }
    }

    #[test]
    fn what_is_no_zip_is_refused_in_the_words_of_zipimport() {
        let whole = archive("");
        let [narrow, wide] = BOTH;
        for (map, rules, text) in [
            (&b""[..], narrow, "can't read Zip file"),
            (b"", wide, "not a Zip file"),
            (&[b'a'; 22], narrow, "not a Zip file"),
            (&[b'a'; 22], wide, "not a Zip file"),
            (&whole[..whole.len() - 1], narrow, "corrupt Zip file"),
            (&whole[..whole.len() - 1], wide, "corrupt Zip file"),
        ] {
            assert_eq!(names(map, rules).unwrap_err(), text, "{rules:?}");
        }
    }

    #[test]
    fn numbers_of_the_end_record_are_checked() {
        let whole = archive("");
        let end = whole.len() - END_SIZE;
        let changed = |at: usize, value: u8| {
            let mut map = whole.clone();
            map[end + at] = value;
            map
        };
        for rules in BOTH {
            assert_eq!(names(&changed(15, 1), rules).unwrap_err(), "bad central directory size");
            assert_eq!(names(&changed(19, 1), rules).unwrap_err(), "bad central directory offset");
        }
        assert_eq!(names(&changed(8, 4), ZipRules::Narrow).unwrap().len(), 3);
        assert_eq!(
            names(&changed(8, 4), ZipRules::Wide).unwrap_err(),
            "mismatched num_entries: 3 should be 4"
        );
    }

    #[test]
    fn wide_fields_come_from_the_extra_field() {
        let read = |extra: &[u8]| {
            let (mut size, mut compressed, mut offset) = (SENTINEL, 7, SENTINEL);
            widen(extra, [&mut size, &mut compressed, &mut offset])
                .map(|()| (size, compressed, offset))
        };
        let field = |values: &[u64]| {
            let mut extra = vec![1, 0, (values.len() * 8) as u8, 0];
            extra.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            extra
        };
        assert_eq!(read(&[]), Ok((SENTINEL, 7, SENTINEL)));
        assert_eq!(read(&field(&[1 << 40, 2])), Ok((1 << 40, 7, 2)));
        let behind = [&[9, 9, 1, 0, 0][..], &field(&[3, 4])].concat();
        assert_eq!(read(&behind), Ok((3, 7, 4)));
        assert_eq!(read(&field(&[1])), Err(ZipDirectoryError::Extra));
        for extra in [&[1][..], &[9, 9, 5, 0], &[1, 0, 1, 0, 0], &field(&[0; 4])] {
            assert_eq!(read(extra), refused("can't read header extra"), "{extra:?}");
        }
    }
}
