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
//! Time stamps have no part in it: they say when a file was written, not what is in it. Hashing the
//! source costs less than a tenth of what unmarshalling its code object does.

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
