//! The store of this process, and its completion when the process ends.

use std::sync::{Once, OnceLock};

use tracing::level_filters::LevelFilter;

use super::store::BytecodeStore;

static STORE: OnceLock<Option<BytecodeStore>> = OnceLock::new();

/// The store of this process: the one that `open` gives when it is first asked for. It is finished
/// when the process exits in the usual way; after any other end, what was written is used as it is.
pub fn process_store(
    open: impl FnOnce() -> Option<BytecodeStore>,
) -> Option<&'static BytecodeStore> {
    static AT_EXIT: Once = Once::new();
    let store = STORE.get_or_init(open).as_ref()?;
    AT_EXIT.call_once(|| {
        // SAFETY: the function is `extern "C"`, takes nothing, and does not unwind; a library with it
        // is never unloaded, as CPython does not unload extension modules.
        unsafe { libc::atexit(finish) };
    });
    Some(store)
}

/// Does without a store in this process, if none was asked for yet.
pub fn disable_process_store() {
    let _ = STORE.set(None);
}

extern "C" fn finish() {
    // A panic must not cross into C; what was written so far is used as it is then.
    let _ = std::panic::catch_unwind(|| {
        let Some(Some(store)) = STORE.get() else { return };
        if LevelFilter::current() == LevelFilter::OFF {
            store.finish();
            return;
        }
        // What a log needs of this thread's own is gone when the process exits; another thread has it.
        let thread = std::thread::Builder::new().spawn(|| store.finish());
        let _ = thread.map(std::thread::JoinHandle::join);
    });
}
