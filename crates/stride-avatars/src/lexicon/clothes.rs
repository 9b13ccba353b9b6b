//! Phrases for garments and headwear.

use super::Words;
use crate::attributes::{Garment, Headwear};

pub(crate) const GARMENTS: &Words<Garment> = &[
    (
        Garment::TShirt,
        &[
            "a _ t-shirt",
            "a _ tshirt",
            "a _ t shirt",
            "a _ tee",
            "a _ tee shirt",
            "a _ shirt",
            "a _ top",
            "a plain _ t-shirt",
        ],
    ),
    (
        Garment::Jacket,
        &[
            "a _ jacket",
            "a _ blazer",
            "a _ suit",
            "a _ suit jacket",
            "a _ coat",
            "an open _ jacket",
            "a _ sports jacket",
        ],
    ),
    (
        Garment::CollaredShirt,
        &[
            "a _ collared shirt",
            "a _ shirt",
            "a _ sweater",
            "a _ jumper",
            "a _ polo shirt",
            "a _ pullover",
            "a _ shirt with a collar",
            "a _ sweater with a collar",
            "a _ collar shirt",
        ],
    ),
    (
        Garment::Hoodie,
        &[
            "a _ hoodie",
            "a _ hoody",
            "a _ hooded sweatshirt",
            "a _ hooded sweater",
            "a _ sweatshirt",
            "a comfy _ hoodie",
        ],
    ),
    (
        Garment::VNeck,
        &[
            "a _ v-neck",
            "a _ v-neck shirt",
            "a _ v neck",
            "a _ v-neck t-shirt",
            "a _ v-neck top",
            "a _ shirt",
            "a _ top",
            "a _ vneck",
        ],
    ),
    (
        Garment::Overalls,
        &[
            "_ overalls",
            "_ dungarees",
            "_ bib overalls",
            "_ dungaree overalls",
            "a pair of _ overalls",
        ],
    ),
    (
        Garment::Turtleneck,
        &[
            "a _ turtleneck",
            "a _ turtle neck",
            "a _ turtleneck sweater",
            "a _ roll neck",
            "a _ rollneck sweater",
            "a _ sweater",
            "a _ jumper",
            "a _ high-neck sweater",
        ],
    ),
    (
        Garment::Dress,
        &[
            "a _ dress",
            "a _ sundress",
            "a sleeveless _ dress",
            "a _ gown",
            "a _ summer dress",
            "a pretty _ dress",
        ],
    ),
];

/// Phrases that tell the color of the garment only, as something that is worn.
pub(crate) const COLOR_ALONE: &[&str] = &["_ clothes", "a _ outfit", "_ clothing"];

/// The same, as what somebody is.
pub(crate) const DRESSED: &[&str] = &["in _", "dressed in _", "all in _"];

pub(crate) const HEADWEAR: &Words<Headwear> = &[
    (
        Headwear::WideHat,
        &[
            "a _ wide-brimmed hat",
            "a wide-brimmed _ hat",
            "a _ wide brimmed hat",
            "a _ hat",
            "a _ fedora",
            "a _ sun hat",
            "a _ cowboy hat",
            "a big _ hat",
            "a wide _ hat",
        ],
    ),
    (
        Headwear::Beanie,
        &[
            "a _ beanie",
            "a _ knit hat",
            "a _ knitted hat",
            "a _ wool hat",
            "a _ woolly hat",
            "a _ knit cap",
            "a _ hat",
            "a _ beanie hat",
            "a _ cap",
        ],
    ),
    (Headwear::Turban, &["a _ turban", "a big _ turban", "a _ head wrap"]),
    (
        Headwear::Hijab,
        &["a _ hijab", "a _ headscarf", "a _ head scarf", "a _ hijab scarf", "a _ veil"],
    ),
    (
        Headwear::FlowerCrown,
        &[
            "a flower crown",
            "flowers in the hair",
            "a crown of flowers",
            "a floral crown",
            "a wreath of flowers",
            "a flower wreath",
            "flowers on the head",
            "a flower headband",
        ],
    ),
    (
        Headwear::WinterHat,
        &[
            "a _ winter hat",
            "a _ hat with earflaps",
            "a _ trapper hat",
            "a warm _ hat",
            "a _ hat",
            "a _ hat with ear flaps",
            "a _ cap",
            "a _ winter cap",
        ],
    ),
    (
        Headwear::CatHat,
        &[
            "a _ cat-ear hat",
            "a _ hat with cat ears",
            "a _ cat hat",
            "a _ kitty hat",
            "a _ cat ear hat",
            "a _ cat beanie",
            "a _ hat with ears",
        ],
    ),
];

pub(crate) const NO_HAT: &[&str] = &["no hat", "without a hat", "no headwear", "no cap"];
