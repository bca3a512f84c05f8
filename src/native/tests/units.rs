//! What is brought out together.

use super::super::{MaterializeRules, Units};
use super::{Fixture, PACKAGES};

#[test]
fn units_are_the_topmost_regular_packages_that_carry_files() {
    let fixture = Fixture::new(PACKAGES);
    let cases = [
        ("pure", None),
        ("pure/sub", None),
        ("data", Some("data")),
        ("data/deep/er", Some("data")),
        ("space", None),
        ("space/inner", Some("space/inner")),
        ("space/other", None),
        ("absent", None),
        ("", None),
    ];
    for (directory, unit) in cases {
        let found = Units::default().of_directory(&fixture.bundle, directory);
        assert_eq!(found, unit, "{directory}");
    }
}

#[test]
fn globs_add_and_spare_packages_by_dotted_name() {
    let fixture = Fixture::new(PACKAGES);
    let texts = |globs: &[&str]| globs.iter().map(|&glob| glob.to_owned()).collect::<Vec<_>>();
    let rules = MaterializeRules::new(&texts(&["p*", "data"]), &texts(&["space.*"])).unwrap();
    let units = Units::new(rules);
    for (directory, unit) in
        [("pure/sub", Some("pure")), ("data", Some("data")), ("space/inner", None)]
    {
        assert_eq!(units.of_directory(&fixture.bundle, directory), unit, "{directory}");
    }
    assert!(MaterializeRules::new(&texts(&["a["]), &[]).is_err());
}
