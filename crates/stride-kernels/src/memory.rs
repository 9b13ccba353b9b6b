//! How the process keeps its memory.

/// Makes the allocator keep freed memory for the next tensor instead of handing it back to the
/// system; call it once, at the start of the program.
///
/// A network allocates and frees the same tens of megabytes for every operation. By default
/// glibc maps each from the system and unmaps it again, and the page faults cost as much as the
/// arithmetic: a training step of a 12M-parameter transformer on two cores ran 1.7 times
/// slower (docs/log.md, 2026-11-23). The process then holds its peak until it ends.
///
/// Does nothing on systems whose C library is not glibc.
pub fn keep_freed_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: `mallopt` only stores these documented parameters; it takes no pointers.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
        // Grow in steps of 64 MiB, so that growth does not fault page by page through `brk`.
        libc::mallopt(libc::M_TOP_PAD, 64 << 20);
        // Arenas of other threads cannot hold blocks of this size.
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
