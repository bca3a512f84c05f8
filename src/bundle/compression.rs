//! How entries' data lies in the file, and the way back to the data.
//!
//! A bundle may be hostile, so no memory is asked for because a size is stated. What deflate cannot
//! reach (more than 1032 to 1) is refused before anything is allocated. What zstd cannot reach
//! (more than 32768 to 1) is refused too; but because that is far, what deflate could not reach
//! comes out into a buffer that grows with what is really there.

use std::fmt;

use serde::{Deserialize, Serialize};
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// The most that one byte of deflate can stand for.
const DEFLATE_LIMIT: u64 = 1032;

/// The most that one byte of zstd can stand for: a block takes at least 4 bytes, and holds at most
/// 128 KiB.
const ZSTD_LIMIT: u64 = (128 << 10) / 4;

/// How far back zstd data may reach, as a power of two: 128 MiB. No level needs more, and it is
/// what other programs take if nobody tells them otherwise.
const ZSTD_WINDOW_LIMIT: u32 = 27;

/// Room for what comes out of zstd at first.
const FIRST_ROOM: usize = 64 << 10;

/// How an entry's data lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As it is.
    Stored,
    /// Deflated.
    Deflated,
    /// As zstd frames.
    Zstd,
}

impl Compression {
    /// What a zip's compression method stands for; `None` for those that are not read here.
    #[must_use]
    pub fn of_method(method: u16) -> Option<Self> {
        match method {
            0 => Some(Self::Stored),
            8 => Some(Self::Deflated),
            93 => Some(Self::Zstd),
            _ => None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stored => "stored",
            Self::Deflated => "deflated",
            Self::Zstd => "zstd",
        })
    }
}

/// Data that is not what the central directory says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    pub what: &'static str,
    pub expected: String,
    pub found: String,
}

impl Mismatch {
    fn new(what: &'static str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self { what, expected: expected.into(), found: found.into() }
    }

    /// A stated size that cannot come from that many bytes in the file.
    fn unreachable(what: &'static str, stored: &[u8], limit: u64, size: u64) -> Self {
        let expected = format!("at most {limit} bytes from {} in the file", stored.len());
        Self::new(what, expected, format!("{size} bytes"))
    }
}

/// Inflates raw deflate data to `size` bytes.
pub(super) fn inflate(stored: &[u8], size: u64) -> Result<Vec<u8>, Mismatch> {
    let limit = (stored.len() as u64).saturating_mul(DEFLATE_LIMIT);
    if size > limit {
        return Err(Mismatch::unreachable("size of deflated data", stored, limit, size));
    }
    // Memory that is reserved is taken only as it is written to.
    let mut data = Vec::new();
    usize::try_from(size).ok().and_then(|size| data.try_reserve_exact(size).ok()).ok_or_else(
        || {
            let expected = "a size for which there is memory";
            Mismatch::new("size of deflated data", expected, size.to_string())
        },
    )?;
    let mut inflater = flate2::Decompress::new(false);
    let status = inflater
        .decompress_vec(stored, &mut data, flate2::FlushDecompress::Finish)
        .map_err(|error| Mismatch::new("deflated data", "a deflate stream", error.to_string()))?;
    if status != flate2::Status::StreamEnd || inflater.total_out() != size {
        let found = match status {
            flate2::Status::StreamEnd => format!("{} bytes", inflater.total_out()),
            _ if inflater.total_in() == stored.len() as u64 => "a stream cut off".into(),
            _ => "a longer stream".into(),
        };
        return Err(Mismatch::new("deflated data", format!("a stream of {size} bytes"), found));
    }
    Ok(data)
}

/// Decompresses zstd frames to `size` bytes.
pub(super) fn decompress_zstd(stored: &[u8], size: u64) -> Result<Vec<u8>, Mismatch> {
    match decompress_zstd_at_once(stored, size) {
        Some(data) => Ok(data),
        // Also says what is wrong.
        None => decompress_zstd_by_parts(stored, size),
    }
}

/// Decompresses zstd frames of a size that deflate could reach too: straight to their place,
/// without a window to copy from.
fn decompress_zstd_at_once(stored: &[u8], size: u64) -> Option<Vec<u8>> {
    if stored.is_empty() || size > (stored.len() as u64).saturating_mul(DEFLATE_LIMIT) {
        return None;
    }
    let mut data = Vec::new();
    data.try_reserve_exact(usize::try_from(size).ok()?).ok()?;
    zstd::bulk::Decompressor::new().ok()?.decompress_to_buffer(stored, &mut data).ok()?;
    (data.len() as u64 == size).then_some(data)
}

/// Decompresses zstd frames into a buffer that grows.
fn decompress_zstd_by_parts(stored: &[u8], size: u64) -> Result<Vec<u8>, Mismatch> {
    let limit = (stored.len() as u64).saturating_mul(ZSTD_LIMIT);
    if size > limit {
        return Err(Mismatch::unreachable("size of zstd data", stored, limit, size));
    }
    let no_memory =
        || Mismatch::new("size of zstd data", "a size for which there is memory", size.to_string());
    let different =
        |found: String| Mismatch::new("zstd data", format!("a stream of {size} bytes"), found);
    let unreadable =
        |error: std::io::Error| Mismatch::new("zstd data", "a zstd stream", error.to_string());
    // Room for one byte more than stated: what fills it is too long.
    let most =
        usize::try_from(size).ok().and_then(|size| size.checked_add(1)).ok_or_else(no_memory)?;

    let mut decoder = Decoder::new().map_err(unreadable)?;
    decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LIMIT)).map_err(unreadable)?;
    let mut data: Vec<u8> = Vec::new();
    let mut input = InBuffer::around(stored);
    loop {
        let length = data.len();
        if length == data.capacity() {
            let room = length.saturating_mul(2).max(FIRST_ROOM);
            data.try_reserve_exact(room.min(most) - length).map_err(|_| no_memory())?;
        }
        let left = decoder
            .run(&mut input, &mut OutBuffer::around_pos(&mut data, length))
            .map_err(unreadable)?;
        if data.len() >= most {
            return Err(different("a longer stream".into()));
        }
        match (input.pos() == stored.len(), left) {
            (true, 0) => break,
            // Nothing to read, and room to write: nothing more will come.
            (true, _) if data.len() < data.capacity() => {
                return Err(different("a stream cut off".into()));
            }
            _ => {}
        }
    }
    if data.len() as u64 != size {
        return Err(different(format!("{} bytes", data.len())));
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> Vec<u8> {
        (0..300_000_u32).flat_map(|number| (number / 5 * 7).to_le_bytes()).collect()
    }

    fn compressed(data: &[u8]) -> Vec<u8> {
        zstd::stream::encode_all(data, 3).unwrap()
    }

    fn found(stored: &[u8], size: u64) -> String {
        decompress_zstd(stored, size).unwrap_err().found
    }

    /// A frame of blocks that each say "128 KiB of this byte" in 4 bytes; it states no size.
    fn bomb(blocks: usize) -> Vec<u8> {
        // Window descriptor: 2^17 bytes.
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (17 - 10) << 3];
        for number in 1..=blocks {
            let header = (128_u32 << 10) << 3 | 1 << 1 | u32::from(number == blocks);
            frame.extend(&header.to_le_bytes()[..3]);
            frame.push(b'a');
        }
        frame
    }

    #[test]
    fn zstd_data_comes_out_as_it_went_in() {
        let text = text();
        for data in [&b""[..], b"a", &text[..FIRST_ROOM], &text[..FIRST_ROOM + 1], &text] {
            let stored = compressed(data);
            for decompress in [decompress_zstd, decompress_zstd_by_parts] {
                assert!(decompress(&stored, data.len() as u64).unwrap() == data);
            }
        }
    }

    #[test]
    fn zstd_data_that_grows_the_buffer_comes_out_whole() {
        assert_eq!(decompress_zstd_at_once(&bomb(100), 100 << 17), None);
        let data = decompress_zstd(&bomb(100), 100 << 17).unwrap();
        assert!(data.len() == 100 << 17 && data.iter().all(|byte| *byte == b'a'));
    }

    #[test]
    fn zstd_frames_follow_one_another() {
        let stored = [compressed(b"one "), compressed(b"two")].concat();
        assert_eq!(decompress_zstd(&stored, 7).unwrap(), b"one two");
        assert_eq!(found(&stored, 4), "a longer stream");
    }

    #[test]
    fn zstd_data_of_another_size_is_refused() {
        let text = text();
        let stored = compressed(&text);
        let size = text.len() as u64;
        assert_eq!(found(&stored, size + 1), format!("{size} bytes"));
        assert_eq!(found(&stored, size - 1), "a longer stream");
        assert_eq!(found(&stored, 0), "a longer stream");
        assert_eq!(found(&bomb(1000), 1000), "a longer stream");
    }

    #[test]
    fn zstd_data_that_is_cut_off_is_refused() {
        let text = text();
        let stored = compressed(&text);
        for length in [0, 1, 3, 4, 9, stored.len() / 2, stored.len() - 1] {
            let error = decompress_zstd(&stored[..length], text.len() as u64).unwrap_err();
            assert!(
                error.found == "a stream cut off" || error.what == "size of zstd data",
                "{length}: {error:?}"
            );
        }
        assert_eq!(found(b"", 0), "a stream cut off");
    }

    #[test]
    fn a_size_that_zstd_cannot_reach_is_refused_before_memory_is_asked_for() {
        for size in [u64::MAX, u64::MAX - 1, 1 << 40] {
            let error = decompress_zstd(&compressed(&[0; 5000]), size).unwrap_err();
            assert_eq!(error.what, "size of zstd data");
        }
        // Can be reached by its length: 2 TiB from 64 MiB. The buffer grows with what comes out.
        let stored = [compressed(b"a"), vec![0; 64 << 20]].concat();
        assert_eq!(decompress_zstd(&stored, 2 << 40).unwrap_err().what, "zstd data");
    }

    #[test]
    fn zstd_that_reaches_too_far_back_is_refused() {
        let mut frame = bomb(1);
        frame[5] = (28 - 10) << 3;
        let error = decompress_zstd(&frame, 128 << 10).unwrap_err();
        assert!(error.found.contains("memory"), "{error:?}");
    }

    #[test]
    fn what_is_no_zstd_is_refused() {
        let error = decompress_zstd(b"no zstd at all, but long enough", 100).unwrap_err();
        assert_eq!((error.what, error.expected.as_str()), ("zstd data", "a zstd stream"));
        let behind = [compressed(b"sound"), b"and something else".to_vec()].concat();
        assert_eq!(decompress_zstd(&behind, 5).unwrap_err().what, "zstd data");
    }
}
