//! Bytecode: `.pyc` files and when they stand for their source, and the store of code objects that
//! were compiled because a module came without any for the running Python.
//!
//! What the store holds is found by the content of the source: see [`Target`] for the key, and
//! `record.rs` and `pack.rs` for the format.
//!
//! | question | answer |
//! | --- | --- |
//! | Two processes compile the same source | each keeps what it made; one of both goes when they end |
//! | Two versions of Python, or `-O` | keys differ, and so do directories |
//! | Two paths with the same source | one entry; the code object gets the path that it is loaded from |
//! | One edited byte | another key, whatever time stamps say |
//! | Touched, copied, unpacked again | the same key |
//!
//! Time stamps have no part in it: they say when a file was written, not what is in it. Hashing 8 KiB
//! of source takes 1.7 µs, and so does checking 8 KiB of code; unmarshalling that takes 10 to 18 µs.
//!
//! The layout was chosen by measurement, with code objects of 8 KiB on average (the same check in all;
//! `benches/README.md` says how):
//!
//! | modules | | a file each | growing pack | sealed packs (this) |
//! | --: | --- | --: | --: | --: |
//! | 1,000 | populate, tmpfs; ext4 | 130 ms; 4.5 s | 55 ms; 52 ms | 60 ms; 50 ms |
//! | | open, look 300 up | 2.3 ms | 1.7 ms | 1.7 ms |
//! | | file-system calls of that | 1,298 | 4 | 19 |
//! | 10,000 | populate, tmpfs; ext4 | 1.55 s; 27 s | 0.56 s; 0.58 s | 0.52 s; 0.44 s |
//! | | open, look 300 up | 2.3 ms | 13 ms | 2.8 ms |
//! | | file-system calls of that | 1,333 | 7 | 19 |
//!
//! Files are slow to make and cost four calls each at every start. One growing pack is scanned when it
//! is opened, and whoever appends to it waits for others. What threads share is a list of packs behind
//! a `RwLock`, by reference count; a `DashMap` of all keys answers in a third of the time, which saves
//! less than 3 % of a hit, and would have to be filled when the store is opened.

mod header;
mod housekeeping;
mod inventory;
mod key;
mod limit;
mod marshal;
mod pack;
mod pack_writer;
mod process;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use header::{BytecodeError, HashCheck, HeaderKind, PycHeader, source_is_as_recorded};
pub use inventory::{
    CachedCode, DamagedPack, StoreUsage, bytecode_directory, cached_code, clear_store,
    marshalled_code, prune_store, store_usage, verify_store,
};
pub use key::{Key, Target};
pub use limit::{DEFAULT_LIMIT, limit_from_environment};
pub use marshal::{CodeShape, normalize};
pub use process::{disable_process_store, process_store};
pub use store::BytecodeStore;
