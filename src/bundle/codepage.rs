//! Code page 437, in which zip names are written that are not declared to be UTF-8.

/// The characters of the bytes 0x80 to 0xff (the Unicode consortium's table for CP437).
const UPPER: [char; 128] = [
    'Ç', 'ü', 'é', 'â', 'ä', 'à', 'å', 'ç', 'ê', 'ë', 'è', 'ï', 'î', 'ì', 'Ä', 'Å', 'É', 'æ', 'Æ',
    'ô', 'ö', 'ò', 'û', 'ù', 'ÿ', 'Ö', 'Ü', '¢', '£', '¥', '₧', 'ƒ', 'á', 'í', 'ó', 'ú', 'ñ', 'Ñ',
    'ª', 'º', '¿', '⌐', '¬', '½', '¼', '¡', '«', '»', '░', '▒', '▓', '│', '┤', '╡', '╢', '╖', '╕',
    '╣', '║', '╗', '╝', '╜', '╛', '┐', '└', '┴', '┬', '├', '─', '┼', '╞', '╟', '╚', '╔', '╩', '╦',
    '╠', '═', '╬', '╧', '╨', '╤', '╥', '╙', '╘', '╒', '╓', '╫', '╪', '┘', '┌', '█', '▄', '▌', '▐',
    '▀', 'α', 'ß', 'Γ', 'π', 'Σ', 'σ', 'µ', 'τ', 'Φ', 'Θ', 'Ω', 'δ', '∞', 'φ', 'ε', '∩', '≡', '±',
    '≥', '≤', '⌠', '⌡', '÷', '≈', '°', '∙', '·', '√', 'ⁿ', '²', '■', '\u{a0}',
];

/// Decodes bytes of code page 437; the lower half is ASCII.
pub(super) fn decode_cp437(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            0..=0x7f => char::from(*byte),
            upper => UPPER[usize::from(*upper) - 128],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn decodes_as_python_does() {
        // bytes([0x41, 0x80, 0x9b, 0xe1, 0xff]).decode("cp437")
        assert_eq!(super::decode_cp437(&[0x41, 0x80, 0x9b, 0xe1, 0xff]), "AÇ¢ß\u{a0}");
    }
}
