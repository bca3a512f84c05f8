//! The bundle's `__main__.py`: a few lines that start the entry point.
//!
//! A bundle that holds files which must be real files cannot run under CPython's own `zipimport`.
//! Its `__main__.py` says so there, or hands over to mmport where that Python has it.

use crate::bundle::BundleEntryPoint;

/// Packages that the message names.
const NAMED: usize = 3;

/// The text of `__main__.py` for `entry`; `carriers` are the packages that must be real files.
/// `None` when the sources brought one of their own.
pub(super) fn main_module(entry: &BundleEntryPoint, carriers: &[String]) -> Option<String> {
    let start = match entry {
        BundleEntryPoint::Script { module, object, .. }
        | BundleEntryPoint::Object { module, object } => {
            // A dotted object is an attribute of what can be imported from the module.
            let imported = object.split('.').next().unwrap_or(object);
            format!(
                "import sys\n\n{}from {module} import {imported}\n\n\
                 if __name__ == \"__main__\":\n    sys.exit({object}())\n",
                preamble(carriers)
            )
        }
        BundleEntryPoint::Module { name } => {
            let imports = if carriers.is_empty() {
                "import runpy\n\n"
            } else {
                "import runpy\nimport sys\n\n"
            };
            format!(
                "{imports}{}if __name__ == \"__main__\":\n    \
                 runpy.run_module(\"{name}\", run_name=\"__main__\", alter_sys=True)\n",
                preamble(carriers)
            )
        }
        BundleEntryPoint::Main => return None,
    };
    Some(start)
}

/// What comes before, when plain Python cannot run the bundle; it uses `sys`.
fn preamble(carriers: &[String]) -> String {
    if carriers.is_empty() {
        return String::new();
    }
    let mut named = carriers[..carriers.len().min(NAMED)].join(", ");
    if carriers.len() > NAMED {
        named.push_str(", ...");
    }
    format!(
        r#"if __name__ == "__main__" and type(__loader__).__module__ == "zipimport":
    # Plain Python runs this bundle, but some of its packages must be real files.
    archive = __loader__.archive
    try:
        import mmport
    except ImportError:
        print(
            f"{{archive}}: holds files that must be real files ({named}); "
            f"run it with: mmport run {{archive}}",
            file=sys.stderr,
        )
        sys.exit(126)
    raise SystemExit(mmport.main(["run", archive, *sys.argv[1:]]))

"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_imported_and_called() {
        let entry = BundleEntryPoint::Script {
            name: "tool".into(),
            module: "tool.cli".into(),
            object: "App.run".into(),
        };
        assert_eq!(
            main_module(&entry, &[]).unwrap(),
            "import sys\n\nfrom tool.cli import App\n\nif __name__ == \"__main__\":\n    sys.exit(App.run())\n"
        );
    }

    #[test]
    fn a_bundle_with_files_hands_over_before_it_imports_anything() {
        let entry = BundleEntryPoint::Module { name: "tool".into() };
        let carriers = ["a", "b", "c", "d"].map(str::to_owned);
        let text = main_module(&entry, &carriers).unwrap();
        assert!(text.contains("(a, b, c, ...)"));
        let hand_over = text.find("zipimport").unwrap();
        assert!(hand_over < text.find("run_module").unwrap());
    }

    #[test]
    fn the_sources_own_main_stays() {
        assert_eq!(main_module(&BundleEntryPoint::Main, &["a".to_owned()]), None);
    }
}
