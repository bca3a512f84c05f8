//! Memory for Python's small objects in large pages.
//!
//! CPython asks the operating system for arenas of a megabyte, and touches them 4 KiB at a time. Each first
//! touch is a fault, and a start has thousands. The arenas of a start come from one range of addresses here,
//! for which the kernel may give out 2 MiB at once; the program's later ones come from where they always do.
//! Memory that is not touched takes none. Where the kernel has no such pages, nothing changes.

use std::env;
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;

/// What the kernel gives out at once, in bytes.
const LARGE_PAGE: usize = 2 << 20;
/// What CPython asks for at a time, in bytes; what is smaller is no arena, and comes and goes.
const ARENA: usize = 1 << 20;
/// How many addresses are reserved, in bytes: more than large applications need for their start.
const RESERVED: usize = 32 << 20;
/// The variable that leaves memory to CPython, and its value.
const ORDINARY: (&str, &str) = ("MMPORT_MEMORY", "ordinary");

/// What CPython does for an arena.
struct Former(ffi::PyObjectArenaAllocator);

// SAFETY: these are functions, and a context that CPython hands to them from any thread.
unsafe impl Send for Former {}
// SAFETY: as above.
unsafe impl Sync for Former {}

static FORMER: OnceLock<Former> = OnceLock::new();
/// Where the next arena begins, and where the range ends.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static END: AtomicUsize = AtomicUsize::new(0);

/// Has CPython's arenas lie in large pages. To be called before Python is initialized.
pub(super) fn use_large_pages() {
    let (variable, value) = ORDINARY;
    if env::var_os(variable).is_some_and(|found| found == value) {
        return;
    }
    let Some(start) = reserve() else { return };
    let mut former = ffi::PyObjectArenaAllocator { ctx: ptr::null_mut(), alloc: None, free: None };
    // SAFETY: no interpreter runs yet; CPython copies what it is given, and fills in what it is asked for.
    unsafe { ffi::PyObject_GetArenaAllocator(&raw mut former) };
    if FORMER.set(Former(former)).is_err() {
        return;
    }
    END.store(start + RESERVED, Ordering::Relaxed);
    NEXT.store(start, Ordering::Relaxed);
    let mut ours = ffi::PyObjectArenaAllocator {
        ctx: ptr::null_mut(),
        alloc: Some(allocate),
        free: Some(release),
    };
    // SAFETY: as above; the functions live as long as the process.
    unsafe { ffi::PyObject_SetArenaAllocator(&raw mut ours) };
}

/// Reserves addresses, and asks the kernel for large pages when they are touched.
fn reserve() -> Option<usize> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a new range of addresses, which nobody else knows of; what is cut off of it is not used.
    unsafe {
        let length = RESERVED + LARGE_PAGE;
        let found = libc::mmap(ptr::null_mut(), length, protection, flags, -1, 0);
        if found == libc::MAP_FAILED {
            return None;
        }
        let start = (found as usize).next_multiple_of(LARGE_PAGE);
        let before = start - found as usize;
        if before > 0 {
            libc::munmap(found, before);
        }
        libc::munmap((start + RESERVED) as *mut c_void, LARGE_PAGE - before);
        #[cfg(target_os = "linux")]
        libc::madvise(start as *mut c_void, RESERVED, libc::MADV_HUGEPAGE);
        Some(start)
    }
}

extern "C" fn allocate(_: *mut c_void, size: usize) -> *mut c_void {
    let end = END.load(Ordering::Relaxed);
    let taken = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
        next.checked_add(size).filter(|after| size >= ARENA && *after <= end)
    });
    match (taken, FORMER.get()) {
        (Ok(start), _) => start as *mut c_void,
        (Err(_), Some(Former(former))) => {
            former.alloc.map_or(ptr::null_mut(), |allocate| allocate(former.ctx, size))
        }
        (Err(_), None) => ptr::null_mut(),
    }
}

/// Gives an arena back, from wherever it is: by `munmap`, as CPython does.
extern "C" fn release(_: *mut c_void, arena: *mut c_void, size: usize) {
    if let Some(Former(former)) = FORMER.get()
        && let Some(free) = former.free
    {
        free(former.ctx, arena, size);
    }
}
