//! Memory that loading has used and nobody needs any more, given back to the system.

/// The loader reads all type information of the running kernel, about 15 MiB, and what it keeps lies between that; so
/// the allocator keeps some MiB for good where it is not told.
#[cfg(target_env = "gnu")]
pub fn trim() {
    #[expect(unsafe_code, reason = "a call of the C library without a safe form")]
    // SAFETY: touches nothing but memory that the allocator knows to be free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call; musl's allocator gives back by itself.
#[cfg(not(target_env = "gnu"))]
pub fn trim() {}
