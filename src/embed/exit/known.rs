//! Extension modules of distributions that were read: whose objects free memory, and release other objects,
//! when they go.
//!
//! What was looked for, in the sources of the versions that were current (numpy 2.4 and pandas 3.1 among
//! them): deallocators, finalizers, destructors of capsules and modules that write, flush, close politely,
//! delete, print, warn, wait for threads or call back. A file that is closed by the kernel instead, or
//! memory that is not freed, is nothing that anybody sees. Objects that call other libraries' code do so for
//! libraries that have to be known, too. Types that do have an effect are looked for one by one (see
//! `objects.rs`).

/// Directories whose extension modules are harmless, all of them, but for [`EFFECTIVE`]
/// and [`EFFECTIVE_BEGINNINGS`].
const DIRECTORIES: [&str; 26] = [
    "Crypto",
    "Cryptodome",
    "Levenshtein",
    "PIL",
    "aiohttp",
    "charset_normalizer",
    "cryptography",
    "cytoolz",
    "dulwich",
    "fastavro",
    "lxml",
    "lz4",
    "matplotlib",
    "numpy",
    "pandas/_libs",
    "pydantic_core",
    "rapidfuzz",
    "rpds",
    "scipy",
    "shapely",
    "sklearn",
    "sqlalchemy",
    "tokenizers",
    "websockets",
    "yarl",
    "zstandard",
];

/// Extension modules that are harmless.
const MODULES: [&str; 53] = [
    "_argon2_cffi_bindings/_ffi",
    "_brotli",
    "_cffi_backend",
    "_ruamel_yaml",
    "asyncpg/pgproto/pgproto",
    "asyncpg/protocol/record",
    "backports/zstd/_zstd",
    "bcrypt/_bcrypt",
    "bson/_cbson",
    "cbor2/_cbor2",
    "ciso8601",
    "contourpy/_contourpy",
    "coverage/tracer",
    "frozenlist/_frozenlist",
    "google/_upb/_message",
    "google_crc32c/_crc32c",
    "greenlet/_greenlet",
    "hiredis/hiredis",
    "httptools/parser/parser",
    "httptools/parser/url_parser",
    "immutables/_map",
    "jellyfish/_rustyfish",
    "jiter/jiter",
    "kiwisolver/_cext",
    "libcst/native",
    "markupsafe/_speedups",
    "msgpack/_cmsgpack",
    "multidict/_multidict",
    "nacl/_sodium",
    "nh3/nh3",
    "orjson/orjson",
    "pendulum/_pendulum",
    "propcache/_helpers_c",
    "psutil/_psutil_linux",
    "psutil/_psutil_posix",
    "psycopg_c/_psycopg",
    "pvectorc",
    "pymongo/_cmessage",
    "rapidjson",
    "regex/_regex",
    "rtoml/_rtoml",
    "safetensors/_safetensors_rust",
    "setproctitle/_setproctitle",
    "simplejson/_speedups",
    "tiktoken/_tiktoken",
    "tornado/speedups",
    "ujson",
    "uuid_utils/_uuid_utils",
    "watchfiles/_rust_notify",
    "wrapt/_wrappers",
    "xxhash/_xxhash",
    "yaml/_yaml",
    "zope/interface/_zope_interface_coptimizations",
];

/// Modules below [`DIRECTORIES`] that have an effect, or were not read.
const EFFECTIVE: [&str; 3] = [
    // Encoders of images that were not finished flush what they have written.
    "PIL/_imaging",
    "numpy/_core/_multiarray_tests",
    "numpy/core/_multiarray_tests",
];
/// The same by how they begin.
const EFFECTIVE_BEGINNINGS: [&str; 8] = [
    "numpy/distutils/",
    "scipy/_lib/_test",
    "scipy/integrate/_test",
    "scipy/io/_fast_matrix_market/",
    "scipy/ndimage/_ctest",
    "scipy/ndimage/_cytest",
    "scipy/optimize/_highs/",
    "scipy/special/_test",
];

/// What `auditwheel` calls the directories of the libraries that a wheel brings for its extension modules.
const LIBRARIES: &str = ".libs";

/// Whether the library `stem` (without suffixes) of a directory below `site-packages` is harmless.
pub(super) fn is_harmless(directory: &str, stem: &str) -> bool {
    let is_below = |of: &str| {
        directory.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let module = if directory.is_empty() { stem.to_owned() } else { format!("{directory}/{stem}") };
    if EFFECTIVE.contains(&&*module)
        || EFFECTIVE_BEGINNINGS.iter().any(|beginning| module.starts_with(beginning))
    {
        return false;
    }
    directory.ends_with(LIBRARIES)
        || MODULES.contains(&&*module)
        || DIRECTORIES.iter().any(|it| is_below(it))
}
