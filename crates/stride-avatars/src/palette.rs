//! The named colors that captions use, with the exact values that are painted.

use std::fmt;

use crate::named::named_values;

/// An sRGB color, 8 bits a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rgb(
    /// Red, green, blue in 0..=255.
    pub [u8; 3],
);

impl Rgb {
    const fn hex(value: u32) -> Self {
        Self([(value >> 16) as u8, (value >> 8) as u8, value as u8])
    }
}

impl fmt::Display for Rgb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [r, g, b] = self.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

named_values! {
    /// Color of a garment or of headwear.
    Color {
        /// `#22262b`
        Black = "black",
        /// `#f4f4f4`
        White = "white",
        /// `#868c93`
        Gray = "gray",
        /// `#d62828`
        Red = "red",
        /// `#f58220`
        Orange = "orange",
        /// `#f6c928`
        Yellow = "yellow",
        /// `#2f9e44`
        Green = "green",
        /// `#2f6fde`
        Blue = "blue",
        /// `#7b3fb5`
        Purple = "purple",
        /// `#f06fa8`
        Pink = "pink",
    }
}

impl Color {
    /// The painted value.
    pub const fn rgb(self) -> Rgb {
        Rgb::hex(match self {
            Self::Black => 0x22262b,
            Self::White => 0xf4f4f4,
            Self::Gray => 0x868c93,
            Self::Red => 0xd62828,
            Self::Orange => 0xf58220,
            Self::Yellow => 0xf6c928,
            Self::Green => 0x2f9e44,
            Self::Blue => 0x2f6fde,
            Self::Purple => 0x7b3fb5,
            Self::Pink => 0xf06fa8,
        })
    }
}

named_values! {
    /// Color of the background: pale, so that every figure stands out.
    Background {
        /// `#ffffff`
        White = "white",
        /// `#ccd1d7`
        Gray = "gray",
        /// `#fff0a0`
        Yellow = "yellow",
        /// `#c2ecae`
        Green = "green",
        /// `#aedcf7`
        Blue = "blue",
        /// `#cbb5f0`
        Purple = "purple",
        /// `#ffc6d9`
        Pink = "pink",
    }
}

impl Background {
    /// The painted value.
    pub const fn rgb(self) -> Rgb {
        Rgb::hex(match self {
            Self::White => 0xffffff,
            Self::Gray => 0xccd1d7,
            Self::Yellow => 0xfff0a0,
            Self::Green => 0xc2ecae,
            Self::Blue => 0xaedcf7,
            Self::Purple => 0xcbb5f0,
            Self::Pink => 0xffc6d9,
        })
    }
}

named_values! {
    /// Color of hair, beard and eyebrows.
    HairColor {
        /// `#1f1b1c`
        Black = "black",
        /// `#6b3e26`
        Brown = "brown",
        /// `#cc3a0a`
        Red = "red",
        /// `#e4bf6c`
        Blond = "blond",
        /// `#a3a6ab`
        Gray = "gray",
        /// `#f285b1`
        Pink = "pink",
    }
}

impl HairColor {
    /// The painted value.
    pub const fn rgb(self) -> Rgb {
        Rgb::hex(match self {
            Self::Black => 0x1f1b1c,
            Self::Brown => 0x6b3e26,
            Self::Red => 0xcc3a0a,
            Self::Blond => 0xe4bf6c,
            Self::Gray => 0xa3a6ab,
            Self::Pink => 0xf285b1,
        })
    }
}

named_values! {
    /// Skin tone.
    Skin {
        /// `#f8d3ae`
        Light = "light",
        /// `#d99a68`
        Tan = "tan",
        /// `#a4663c`
        Brown = "brown",
        /// `#613b2b`
        Dark = "dark",
    }
}

impl Skin {
    /// The painted value.
    pub const fn rgb(self) -> Rgb {
        Rgb::hex(match self {
            Self::Light => 0xf8d3ae,
            Self::Tan => 0xd99a68,
            Self::Brown => 0xa4663c,
            Self::Dark => 0x613b2b,
        })
    }
}
