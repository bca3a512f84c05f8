//! The scripts that the distributions of a bundle declare, for whoever runs one by its name.

use std::collections::BTreeMap;

use super::{
    Bundle, BundleEntryPoint, BundleError, Entry, ScriptEntryPoint, is_metadata_directory,
};

/// How many names a message lists.
const SHOWN: usize = 20;

impl ScriptEntryPoint {
    /// What the script imports and calls; `None` where its value is not `module:object [extras]`.
    #[must_use]
    pub fn entry_point(&self) -> Option<BundleEntryPoint> {
        let (module, object) = parse_object(&self.value)?;
        Some(BundleEntryPoint::Script { name: self.name.clone(), module, object })
    }
}

/// Splits `module:object [extras]`.
#[must_use]
pub fn parse_object(text: &str) -> Option<(String, String)> {
    let is_dotted_name = |text: &str| !text.split('.').any(str::is_empty);
    let text = text.split('[').next().unwrap_or_default();
    let (module, object) = text.split_once(':')?;
    let (module, object) = (module.trim(), object.trim());
    (is_dotted_name(module) && is_dotted_name(object))
        .then(|| (module.to_owned(), object.to_owned()))
}

impl Bundle {
    /// The scripts of all distributions in the bundle, sorted by name.
    ///
    /// # Errors
    /// [`BundleError`], when their metadata is not sound.
    pub fn scripts(&self) -> Result<Vec<ScriptEntryPoint>, BundleError> {
        let mut found = BTreeMap::new();
        // One walk: a program may be started by a script's name, and the sorted names of all entries,
        // which are not needed for anything else then, would take longer.
        for header in self.headers() {
            let header = header?;
            let directory = header.name.strip_suffix(b"/entry_points.txt");
            let directory = directory.and_then(|name| std::str::from_utf8(name).ok());
            if directory.is_some_and(|name| !name.contains('/') && is_metadata_directory(name)) {
                // Of two entries with the same name the later one counts.
                found.insert(header.name, Entry::new(self, header));
            }
        }
        let mut scripts = Vec::new();
        for entry in found.values() {
            scripts.extend(ScriptEntryPoint::parse(&entry.read()?));
        }
        scripts.sort();
        Ok(scripts)
    }
}

/// Sorts names by how much they look like `wanted`, the most alike first, each once.
#[must_use]
pub fn nearest_first(wanted: &str, mut names: Vec<String>) -> Vec<String> {
    names.sort_by_cached_key(|name| (strsim::levenshtein(wanted, name), name.clone()));
    names.dedup();
    names
}

/// The scripts that there are, as a sentence's end.
#[must_use]
pub fn available_scripts(available: &[String]) -> String {
    if available.is_empty() {
        return "no distribution in the bundle has a script".to_owned();
    }
    let shown: Vec<String> =
        (available.iter().take(SHOWN)).map(|name| format!("`{}`", name.escape_debug())).collect();
    let rest = available.len() - shown.len();
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("the bundle has {}{more}", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split() {
        let split = |value: &str| parse_object(value).map(|(module, object)| [module, object]);
        assert_eq!(split("a.b:C.d"), Some(["a.b".into(), "C.d".into()]));
        assert_eq!(split(" a : b [x, y]"), Some(["a".into(), "b".into()]));
        for value in ["a", "a:", ":b", "a..b:c", "[x]"] {
            assert_eq!(split(value), None, "{value}");
        }
    }

    #[test]
    fn the_most_alike_comes_first() {
        let names = ["isort", "blackd", "black", "black"].map(str::to_owned).to_vec();
        assert_eq!(nearest_first("blakc", names), ["black", "blackd", "isort"]);
    }

    #[test]
    fn long_lists_of_scripts_are_cut() {
        let names: Vec<String> = (0..25).map(|number| format!("s{number}")).collect();
        assert!(available_scripts(&names).ends_with("`s19` and 5 more"));
    }
}
