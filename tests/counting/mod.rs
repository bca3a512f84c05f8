//! An allocator that counts what each thread asks it for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, counting.
pub struct Counting;

/// What was asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allocated {
    /// How often, growing included.
    pub times: u64,
    /// How many bytes in all, whether given back or not.
    pub bytes: u64,
}

thread_local! {
    /// Without a destructor, so the allocator may use it at any time.
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { times: 0, bytes: 0 }) };
}

fn count(size: usize) {
    ALLOCATED.with(|allocated| {
        let Allocated { times, bytes } = allocated.get();
        allocated.set(Allocated { times: times + 1, bytes: bytes + size as u64 });
    });
}

// SAFETY: everything is the system's allocator's; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `call` returns, and what this thread allocated meanwhile.
pub fn counted<T>(call: impl FnOnce() -> T) -> (T, Allocated) {
    let before = ALLOCATED.get();
    let outcome = call();
    let after = ALLOCATED.get();
    let allocated =
        Allocated { times: after.times - before.times, bytes: after.bytes - before.bytes };
    (outcome, allocated)
}
