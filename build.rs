//! Asks the Python that mmport is built for where it lives, and links against it.
//!
//! The answers become environment variables that `src/embed/identity.rs` reads at compile time, so
//! that the binary finds its libpython and its standard library without `LD_LIBRARY_PATH` or
//! `PYTHONHOME`, from any directory and through a symlink.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// What Python said, by name.
type Facts = BTreeMap<String, String>;

/// Prints one `NAME=value` line per fact.
const PROBE: &str = r#"
import importlib.machinery, importlib.util, os, sys, sysconfig
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
    "SYSTEM_LIBRARIES": " ".join(filter(None, map(
        sysconfig.get_config_var, ("LIBS", "MODLIBS", "SYSLIBS")))),
}
for name, value in facts.items():
    print(f"{name}={value}")
"#;

/// Prints the code object of a module, marshalled, in hexadecimal digits; `{source}` are those of its
/// source. By the file's name CPython knows the frames that it leaves out of tracebacks.
const COMPILE: &str = r#"
import marshal
source = bytes.fromhex("{source}")
print(marshal.dumps(compile(source, "<frozen importlib._bootstrap_external>", "exec", dont_inherit=True, optimize=0)).hex())
"#;

/// The modules that are frozen: their sources in `src/python`, by name.
const FROZEN: [&str; 2] = ["boot", "subinterpreters"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let config = pyo3_build_config::get();
    pyo3_build_config::use_pyo3_cfgs();
    pyo3_build_config::add_libpython_rpath_link_args();

    let output = config.run_python_script(PROBE).unwrap_or_else(|error| {
        panic!("asking the Python that mmport is built for where it lives failed: {error}")
    });
    let mut facts = Facts::new();
    for line in output.lines() {
        if let Some((name, value)) = line.split_once('=') {
            println!("cargo:rustc-env=MMPORT_PYTHON_{name}={value}");
            facts.insert(name.to_owned(), value.to_owned());
        }
    }
    FROZEN.iter().for_each(|name| freeze(config, name));
    // Set by maturin, which builds the extension module and no binary; and by who builds the binary
    // for a static libpython, because pyo3 would link that into the extension module too.
    let pyo3_links = std::env::var_os("PYO3_BUILD_EXTENSION_MODULE").is_none();
    println!("cargo:rerun-if-env-changed=PYO3_BUILD_EXTENSION_MODULE");
    match (pyo3_links, config.shared()) {
        (true, true) => assert!(has_library(config, &facts), "{}", no_library(config, &facts)),
        (true, false) if !has_library(config, &facts) => panic!("{}", no_library(config, &facts)),
        (true, false) => panic!(
            "\n\n`{executable}` has a static libpython. Build mmport for it with\n\n    \
             PYO3_BUILD_EXTENSION_MODULE=1 cargo build --release --bin mmport\n",
            executable = fact(&facts, "EXECUTABLE"),
        ),
        (false, _) if has_library(config, &facts) => link_executables(config, &facts),
        (false, _) => {} // Enough for the extension module.
    }
    reserve_search_path(config, &facts);
    let makes_executables = pyo3_links || has_library(config, &facts);
    compile_head(makes_executables);
}

/// Compiles a module that is frozen.
fn freeze(config: &pyo3_build_config::InterpreterConfig, name: &str) {
    let path = format!("src/python/{name}.py");
    println!("cargo:rerun-if-changed={path}");
    let source =
        std::fs::read(&path).unwrap_or_else(|error| panic!("reading `{path}` failed: {error}"));
    let digits: String = source.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = config
        .run_python_script(&COMPILE.replace("{source}", &digits))
        .unwrap_or_else(|error| panic!("compiling `{path}` failed: {error}"));
    let digits = output.trim().as_bytes();
    let code: Vec<u8> = digits
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).unwrap_or_default();
            u8::from_str_radix(pair, 16)
                .unwrap_or_else(|error| panic!("`{pair}` are no hexadecimal digits: {error}"))
        })
        .collect();
    let directory = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let output = Path::new(&directory).join(format!("{name}.marshal"));
    std::fs::write(&output, code)
        .unwrap_or_else(|error| panic!("writing `{}` failed: {error}", output.display()));
}

/// Gives the binary a search path that is long enough to be replaced by that of a standalone executable's
/// runtime.
fn reserve_search_path(config: &pyo3_build_config::InterpreterConfig, facts: &Facts) {
    const LONG_ENOUGH: usize = 16;
    let directory = config.lib_dir().unwrap_or_else(|| fact(facts, "LIBDIR"));
    let mut path = directory.to_owned();
    while path.len() < LONG_ENOUGH {
        path.push_str("/.");
    }
    if directory.starts_with('/') {
        println!("cargo:rustc-link-arg-bins=-Wl,-rpath,{path}");
    }
}

/// Compiles the head of standalone executables; it is empty where only the extension module is built.
fn compile_head(makes_executables: bool) {
    const SOURCES: [&str; 4] = [
        "src/standalone/head/main.rs",
        "src/standalone/manifest.rs",
        "src/standalone/runtime.rs",
        "src/native/root.rs",
    ];
    SOURCES.iter().for_each(|source| println!("cargo:rerun-if-changed={source}"));
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let directory = variable("OUT_DIR");
    let head = Path::new(&directory).join("head");
    if !makes_executables {
        std::fs::write(&head, [])
            .unwrap_or_else(|error| panic!("writing the head failed: {error}"));
        return;
    }
    // Rust's standard library asks for libgcc_s, which is no part of the C library: what it needs of it
    // is linked in.
    let libraries = Path::new(&directory).join("libraries");
    let script = libraries.join("libgcc_s.so");
    std::fs::create_dir_all(&libraries)
        .and_then(|()| std::fs::write(script, "INPUT(-lgcc_eh -lgcc)\n"))
        .unwrap_or_else(|error| panic!("writing a linker script failed: {error}"));
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition=2024", "--crate-name=head", "--crate-type=bin", "--target"]);
    rustc.arg(variable("TARGET"));
    for option in ["opt-level=s", "panic=abort", "lto=fat", "codegen-units=1", "strip=symbols"] {
        rustc.arg("-C").arg(option);
    }
    if let Some(linker) = std::env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.to_string_lossy()));
    }
    rustc.arg("-L").arg(&libraries).arg("-o").arg(&head).arg(SOURCES[0]);
    let status = rustc.status().unwrap_or_else(|error| panic!("starting rustc failed: {error}"));
    assert!(status.success(), "compiling the head of standalone executables failed");
}

/// A fact by name; empty where Python had none.
fn fact<'facts>(facts: &'facts Facts, name: &str) -> &'facts str {
    facts.get(name).map_or("", String::as_str)
}

/// Whether there is a libpython to link.
fn has_library(config: &pyo3_build_config::InterpreterConfig, facts: &Facts) -> bool {
    let name = config.lib_name().unwrap_or_default();
    [config.lib_dir().unwrap_or_default(), fact(facts, "LIBPL"), fact(facts, "LIBDIR")].iter().any(
        |directory| {
            ["so", "a", "dylib"]
                .iter()
                .any(|suffix| Path::new(directory).join(format!("lib{name}.{suffix}")).exists())
        },
    )
}

/// Says which package to install.
fn no_library(config: &pyo3_build_config::InterpreterConfig, facts: &Facts) -> String {
    let name = config.lib_name().unwrap_or_default();
    format!(
        "\n\nmmport embeds Python {version} (`{executable}`), which has neither lib{name}.so nor \
         lib{name}.a.\nInstall it (Debian, Ubuntu: `apt-get install libpython{version}-dev`; \
         Fedora: `dnf install python{version}-devel`; pyenv: \
         `PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install {version}`), or choose another \
         Python with PYO3_PYTHON=/path/to/python.\n",
        version = fact(facts, "VERSION"),
        executable = fact(facts, "EXECUTABLE"),
    )
}

/// Links libpython into executables only. With a static one the binary itself has to offer all of
/// CPython's symbols to extension modules, and to bring the libraries that libpython uses.
fn link_executables(config: &pyo3_build_config::InterpreterConfig, facts: &Facts) {
    let Some(name) = config.lib_name() else { return };
    let mut arguments = Vec::new();
    for directory in [config.lib_dir().unwrap_or_default(), fact(facts, "LIBPL")] {
        if !directory.is_empty() {
            arguments.push(format!("-L{directory}"));
        }
    }
    if config.shared() {
        arguments.push(format!("-l{name}"));
        arguments.push(format!("-Wl,-rpath,{}", config.lib_dir().unwrap_or_default()));
    } else {
        arguments.push("-Wl,--export-dynamic,--whole-archive".into());
        arguments.push(format!("-l:lib{name}.a"));
        arguments.push("-Wl,--no-whole-archive".into());
        let libraries = fact(facts, "SYSTEM_LIBRARIES").split_whitespace();
        arguments.extend(libraries.filter(|word| word.starts_with("-l")).map(str::to_owned));
    }
    for target in ["bins", "benches"] {
        for argument in &arguments {
            println!("cargo:rustc-link-arg-{target}={argument}");
        }
    }
}
