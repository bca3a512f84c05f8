//! Asks the Python that mmport is built for where it lives, and links against it.
//!
//! The answers become environment variables that `src/embed/identity.rs` reads at compile time, so
//! that the binary finds its libpython and its standard library without `LD_LIBRARY_PATH` or
//! `PYTHONHOME`, from any directory and through a symlink.

use std::path::Path;

/// Prints one `NAME=value` line per fact.
const PROBE: &str = r#"
import importlib.machinery, importlib.util, os, sys, sysconfig
base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix,
        "installed_base": sys.base_prefix, "installed_platbase": sys.base_exec_prefix}
stdlib = os.path.dirname(os.__file__)
dynload = [p for p in sys.path if p.endswith("lib-dynload")]
zipped = [p for p in sys.path if p.endswith("python%d%d.zip" % sys.version_info[:2])]
facts = {
    "EXECUTABLE": getattr(sys, "_base_executable", None) or sys.executable,
    "PREFIX": sys.base_prefix,
    "EXEC_PREFIX": sys.base_exec_prefix,
    "STDLIB": stdlib,
    "DYNLOAD": dynload[0] if dynload else os.path.join(stdlib, "lib-dynload"),
    "ZIP": zipped[0] if zipped else "",
    "VERSION": "%d.%d" % sys.version_info[:2],
    "FULL_VERSION": "%d.%d.%d" % sys.version_info[:3],
    "CACHE_TAG": sys.implementation.cache_tag,
    "SOABI": sysconfig.get_config_var("SOABI") or "",
    "PLATFORM": sysconfig.get_platform(),
    "EXTENSION_SUFFIXES": ":".join(importlib.machinery.EXTENSION_SUFFIXES),
    "LIBPL": sysconfig.get_config_var("LIBPL") or "",
    "LIBDIR": sysconfig.get_config_var("LIBDIR") or "",
    "LDLIBRARY": sysconfig.get_config_var("LDLIBRARY") or "",
    "SYSTEM_LIBRARIES": " ".join(filter(None, map(sysconfig.get_config_var, ("LIBS", "SYSLIBS")))),
}
for name, value in facts.items():
    print(f"{name}={value}")
"#;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let config = pyo3_build_config::get();
    pyo3_build_config::use_pyo3_cfgs();
    pyo3_build_config::add_libpython_rpath_link_args();

    let output = config.run_python_script(PROBE).unwrap_or_else(|error| {
        panic!("asking the Python that mmport is built for where it lives failed: {error}")
    });
    let mut facts = std::collections::BTreeMap::new();
    for line in output.lines() {
        if let Some((name, value)) = line.split_once('=') {
            println!("cargo:rustc-env=MMPORT_PYTHON_{name}={value}");
            facts.insert(name.to_owned(), value.to_owned());
        }
    }
    // maturin builds the extension module, which the Python that imports it links.
    let is_extension_module = std::env::var_os("PYO3_BUILD_EXTENSION_MODULE").is_some();
    if !is_extension_module {
        check_library(config, &facts);
        if !config.shared() {
            link_statically(&facts);
        }
    }
}

/// Fails early, and says which package to install, where there is no libpython to link.
fn check_library(
    config: &pyo3_build_config::InterpreterConfig,
    facts: &std::collections::BTreeMap<String, String>,
) {
    let Some(name) = config.lib_name() else { return };
    let directories: Vec<&str> = [config.lib_dir(), facts.get("LIBPL").map(String::as_str)]
        .into_iter()
        .flatten()
        .chain(facts.get("LIBDIR").map(String::as_str))
        .collect();
    let found = directories.iter().any(|directory| {
        ["so", "a", "dylib"]
            .iter()
            .any(|suffix| Path::new(directory).join(format!("lib{name}.{suffix}")).exists())
    });
    assert!(
        found,
        "\n\nmmport embeds Python {version} (`{executable}`), but neither lib{name}.so nor \
         lib{name}.a is in {directories:?}.\nInstall it (Debian, Ubuntu: `apt-get install \
         libpython{version}-dev`; Fedora: `dnf install python{version}-devel`; pyenv: \
         `PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {version}`), or choose another \
         Python with PYO3_PYTHON=/path/to/python.\n",
        version = facts.get("VERSION").map_or("", String::as_str),
        executable = facts.get("EXECUTABLE").map_or("", String::as_str),
    );
}

/// With a static libpython the binary itself has to offer CPython's symbols to extension modules,
/// and has to bring the libraries that libpython uses.
fn link_statically(facts: &std::collections::BTreeMap<String, String>) {
    if let Some(directory) = facts.get("LIBPL") {
        println!("cargo:rustc-link-search=native={directory}");
    }
    println!("cargo:rustc-link-arg=-Wl,--export-dynamic");
    let libraries = facts.get("SYSTEM_LIBRARIES").map_or("", String::as_str);
    for library in libraries.split_whitespace().filter_map(|word| word.strip_prefix("-l")) {
        println!("cargo:rustc-link-lib={library}");
    }
}
