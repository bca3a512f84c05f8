//! Makes the program find the libpython that it is linked with, wherever that lies.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    pyo3_build_config::add_libpython_rpath_link_args();
    if !pyo3_build_config::get().shared() {
        // With a static libpython, extension modules find CPython's symbols in the program itself.
        println!("cargo:rustc-link-arg=-Wl,--export-dynamic");
    }
}
