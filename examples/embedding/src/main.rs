//! Says what is in a bundle, then runs it: `embedding BUNDLE [ARGUMENT…]`.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;

use mmport::bundle::Bundle;
use mmport::embed::{self, identity};

fn main() {
    let status = run(&std::env::args_os().collect::<Vec<_>>()).unwrap_or_else(|error| {
        eprintln!("embedding: {error}");
        125
    });
    std::process::exit(status);
}

fn run(arguments: &[OsString]) -> Result<i32, Box<dyn Error>> {
    // A bundle's `sys.executable` leads back to this program, so that child processes work: be that
    // Python then.
    if let Some(status) = embed::run_as_python(arguments)? {
        return Ok(status);
    }
    let [_, bundle, arguments @ ..] = arguments else {
        return Err("usage: embedding BUNDLE [ARGUMENT…]".into());
    };
    describe(Path::new(bundle))?;
    // Starts Python, serves its imports from the bundle and runs the entry point.
    Ok(embed::run_bundle(bundle, arguments)?)
}

/// Prints a few facts about a bundle; no Python runs for that.
fn describe(path: &Path) -> Result<(), Box<dyn Error>> {
    // What counts as a module depends on the Python: here the embedded one, without -O.
    let bundle = Bundle::open(path, identity::suffixes(0))?;
    println!("entries: {}, modules: {}", bundle.entry_count(), bundle.module_count());
    let information = bundle.information()?;
    if let Some(entry) = information.and_then(|information| information.entry.as_ref()) {
        println!("entry point: {entry}");
    }
    for distribution in bundle.contents()?.distributions {
        println!("distribution: {} {}", distribution.name, distribution.version);
    }
    println!("__main__.py: {} bytes, read from the map", bundle.read("__main__.py")?.len());
    Ok(())
}
