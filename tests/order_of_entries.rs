//! In which order entries stand changes nothing in what is found, though opening is quickest in some.

use std::fs::File;

use mmport::bundle::{Bundle, Found, FoundKind, FoundModule, Suffixes};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// What is found under a name: whether it is a package, and the names of its source and bytecode.
type Answer = Option<(bool, String, Option<String>)>;

const PACKAGES: [&str; 5] = ["", "a/", "a/b/", "a/b/c/", "z/"];
const MODULES: [&str; 5] = ["__init__", "b", "first", "second", "z"];

fn answers(entries: &[String]) -> (usize, Vec<Answer>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle.zip");
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    for entry in entries {
        writer.start_file(entry, SimpleFileOptions::default()).unwrap();
    }
    writer.finish().unwrap();
    let bundle = Bundle::open(&path, Suffixes::new([".so"], "cpython-311", 0)).unwrap();
    let name_at = |ordinal| bundle.entry_at(ordinal).unwrap().name().into_owned();
    let answer = |package: &str, module: &str| match bundle.find(package, module)? {
        Found::Module(FoundModule {
            is_package,
            kind: FoundKind::Source { source, beside, .. },
        }) => Some((is_package, name_at(source), beside.map(name_at))),
        other => Some((false, format!("{other:?}"), None)),
    };
    let names = ["a", "c", "d", "absent"].iter().chain(&MODULES);
    let asked = names.flat_map(|name| PACKAGES.map(|package| answer(package, name))).collect();
    (bundle.module_count(), asked)
}

#[test]
fn what_is_found_does_not_depend_on_the_order_of_entries() {
    let stems: Vec<String> = PACKAGES
        .iter()
        .flat_map(|package| MODULES.map(|module| format!("{package}{module}")))
        .collect();
    let with = |suffix: &'static str| stems.iter().map(move |stem| format!("{stem}.{suffix}"));
    let bytecode_first: Vec<String> = with("pyc").chain(with("py")).collect();
    let side_by_side: Vec<String> = with("py").zip(with("pyc")).flat_map(<[_; 2]>::from).collect();
    let backwards: Vec<String> = with("pyc").chain(with("py").rev()).collect();
    // 7 and the number of entries have no common factor, so each is taken once.
    let mixed: Vec<String> = (0..bytecode_first.len())
        .map(|number| bytecode_first[number * 7 % bytecode_first.len()].clone())
        .collect();

    let expected = answers(&bytecode_first);
    assert_eq!(expected.0, stems.len());
    let root_initializer = Some((false, "__init__.py".into(), Some("__init__.pyc".into())));
    assert!(expected.1.contains(&root_initializer));
    let found = expected.1.iter().flatten();
    assert!(found.clone().count() > 20 && found.clone().any(|answer| answer.0));
    assert!(found.clone().filter(|answer| answer.2.is_some()).count() > 20);
    for entries in [side_by_side, backwards, mixed] {
        assert_eq!(answers(&entries), expected, "{entries:?}");
    }
}
