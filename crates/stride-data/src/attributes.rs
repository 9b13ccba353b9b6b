//! The forty attributes that CelebA annotates.

/// Their names, in the order of CelebA's `list_attr_celeba.txt`, as that file spells them.
///
/// Source: Liu et al. 2015, "Deep Learning Face Attributes in the Wild" (CelebA).
pub const CELEBA_ATTRIBUTES: [&str; 40] = [
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
];

/// Which of [`CELEBA_ATTRIBUTES`] a face has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CelebaAttributes(u64);

impl CelebaAttributes {
    /// A face without any.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the face has the attribute of this name; false for names that are not in the list.
    pub fn has(self, name: &str) -> bool {
        position(name).is_some_and(|index| self.0 & (1 << index) != 0)
    }

    /// The same face with the attribute present or absent; `None` if the list has no such name.
    #[must_use]
    pub fn with(self, name: &str, is_present: bool) -> Option<Self> {
        let bit = 1 << position(name)?;
        Some(Self(if is_present { self.0 | bit } else { self.0 & !bit }))
    }

    /// The names of the attributes it has, in the order of the list.
    pub fn present(self) -> impl Iterator<Item = &'static str> {
        CELEBA_ATTRIBUTES
            .into_iter()
            .enumerate()
            .filter(move |(index, _)| self.0 & (1 << index) != 0)
            .map(|(_, name)| name)
    }
}

fn position(name: &str) -> Option<usize> {
    CELEBA_ATTRIBUTES.iter().position(|&known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_has_what_it_was_given() {
        let face = CelebaAttributes::new().with("Young", true).expect("in the list");
        let face = face.with("Smiling", true).expect("in the list");
        assert_eq!(face.present().collect::<Vec<_>>(), ["Smiling", "Young"]);
        assert!(face.has("Young") && !face.has("Male") && !face.has("Handsome"));
        let older = face.with("Young", false).expect("in the list");
        assert_eq!(older.present().collect::<Vec<_>>(), ["Smiling"]);
        assert_eq!(face.with("Handsome", true), None);
    }
}
