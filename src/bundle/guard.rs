//! Reading mapped files that somebody may cut off at any moment.
//!
//! A page of a map that its file no longer reaches raises SIGBUS when it is touched, which ends a
//! process. While a thread [reads][`read_guarded`] bytes of a map, a handler of ours counts the loss
//! and puts a page of zeros where one is missing, so that the reader goes on to the end of what it
//! does with meaningless bytes and then throws its result away, as every other reader of that map does
//! whose read the loss fell into.
//!
//! The handler is installed only while some thread reads, so a program that looks sees its own, and a
//! handler that it has installed before (or `faulthandler`'s) gets every signal that is not about a
//! map that is being read. A fork takes the lock of this module along in a released state.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A read that is under way, on the stack of its thread.
struct Reading {
    start: usize,
    end: usize,
    /// Counts the map's missing pages.
    losses: *const AtomicUsize,
    /// The read around this one: code objects that are made run finalizers, which import.
    outer: *const Self,
}

thread_local! {
    /// The innermost read of this thread. Without a destructor, so the handler may look at it.
    static READING: Cell<*const Reading> = const { Cell::new(ptr::null()) };
}

/// Runs `read` on the bytes of a map whose missing pages `losses` counts. Where the count has changed
/// meanwhile, what `read` has seen need not be what the file held.
pub(super) fn read_guarded<T>(
    bytes: &[u8],
    losses: &AtomicUsize,
    read: impl FnOnce(&[u8]) -> T,
) -> T {
    let start = bytes.as_ptr() as usize;
    let reading = Reading { start, end: start + bytes.len(), losses, outer: READING.get() };
    let _entered = Entered::new(&reading);
    read(bytes)
}

/// Keeps the handler installed, and the read known to it.
struct Entered {
    outer: *const Reading,
}

impl Entered {
    fn new(reading: &Reading) -> Self {
        HANDLER.enter();
        READING.set(reading);
        Self { outer: reading.outer }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        READING.set(self.outer);
        HANDLER.leave();
    }
}

/// The handler of the process and the one that was there before.
struct Handler {
    locked: AtomicBool,
    /// How many reads are under way, in all threads.
    reads: AtomicUsize,
    page_size: AtomicUsize,
    previous: UnsafeCell<MaybeUninit<libc::sigaction>>,
    prepared: Once,
}

// SAFETY: `previous` is written only while `locked` is held and no handler of ours is installed, and
// read by the handler, or while `locked` is held.
unsafe impl Sync for Handler {}

static HANDLER: Handler = Handler {
    locked: AtomicBool::new(false),
    reads: AtomicUsize::new(0),
    page_size: AtomicUsize::new(0),
    previous: UnsafeCell::new(MaybeUninit::uninit()),
    prepared: Once::new(),
};

impl Handler {
    fn enter(&self) {
        self.prepared.call_once(|| self.prepare());
        self.lock();
        if self.reads.fetch_add(1, Ordering::Relaxed) == 0 {
            self.install();
        }
        self.unlock();
    }

    fn leave(&self) {
        self.lock();
        if self.reads.load(Ordering::Relaxed) == 1 {
            self.uninstall();
        }
        self.reads.fetch_sub(1, Ordering::SeqCst);
        self.unlock();
    }

    /// Spins: the lock is held for two system calls at most, and by no thread that forks.
    fn lock(&self) {
        while self.locked.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
    }

    fn unlock(&self) {
        self.locked.store(false, Ordering::Release);
    }

    fn prepare(&self) {
        // SAFETY: both calls only look at their arguments; the functions live as long as the process
        // (a library with Python's classes in it is never unloaded).
        unsafe {
            let page_size = libc::sysconf(libc::_SC_PAGESIZE);
            self.page_size.store(usize::try_from(page_size).unwrap_or(4096), Ordering::Relaxed);
            libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork_in_child));
        }
    }

    fn install(&self) {
        // SAFETY: a handler with three arguments is what SA_SIGINFO asks for; the lock is held.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            let mut found = MaybeUninit::<libc::sigaction>::uninit();
            action.sa_sigaction = handler_address();
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            // Ours is there already if somebody has put back what was there during a read.
            if libc::sigaction(libc::SIGBUS, &raw const action, found.as_mut_ptr()) == 0
                && found.assume_init_ref().sa_sigaction != handler_address()
            {
                (*self.previous.get()).write(found.assume_init());
            }
        }
    }

    /// Puts the previous handler back, unless the program has installed another one meanwhile.
    fn uninstall(&self) {
        // SAFETY: `previous` was filled in by `install`; the lock is held.
        unsafe {
            let mut current = MaybeUninit::<libc::sigaction>::uninit();
            let previous = (*self.previous.get()).as_ptr();
            if libc::sigaction(libc::SIGBUS, previous, current.as_mut_ptr()) == 0
                && current.assume_init_ref().sa_sigaction != handler_address()
            {
                libc::sigaction(libc::SIGBUS, current.as_ptr(), ptr::null_mut());
            }
        }
    }
}

/// The handler as `sigaction` takes it.
fn handler_address() -> libc::sighandler_t {
    on_bus_error as extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) as usize
}

extern "C" fn before_fork() {
    HANDLER.lock();
}

extern "C" fn after_fork() {
    HANDLER.unlock();
}

/// The reads of other threads are not the child's.
extern "C" fn after_fork_in_child() {
    let mut reads = 0;
    let mut reading = READING.get();
    // SAFETY: these are reads of this thread, which are on its stack.
    while let Some(current) = unsafe { reading.as_ref() } {
        reads += 1;
        reading = current.outer;
    }
    if HANDLER.reads.swap(reads, Ordering::Relaxed) > 0 && reads == 0 {
        HANDLER.uninstall();
    }
    HANDLER.unlock();
}

/// Puts zeros where a page of a map that this thread reads is missing. Only calls that are safe in a
/// signal handler.
extern "C" fn on_bus_error(signal: c_int, information: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel's information is valid during the handler; the reads are on the stack of
    // this thread, which waits for the handler; a page within one of them is part of a private,
    // read-only map that nothing else is told the contents of.
    unsafe {
        // A positive code is the kernel's: the signal was not sent by a program. Only this thread
        // can have caused it then, so it is one that has its thread-local variables.
        let is_fault = (*information).si_code > 0;
        let address = (*information).si_addr() as usize;
        let mut reading = if is_fault { READING.get() } else { ptr::null() };
        while let Some(current) = reading.as_ref() {
            if (current.start..current.end).contains(&address) {
                let page_size = HANDLER.page_size.load(Ordering::Relaxed);
                let page = (address & !(page_size - 1)) as *mut c_void;
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
                let errno = *libc::__errno_location();
                // Before the page is there: who reads zeros from it finds the loss counted.
                (*current.losses).fetch_add(1, Ordering::SeqCst);
                let mapped = libc::mmap(page, page_size, libc::PROT_READ, flags, -1, 0);
                *libc::__errno_location() = errno;
                if mapped == page {
                    return;
                }
            }
            reading = current.outer;
        }
        pass_on(signal, information, context);
    }
}

/// Does what would have been done without us. Where nobody reads, a handler that was installed during
/// a read has put ours back, as the one before it, and is done: the signal ends the process.
unsafe fn pass_on(signal: c_int, information: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the previous action was filled in before our handler was installed, and its function
    // takes the arguments that its flags say.
    unsafe {
        let previous = (*HANDLER.previous.get()).assume_init_ref();
        let is_passed_back = HANDLER.reads.load(Ordering::SeqCst) == 0;
        match if is_passed_back { libc::SIG_DFL } else { previous.sa_sigaction } {
            libc::SIG_IGN if (*information).si_code <= 0 => {}
            libc::SIG_DFL | libc::SIG_IGN => {
                let mut default: libc::sigaction = std::mem::zeroed();
                default.sa_sigaction = libc::SIG_DFL;
                libc::sigaction(signal, &raw const default, ptr::null_mut());
                // Delivered when the handler returns.
                libc::raise(signal);
            }
            function if previous.sa_flags & libc::SA_SIGINFO != 0 => {
                let function: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                    std::mem::transmute(function);
                function(signal, information, context);
            }
            function => {
                let function: extern "C" fn(c_int) = std::mem::transmute(function);
                function(signal);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    /// A mapped file of eight pages of ones.
    fn mapped() -> (File, memmap2::Mmap, usize) {
        // SAFETY: asks for a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![1; 8 * page]).unwrap();
        // SAFETY: what the test is about.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        (file, map, page)
    }

    fn current_handler() -> libc::sighandler_t {
        let mut current = MaybeUninit::<libc::sigaction>::uninit();
        // SAFETY: only asks for the handler.
        unsafe {
            libc::sigaction(libc::SIGBUS, ptr::null(), current.as_mut_ptr());
            current.assume_init().sa_sigaction
        }
    }

    /// Reads, and says how many pages were missing.
    fn read<T>(bytes: &[u8], read: impl FnOnce(&[u8]) -> T) -> (T, usize) {
        let losses = AtomicUsize::new(0);
        let outcome = read_guarded(bytes, &losses, read);
        (outcome, losses.into_inner())
    }

    #[test]
    fn missing_pages_are_zeros_and_counted() {
        let (file, map, page) = mapped();
        let sum = |bytes: &[u8]| bytes.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        assert_eq!(read(&map, sum), (8 * page, 0));
        file.set_len(2 * page as u64).unwrap();
        assert_eq!(read(&map[..2 * page], sum), (2 * page, 0));
        assert_eq!(read(&map, sum), (2 * page, 6));
        // They stay zeros.
        assert_eq!(read(&map, sum), (2 * page, 0));
    }

    #[test]
    fn reads_within_reads_are_kept_apart() {
        let (inner_file, inner, page) = mapped();
        let (_outer_file, outer, _) = mapped();
        inner_file.set_len(0).unwrap();
        let (inside, lost) = read(&outer, |outer| {
            let (_, lost) = read(&inner, |bytes| bytes[page]);
            (lost, outer[page])
        });
        assert_eq!((inside, lost), ((1, 1), 0));
    }

    #[test]
    fn threads_read_at_once_and_leave_nothing() {
        let (file, map, page) = mapped();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        read(&map, |bytes| assert!(bytes[7 * page] <= 1));
                    }
                });
            }
            file.set_len(0).unwrap();
        });
        // Other tests of this process may be reading at this moment, but not for long.
        while HANDLER.reads.load(Ordering::Relaxed) > 0 {
            std::thread::yield_now();
        }
        HANDLER.lock();
        let handler = (HANDLER.reads.load(Ordering::Relaxed) == 0).then(current_handler);
        HANDLER.unlock();
        assert_ne!(handler, Some(handler_address()));
    }
}
