//! Making marshalled code objects the same on every run.
//!
//! `marshal` marks an object as one that may be referred to again when its reference count is
//! above one at that moment. That depends on what else the compiling process holds, so compiling
//! one source twice can give two different files. What is referred to does not depend on it, so
//! [`normalize`] keeps the marks that a reference uses, drops the others and renumbers. The result
//! unmarshals to the same objects, and a little faster.
//!
//! Only the shapes that code objects consist of are understood; data with any other is left alone.

/// The mark on a type byte.
const FLAG_REFERENCE: u8 = 0x80;

/// Nesting beyond which the interpreter itself refuses to unmarshal.
const MAXIMUM_DEPTH: usize = 2000;

/// Where code objects keep what, which differs between Python versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeShape {
    /// CPython 3.10: six numbers, eight objects, the first line, one object.
    Python310,
    /// CPython 3.11 and later: five numbers, eight objects, the first line, two objects.
    Python311,
}

impl CodeShape {
    /// The shape for a CPython 3 minor version.
    #[must_use]
    pub fn of(minor: u32) -> Self {
        if minor < 11 { Self::Python310 } else { Self::Python311 }
    }

    /// Numbers before the objects, objects, and objects after the first line's number.
    fn parts(self) -> (usize, usize, usize) {
        match self {
            Self::Python310 => (6, 8, 1),
            Self::Python311 => (5, 8, 2),
        }
    }
}

/// `data` with only the marks that are used, or `None` when it is not understood.
#[must_use]
pub fn normalize(data: &[u8], shape: CodeShape) -> Option<Vec<u8>> {
    let mut walk = Walk { data, position: 0, shape, marked: Vec::new(), references: Vec::new() };
    walk.object(0)?;
    if walk.position != data.len() {
        return None;
    }
    let Walk { marked, references, .. } = walk;

    let mut used = vec![false; marked.len()];
    for &(_, index) in &references {
        *used.get_mut(index)? = true;
    }
    let mut result = data.to_vec();
    let mut renumbered = vec![0_u32; marked.len()];
    let mut next = 0;
    for (index, &position) in marked.iter().enumerate() {
        if used[index] {
            renumbered[index] = next;
            next += 1;
        } else {
            *result.get_mut(position)? &= !FLAG_REFERENCE;
        }
    }
    for (position, index) in references {
        result.get_mut(position..position + 4)?.copy_from_slice(&renumbered[index].to_le_bytes());
    }
    Some(result)
}

/// A pass over marshalled data that notes marks and references.
struct Walk<'data> {
    data: &'data [u8],
    position: usize,
    shape: CodeShape,
    /// Positions of the marked type bytes; the index is the number that references use.
    marked: Vec<usize>,
    /// Positions of the references' numbers, and the numbers.
    references: Vec<(usize, usize)>,
}

impl Walk<'_> {
    /// Passes over one object.
    fn object(&mut self, depth: usize) -> Option<()> {
        if depth > MAXIMUM_DEPTH {
            return None;
        }
        let type_position = self.position;
        let type_byte = self.byte()?;
        if type_byte & FLAG_REFERENCE != 0 {
            self.marked.push(type_position);
        }
        match type_byte & !FLAG_REFERENCE {
            // None, False, True, Ellipsis and StopIteration.
            b'N' | b'F' | b'T' | b'.' | b'S' => Some(()),
            b'i' => self.skip(4),
            b'g' => self.skip(8),
            b'y' => self.skip(16),
            // An integer of 15-bit digits; the sign is the count's.
            b'l' => {
                let digits = self.number()?.cast_signed().unsigned_abs();
                self.skip(usize::try_from(digits).ok()?.checked_mul(2)?)
            }
            // Bytes and strings with a long or a short length.
            b's' | b't' | b'u' | b'a' | b'A' => {
                let length = self.number()?;
                self.skip(usize::try_from(length).ok()?)
            }
            b'z' | b'Z' => {
                let length = self.byte()?;
                self.skip(usize::from(length))
            }
            b')' => {
                let count = usize::from(self.byte()?);
                self.objects(count, depth)
            }
            // Tuple and frozenset.
            b'(' | b'>' => {
                let count = usize::try_from(self.number()?).ok()?;
                self.objects(count, depth)
            }
            b':' => self.objects(3, depth),
            b'c' => {
                let (numbers, objects, after) = self.shape.parts();
                self.skip(numbers * 4)?;
                self.objects(objects, depth)?;
                self.skip(4)?;
                self.objects(after, depth)
            }
            b'r' => {
                let position = self.position;
                let index = usize::try_from(self.number()?).ok()?;
                self.references.push((position, index));
                Some(())
            }
            _ => None,
        }
    }

    fn objects(&mut self, count: usize, depth: usize) -> Option<()> {
        (0..count).try_for_each(|_| self.object(depth + 1))
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.position)?;
        self.position += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u32> {
        let bytes = self.data.get(self.position..self.position.checked_add(4)?)?;
        self.position += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.position = self.position.checked_add(count)?;
        (self.position <= self.data.len()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `("ab", "cd", <reference to the second>)` with both strings marked, or the used one only.
    fn tuple(tuple_mark: u8, first_mark: u8, reference: u8) -> Vec<u8> {
        let mut data = vec![b')' | tuple_mark, 3];
        data.extend([b'z' | first_mark, 2, b'a', b'b']);
        data.extend([b'Z' | FLAG_REFERENCE, 2, b'c', b'd']);
        data.extend([b'r', reference, 0, 0, 0]);
        data
    }

    #[test]
    fn unused_marks_go_and_references_follow() {
        let plain = tuple(0, 0, 0);
        let marked = tuple(FLAG_REFERENCE, FLAG_REFERENCE, 2);
        assert_ne!(plain, marked);
        let normalized = normalize(&marked, CodeShape::Python311);
        assert_eq!(normalized.as_ref(), Some(&plain));
        assert_eq!(normalize(&plain, CodeShape::Python311), Some(plain));
    }

    #[test]
    fn data_that_is_not_understood_is_left_alone() {
        assert_eq!(normalize(b"", CodeShape::Python311), None);
        assert_eq!(normalize(b"{0", CodeShape::Python311), None);
        assert_eq!(normalize(b"NN", CodeShape::Python311), None);
        assert_eq!(normalize(b"r\x07\0\0\0", CodeShape::Python311), None);
        assert_eq!(normalize(b"s\xff\xff\xff\xff", CodeShape::Python311), None);
        let deep = [b')', 1].repeat(5000);
        assert_eq!(normalize(&deep, CodeShape::Python311), None);
    }
}
