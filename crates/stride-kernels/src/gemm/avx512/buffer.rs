//! Memory for packed matrices.

/// 16 units of 32 bits, a vector of AVX-512.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u32; 16]);

/// Units of 32 bits, each an f32 or a pair of bfloat16; begins at a multiple of 64 bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Buffer {
    lines: Vec<Line>,
}

impl Buffer {
    /// An empty buffer.
    pub(super) const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// The first of at least `units` units. What they hold is what was left there.
    pub(super) fn reserve(&mut self, units: usize) -> *mut u32 {
        let lines = units.div_ceil(16);
        if self.lines.len() < lines {
            self.lines.resize(lines, Line([0; 16]));
        }
        self.lines.as_mut_ptr().cast()
    }

    /// The first unit.
    pub(super) fn as_ptr(&self) -> *const u32 {
        self.lines.as_ptr().cast()
    }
}
