//! Bytecode files (`.pyc`): their header and when they stand for their source.

mod header;

pub use header::{BytecodeError, HashCheck, HeaderKind, PycHeader, source_is_as_recorded};
