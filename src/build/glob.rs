//! The globs of `--materialize` and `--no-materialize`: `*` stands for any run of characters,
//! `?` for one; everything else for itself. They are matched against dotted package names.

/// Whether `name` matches `pattern` as a whole.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at_pattern, mut at_name) = (0, 0);
    // Where to resume when the text after the last `*` turns out not to match.
    let mut resume: Option<(usize, usize)> = None;
    while at_name < name.len() {
        match pattern.get(at_pattern) {
            Some('*') => {
                resume = Some((at_pattern + 1, at_name));
                at_pattern += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[at_name] => {
                at_pattern += 1;
                at_name += 1;
            }
            _ => match resume {
                Some((after_star, from)) => {
                    resume = Some((after_star, from + 1));
                    at_pattern = after_star;
                    at_name = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at_pattern..].iter().all(|&left| left == '*')
}

/// Whether `name` matches any of `patterns`.
pub(super) fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        assert!(matches("django*", "django"));
        assert!(matches("*", ""));
        assert!(matches("g*.c?oud", "google.cloud"));
        assert!(matches("*a*b", "xaybab"));
        assert!(!matches("django", "django.contrib"));
        assert!(!matches("?", ""));
        assert!(!matches("a*b", "abc"));
    }
}
