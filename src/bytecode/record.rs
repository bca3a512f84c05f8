//! Records: how one code object lies in a pack.
//!
//! Numbers are little-endian; every record begins at a multiple of eight bytes.
//!
//! | bytes | meaning |
//! | --- | --- |
//! | 0–3 | `code` |
//! | 4–7 | length of the code |
//! | 8–9 | length of the module's name |
//! | 10–11 | length of the origin |
//! | 12–15 | when it was written, in seconds since the epoch |
//! | 16–47 | key |
//! | 48–63 | check: what [`Key::check`] says of the code |
//! | 64–67 | CRC-32 of the bytes before, the name and the origin |
//! | 68–71 | zeros |
//! | 72–… | name, origin, zeros up to a multiple of eight, code, zeros up to a multiple of eight |
//!
//! Name and origin are those of the first module that had this source; they are for people, and no
//! part of what is looked up. A record that does not hold together ends the records that are read
//! before a pack is sealed: a process that was killed while it wrote leaves one at the end.

use super::key::Key;

/// Length of what is before the name.
const FIXED: usize = 72;
const MARK: &[u8; 4] = b"code";
/// Every record begins at a multiple of this.
pub(super) const ALIGNMENT: usize = 8;

/// A code object to be stored, or one that lies in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'data> {
    pub key: Key,
    /// When it was written, in seconds since the epoch.
    pub written: u32,
    pub check: [u8; 16],
    pub module: &'data [u8],
    pub origin: &'data [u8],
    /// The marshalled code object.
    pub code: &'data [u8],
}

/// Where a record's parts are, counted from its beginning.
struct Layout {
    name_end: usize,
    origin_end: usize,
    code: usize,
    code_end: usize,
    end: usize,
}

impl Layout {
    /// `None` where the lengths do not fit into memory.
    fn new(name: usize, origin: usize, code: usize) -> Option<Self> {
        let name_end = FIXED + name;
        let origin_end = name_end + origin;
        let start = origin_end.next_multiple_of(ALIGNMENT);
        let code_end = start.checked_add(code)?;
        let end = code_end.checked_next_multiple_of(ALIGNMENT)?;
        Some(Self { name_end, origin_end, code: start, code_end, end })
    }
}

impl<'data> Record<'data> {
    /// A record of code that was just made.
    pub(super) fn new(
        key: Key,
        written: u32,
        module: &'data str,
        origin: &'data str,
        code: &'data [u8],
    ) -> Self {
        let (module, origin) = (shortened(module.as_bytes()), shortened(origin.as_bytes()));
        Self { key, written, check: key.check(code), module, origin, code }
    }

    /// Appends the record to `data`, which begins at a multiple of [`ALIGNMENT`]; `None` where the
    /// code is longer than a record can say.
    pub(super) fn write(&self, data: &mut Vec<u8>) -> Option<()> {
        let code_length = u32::try_from(self.code.len()).ok()?;
        let name_length = u16::try_from(self.module.len()).ok()?;
        let origin_length = u16::try_from(self.origin.len()).ok()?;
        let layout = Layout::new(self.module.len(), self.origin.len(), self.code.len())?;
        let start = data.len();
        data.reserve(layout.end);
        data.extend(MARK);
        data.extend(code_length.to_le_bytes());
        data.extend(name_length.to_le_bytes());
        data.extend(origin_length.to_le_bytes());
        data.extend(self.written.to_le_bytes());
        data.extend(self.key.0);
        data.extend(self.check);
        let crc = header_crc(&data[start..], self.module, self.origin);
        data.extend(crc.to_le_bytes());
        data.extend([0; 4]);
        data.extend(self.module);
        data.extend(self.origin);
        data.resize(start + layout.code, 0);
        data.extend(self.code);
        data.resize(start + layout.end, 0);
        Some(())
    }

    /// The record at the beginning of `data`, and its length. `None` where there is none, or not the
    /// whole of it. The code itself is not looked at: [`Self::is_sound`] does that.
    pub(super) fn read(data: &'data [u8]) -> Option<(Self, usize)> {
        let fixed: &[u8; FIXED] = data.first_chunk()?;
        let (mark, rest) = fixed.split_first_chunk::<4>()?;
        let (code_length, rest) = rest.split_first_chunk()?;
        let (name_length, rest) = rest.split_first_chunk()?;
        let (origin_length, rest) = rest.split_first_chunk()?;
        let (written, rest) = rest.split_first_chunk()?;
        let (key, rest) = rest.split_first_chunk()?;
        let (check, rest) = rest.split_first_chunk()?;
        let (crc, _) = rest.split_first_chunk()?;
        let layout = Layout::new(
            u16::from_le_bytes(*name_length).into(),
            u16::from_le_bytes(*origin_length).into(),
            usize::try_from(u32::from_le_bytes(*code_length)).ok()?,
        )?;
        let whole = data.get(..layout.end)?;
        let record = Self {
            key: Key(*key),
            written: u32::from_le_bytes(*written),
            check: *check,
            module: whole.get(FIXED..layout.name_end)?,
            origin: whole.get(layout.name_end..layout.origin_end)?,
            code: whole.get(layout.code..layout.code_end)?,
        };
        let is_whole = mark == MARK
            && u32::from_le_bytes(*crc) == header_crc(&fixed[..64], record.module, record.origin);
        is_whole.then_some((record, layout.end))
    }

    /// How many bytes it takes.
    pub(super) fn length(&self) -> usize {
        Layout::new(self.module.len(), self.origin.len(), self.code.len())
            .map_or(usize::MAX, |layout| layout.end)
    }

    /// Whether the code is what was written.
    pub(super) fn is_sound(&self) -> bool {
        self.key.check(self.code) == self.check
    }
}

fn header_crc(fixed: &[u8], module: &[u8], origin: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for part in [fixed, module, origin] {
        hasher.update(part);
    }
    hasher.finalize()
}

/// As much of a text as a record can hold.
fn shortened(text: &[u8]) -> &[u8] {
    &text[..text.len().min(u16::MAX.into())]
}

#[cfg(test)]
mod tests {
    use super::super::Target;
    use super::*;

    fn key() -> Key {
        Target::new("cpython-311", [1, 2, 3, 4], 0, true).key(b"source")
    }

    #[test]
    fn what_was_written_is_read() {
        for code in [&b""[..], b"c", b"twelve bytes"] {
            let record = Record::new(key(), 7, "package.module", "/a/b.py", code);
            let mut data = Vec::new();
            record.write(&mut data).unwrap();
            assert_eq!(data.len() % ALIGNMENT, 0);
            assert_eq!(Record::read(&data), Some((record, data.len())));
            assert!(record.is_sound());
        }
    }

    #[test]
    fn no_flipped_bit_and_no_missing_byte_goes_unnoticed() {
        let record = Record::new(key(), 7, "module", "/a/b.py", b"the code of a module");
        let mut data = Vec::new();
        record.write(&mut data).unwrap();
        for position in 0..data.len() {
            assert_eq!(Record::read(&data[..position]), None, "cut off at {position}");
            for bit in 0..8 {
                let mut flipped = data.clone();
                flipped[position] ^= 1 << bit;
                let same = Record::read(&flipped)
                    .is_some_and(|(found, _)| found.is_sound() && found.code != record.code);
                assert!(!same, "byte {position}, bit {bit}");
            }
        }
    }

    #[test]
    fn lengths_beyond_the_data_are_no_record() {
        let record = Record::new(key(), 7, "module", "/a/b.py", b"code");
        let mut data = Vec::new();
        record.write(&mut data).unwrap();
        data[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(Record::read(&data), None);
    }

    #[test]
    fn long_names_are_cut() {
        let name = "n".repeat(70_000);
        let record = Record::new(key(), 7, &name, &name, b"code");
        let mut data = Vec::new();
        record.write(&mut data).unwrap();
        assert_eq!(Record::read(&data).unwrap().0.module.len(), 65_535);
    }
}
