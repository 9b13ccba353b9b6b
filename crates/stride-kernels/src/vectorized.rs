//! Compiling one loop for several vector widths and choosing at run time.

/// Defines a function whose body is compiled for AVX-512, for AVX2 with FMA and for the target's
/// baseline; a call runs the widest that [`Isa::detect`](crate::isa::Isa::detect) allows.
///
/// The body is ordinary Rust; the compiler turns its loops into vector instructions. It must not
/// call functions that are not `#[inline(always)]`, since those would be compiled for the baseline.
macro_rules! vectorized {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    )*) => {$(
        $(#[$attribute])*
        #[allow(clippy::too_many_arguments, reason = "a kernel's slices and sizes")]
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            #[allow(clippy::too_many_arguments, reason = "a kernel's slices and sizes")]
            fn body($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                use $crate::isa::Isa;
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,fma")]
                #[allow(clippy::too_many_arguments, reason = "a kernel's slices and sizes")]
                fn avx512($($argument: $type),*) $(-> $result)? { body($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                #[allow(clippy::too_many_arguments, reason = "a kernel's slices and sizes")]
                fn avx2($($argument: $type),*) $(-> $result)? { body($($argument),*) }
                match Isa::detect() {
                    // SAFETY: detection found these instruction sets on this processor.
                    Isa::Avx512 | Isa::Avx512Bf16 => return unsafe { avx512($($argument),*) },
                    // SAFETY: as above.
                    Isa::Avx2 => return unsafe { avx2($($argument),*) },
                    Isa::Portable => {}
                }
            }
            body($($argument),*)
        }
    )*};
}

pub(crate) use vectorized;
