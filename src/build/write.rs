//! Writing a bundle's entries into its file.
//!
//! Entries are compressed in parallel, some at a time so that memory stays bounded, and written in
//! order. Bytecode is stored and aligned, so that the code object behind its 16-byte header can be
//! unmarshalled from the map. Times and permissions are fixed: the same entries give the same
//! bytes. Offsets count from the file's beginning, shebang line included.

use std::env;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, PreparedZipFile, System, ZipWriter};

use super::error::BuildError;
use super::names;
use super::output::output_error;
use super::tree::Item;
use crate::bundle::{Compression, Sizes};

/// What bytecode is aligned to; its header is as long, so that what follows is aligned too.
const BYTECODE_ALIGNMENT: u16 = 16;

/// How hard deflate tries.
const DEFLATE_LEVEL: i64 = 6;

/// How hard zstd tries: at level 19 bundles of libraries are up to a tenth smaller, and take many
/// times as long to build.
const ZSTD_LEVEL: i64 = 9;

/// Bytes of content that are compressed together.
const CHUNK_BYTES: u64 = 32 << 20;

/// Entries that are compressed together.
const CHUNK_ENTRIES: usize = 512;

/// A bundle under way.
pub(super) struct BundleWriter {
    /// Dropped before the zip writer.
    abandon: Abandon,
    path: PathBuf,
    zip: ZipWriter<CountingWriter>,
    options: SimpleFileOptions,
    entries: usize,
    libraries: Sizes,
}

impl BundleWriter {
    /// Begins a bundle in `file`, behind `head`: a shebang line, a program, or nothing. `path` is for
    /// messages.
    ///
    /// # Errors
    ///
    /// [`BuildError::Output`].
    pub(super) fn begin(path: &Path, file: File, head: &[u8]) -> Result<Self, BuildError> {
        let abandon = Abandon::default();
        let mut inner = CountingWriter::new(file, &abandon);
        inner.write_all(head).map_err(|source| output_error(path, source))?;
        Ok(Self {
            abandon,
            path: path.to_owned(),
            zip: ZipWriter::new(inner),
            options: SimpleFileOptions::default()
                .last_modified_time(entry_time(env::var("SOURCE_DATE_EPOCH").ok().as_deref()))
                .system(System::Unix)
                .compression_method(CompressionMethod::Stored)
                .unix_permissions(0o644),
            entries: 0,
            libraries: Sizes::default(),
        })
    }

    /// Writes an entry as it is.
    ///
    /// # Errors
    ///
    /// [`BuildError::Output`], [`BuildError::Zip`].
    pub(super) fn add_stored(&mut self, name: &str, bytes: &[u8]) -> Result<(), BuildError> {
        self.add_prepared(name, PreparedZipFile::from_data(name, self.options, bytes))
    }

    /// Writes bytecode: as it is, and aligned.
    ///
    /// # Errors
    ///
    /// [`BuildError::Output`], [`BuildError::Zip`].
    pub(super) fn add_bytecode(&mut self, name: &str, bytes: &[u8]) -> Result<(), BuildError> {
        let options = self.options.with_alignment(BYTECODE_ALIGNMENT);
        self.add_prepared(name, PreparedZipFile::from_data(name, options, bytes))
    }

    /// Writes files, compressed as asked for where that makes them smaller. `advance` is called
    /// with the number of files written since the last call, and may stop it.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`], [`BuildError::Output`], [`BuildError::Zip`], what `advance` returns.
    pub(super) fn add_items(
        &mut self,
        items: &[(&str, &Item, Compression)],
        advance: impl Fn(usize) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let mut left = items;
        while !left.is_empty() {
            let mut bytes = 0;
            let count = (left.iter().take(CHUNK_ENTRIES))
                .take_while(|(_, item, _)| {
                    let fits = bytes < CHUNK_BYTES;
                    bytes += item.size;
                    fits
                })
                .count();
            let (chunk, rest) = left.split_at(count);
            let prepared = (chunk.par_iter())
                .map(|(name, item, compression)| self.prepare(name, item, *compression))
                .collect::<Result<Vec<_>, _>>()?;
            for (prepared, (name, _, _)) in prepared.into_iter().zip(chunk) {
                if names::is_native(name) {
                    self.libraries.entries += 1;
                    self.libraries.bytes += prepared.uncompressed_size();
                    self.libraries.compressed += prepared.compressed_size();
                }
                self.add_prepared(name, Ok(prepared))?;
            }
            advance(count)?;
            left = rest;
        }
        Ok(())
    }

    /// Writes an entry for a directory.
    ///
    /// # Errors
    ///
    /// [`BuildError::Output`], [`BuildError::Zip`].
    pub(super) fn add_directory(&mut self, name: &str) -> Result<(), BuildError> {
        let options = self.options.unix_permissions(0o755);
        (self.zip.add_directory(name, options)).map_err(|error| self.error(name, error))?;
        self.entries += 1;
        Ok(())
    }

    /// The extension modules and shared libraries written so far.
    pub(super) fn libraries(&self) -> Sizes {
        self.libraries
    }

    /// Completes the bundle; returns the number of its entries.
    ///
    /// # Errors
    ///
    /// [`BuildError::Output`], [`BuildError::Zip`].
    pub(super) fn finish(self) -> Result<usize, BuildError> {
        let Self { abandon: _abandon, path, zip, entries, .. } = self;
        let mut inner = zip.finish().map_err(|error| zip_error(&path, "", error))?;
        inner.flush().map_err(|source| output_error(&path, source))?;
        Ok(entries)
    }

    fn prepare(
        &self,
        name: &str,
        item: &Item,
        compression: Compression,
    ) -> Result<PreparedZipFile, BuildError> {
        let bytes = item.content.read()?;
        let permissions = if item.executable { 0o755 } else { 0o644 };
        let stored = self.options.unix_permissions(permissions);
        let prepare = |options| {
            PreparedZipFile::from_data(name, options, &bytes)
                .map_err(|error| self.error(name, error))
        };
        let (method, level) = match compression {
            Compression::Stored => return prepare(stored),
            Compression::Deflated => (CompressionMethod::Deflated, DEFLATE_LEVEL),
            Compression::Zstd => (CompressionMethod::Zstd, ZSTD_LEVEL),
        };
        if !bytes.is_empty() {
            let options = stored.compression_method(method).compression_level(Some(level));
            let prepared = prepare(options)?;
            if prepared.compressed_size() < prepared.uncompressed_size() {
                return Ok(prepared);
            }
        }
        prepare(stored)
    }

    fn add_prepared(
        &mut self,
        name: &str,
        prepared: Result<PreparedZipFile, ZipError>,
    ) -> Result<(), BuildError> {
        prepared
            .and_then(|prepared| self.zip.add_prepared_file(prepared))
            .map_err(|error| self.error(name, error))?;
        self.entries += 1;
        Ok(())
    }

    fn error(&self, name: &str, error: ZipError) -> BuildError {
        zip_error(&self.path, name, error)
    }
}

fn zip_error(path: &Path, name: &str, error: ZipError) -> BuildError {
    match error {
        ZipError::Io(source) => output_error(path, source),
        source => BuildError::Zip { path: path.to_owned(), name: name.to_owned(), source },
    }
}

/// The time that every entry has: the one in `SOURCE_DATE_EPOCH`, seconds since 1970 in UTC, as
/// far as zip can say it; else the first that zip can say.
fn entry_time(epoch: Option<&str>) -> DateTime {
    const DAY: i64 = 86_400;
    let Some(seconds) = epoch.and_then(|text| text.trim().parse::<i64>().ok()) else {
        return DateTime::DEFAULT;
    };
    // Days since 0000-03-01: leap days then end years, and eras of 400 years are all alike.
    let days = seconds.div_euclid(DAY) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    if year < 1980 {
        return DateTime::DEFAULT;
    }
    let time = seconds.rem_euclid(DAY);
    let part = |value: i64| u8::try_from(value).unwrap_or_default();
    let date = u16::try_from(year).ok().and_then(|year| {
        DateTime::from_date_and_time(
            year,
            part(month),
            part(day_of_month),
            part(time / 3600),
            part(time / 60 % 60),
            part(time % 60),
        )
        .ok()
    });
    date.unwrap_or_else(|| {
        DateTime::from_date_and_time(2107, 12, 31, 23, 59, 58).unwrap_or(DateTime::DEFAULT)
    })
}

/// Tells a [`CountingWriter`] that nothing more is worth writing: a zip writer that is dropped
/// tries to complete its file, and would print a complaint where that fails.
#[derive(Default)]
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A buffered file that knows its position, which the zip writer asks for at every entry and
/// which would otherwise empty the buffer each time.
struct CountingWriter {
    inner: BufWriter<File>,
    position: u64,
    abandoned: Arc<AtomicBool>,
}

impl CountingWriter {
    fn new(file: File, abandon: &Abandon) -> Self {
        Self {
            inner: BufWriter::with_capacity(1 << 18, file),
            position: 0,
            abandoned: Arc::clone(&abandon.0),
        }
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Uses the file; after an error, which the caller gets, nothing more is worth writing.
    fn attempt<T>(
        &mut self,
        operation: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
    ) -> io::Result<T> {
        operation(&mut self.inner).inspect_err(|_| self.abandoned.store(true, Ordering::Relaxed))
    }
}

impl Write for CountingWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = if self.is_abandoned() {
            buffer.len()
        } else {
            self.attempt(|inner| inner.write(buffer))?
        };
        self.position += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_abandoned() {
            return Ok(());
        }
        self.attempt(Write::flush)
    }
}

impl Seek for CountingWriter {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if self.is_abandoned() || to == SeekFrom::Current(0) {
            return Ok(self.position);
        }
        self.position = self.attempt(|inner| inner.seek(to))?;
        Ok(self.position)
    }

    fn stream_position(&mut self) -> io::Result<u64> {
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Content;
    use super::*;
    use std::io::Read;

    fn item(bytes: &[u8], executable: bool) -> Item {
        Item {
            content: Content::Bytes(bytes.into()),
            size: bytes.len() as u64,
            executable,
            origin: Arc::from("the test"),
        }
    }

    #[test]
    fn bytecode_is_aligned_and_data_compressed_where_it_helps() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.pyz");
        let file = File::create(&path).unwrap();
        let mut writer = BundleWriter::begin(&path, file, b"#!/usr/bin/env x\n").unwrap();
        writer.add_stored("mmport.json", b"{}").unwrap();
        for length in 0..40 {
            let name = format!("m{}.pyc", "x".repeat(length));
            writer.add_bytecode(&name, &vec![7; 16 + length]).unwrap();
        }
        let (long, short) = (item(&[b'a'; 5000], true), item(b"ab", false));
        let library = item(&[b'b'; 5000], false);
        let items = [
            ("long.txt", &long, Compression::Deflated),
            ("short.txt", &short, Compression::Deflated),
            ("short.so", &short, Compression::Zstd),
            ("long.so", &library, Compression::Zstd),
        ];
        writer.add_items(&items, |_| Ok(())).unwrap();
        writer.add_directory("empty").unwrap();
        let libraries = writer.libraries();
        assert_eq!((libraries.entries, libraries.bytes), (2, 5002));
        assert!(libraries.compressed < 100);
        assert_eq!(writer.finish().unwrap(), 46);

        assert!(std::fs::read(&path).unwrap().starts_with(b"#!/usr/bin/env x\nPK"));
        let mut archive = zip::ZipArchive::new(File::open(&path).unwrap()).unwrap();
        assert_eq!(archive.offset(), 0);
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).unwrap();
            let name = entry.name().unwrap().into_owned();
            if name.ends_with(".pyc") {
                assert_eq!(entry.data_start().unwrap() % 16, 0, "{name}");
                assert_eq!(entry.compression(), CompressionMethod::Stored);
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
        }
        let long = archive.by_name("long.txt").unwrap();
        assert_eq!(long.compression(), CompressionMethod::Deflated);
        assert_eq!(long.unix_mode().map(|mode| mode & 0o777), Some(0o755));
        drop(long);
        for (name, compression) in [
            ("short.txt", CompressionMethod::Stored),
            ("short.so", CompressionMethod::Stored),
            ("long.so", CompressionMethod::Zstd),
        ] {
            assert_eq!(archive.by_name(name).unwrap().compression(), compression, "{name}");
        }
    }

    #[test]
    fn times_are_fixed_or_from_the_environment() {
        assert_eq!(entry_time(None), DateTime::DEFAULT);
        assert_eq!(entry_time(Some("0")), DateTime::DEFAULT);
        assert_eq!(entry_time(Some("soon")), DateTime::DEFAULT);
        let expected = DateTime::from_date_and_time(2024, 2, 29, 12, 30, 44).unwrap();
        assert_eq!(entry_time(Some("1709209844")), expected);
        assert_eq!(entry_time(Some("99999999999")).year(), 2107);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_one_error() {
        let path = Path::new("/dev/full");
        let file = File::options().write(true).open(path).unwrap();
        let mut writer = BundleWriter::begin(path, file, &[]).unwrap();
        let big = item(&vec![1; 1 << 20], false);
        let result = writer.add_items(&[("big", &big, Compression::Stored)], |_| Ok(()));
        let result = result.and_then(|()| writer.finish().map(drop));
        let error = result.unwrap_err();
        assert!(error.next_step().is_some_and(|step| step.contains("free space")));
    }
}
