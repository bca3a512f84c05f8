//! Places in a bundle: paths without slashes at their ends, empty for the bundle itself.

/// The place that `path` leads to from the directory `base`, or `None` where that is outside the
/// bundle. Empty components and `.` mean nothing, `..` the directory above.
#[must_use]
pub fn join_place(base: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join_place;

    #[test]
    fn places_stay_in_the_bundle() {
        for (base, path, expected) in [
            ("", "a", Some("a")),
            ("a", "b/c.txt", Some("a/b/c.txt")),
            ("a/b", "../c//./d/", Some("a/c/d")),
            ("a", "..", Some("")),
            ("a", "../..", None),
            ("", "../a", None),
        ] {
            assert_eq!(join_place(base, path).as_deref(), expected, "{base} {path}");
        }
    }
}
