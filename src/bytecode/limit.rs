//! How much the store may take.

use bytesize::ByteSize;

/// The limit where nothing else is asked for, in bytes.
pub const DEFAULT_LIMIT: u64 = 512 << 20;

/// The limit in bytes that `MMPORT_BYTECODE_SIZE` asks for, such as `512MiB`.
///
/// # Errors
/// What is in the variable, where that is no size.
pub fn limit_from_environment() -> Result<u64, String> {
    match std::env::var_os("MMPORT_BYTECODE_SIZE").filter(|value| !value.is_empty()) {
        None => Ok(DEFAULT_LIMIT),
        Some(value) => {
            let text = value.to_string_lossy().into_owned();
            text.parse::<ByteSize>().map(|size| size.as_u64()).map_err(|_| text)
        }
    }
}
