//! Which names of entries are served: those that a file below a directory can have.

/// Whether an entry's name (without a slash at its end) is one that a file below a directory can
/// have.
pub(super) fn is_servable(name: &[u8]) -> bool {
    // As long as a path may be; also bounds the work that one name can cause.
    !name.is_empty()
        && name.len() <= libc::PATH_MAX as usize
        && name.split(|byte| *byte == b'/').all(is_component_of_path)
}

/// Where the last slash of `name` is, and whether what is behind it can be a file's name; nothing is
/// the entry of a directory itself. One pass, because every name is looked at when a bundle is opened.
pub(super) fn split_base(name: &[u8]) -> (Option<usize>, bool) {
    let mut is_servable = true;
    let mut split = None;
    for (at, byte) in name.iter().enumerate().rev() {
        match byte {
            b'/' => {
                split = Some(at);
                break;
            }
            0 | b'\\' => is_servable = false,
            _ => {}
        }
    }
    let base = split.map_or(name, |at| &name[at + 1..]);
    (split, is_servable && !matches!(base, b"." | b".."))
}

fn is_component_of_path(component: &[u8]) -> bool {
    !matches!(component, b"" | b"." | b"..") && memchr::memchr2(0, b'\\', component).is_none()
}
