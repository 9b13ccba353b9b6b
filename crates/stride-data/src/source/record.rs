//! What is known of an image before it is read, and the layouts of sets.

use std::collections::BTreeMap;
use std::fmt;

use crate::CelebaAttributes;

/// One image of a data set and what is known of it.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it lies within the set, unique, the same on every machine: `img/000001.jpg`,
    /// `train-0.tar/000012.jpg`, `part-0.parquet/17`.
    pub name: String,
    /// What the set's files say it shows, the caption for validation first; may be empty.
    pub captions: Vec<String>,
    /// CelebA's attributes, where the set has them.
    pub face: Option<CelebaAttributes>,
    /// The attributes that a listing names, such as `hair` = `bob`.
    pub attributes: BTreeMap<String, String>,
    pub(super) place: Place,
}

impl Record {
    /// An image of which nothing else is known.
    pub(super) fn new(name: String, captions: Vec<String>, place: Place) -> Self {
        Self { name, captions, face: None, attributes: BTreeMap::new(), place }
    }
}

/// Where the bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the tree, under the name of the record.
    Tree,
    Tar {
        archive: usize,
        offset: u64,
        size: u64,
    },
    Parquet {
        archive: usize,
        group: usize,
        row: u64,
    },
}

/// How a data set is laid out. A zip has the layout of the folder that it would unpack to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Images listed in `metadata.jsonl` or `metadata.csv`.
    Metadata,
    /// Images with a `.txt` beside each.
    TextFiles,
    /// Images alone.
    Images,
    /// Parquet files with a column of images.
    Parquet,
    /// Tars of WebDataset or img2dataset.
    WebDataset,
    /// CelebAMask-HQ: `CelebA-HQ-img/` and its table of attributes.
    CelebaMaskHq,
    /// MM-CelebA-HQ: images and a folder `text/` or `celeba-caption/`.
    MmCelebaHq,
    /// CelebA-Dialog: images and `captions.json`.
    CelebaDialog,
    /// CelebA: images and `list_attr_celeba.txt` or `.csv`.
    Celeba,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metadata => "images with metadata.jsonl or metadata.csv",
            Self::TextFiles => "images with text files beside them",
            Self::Images => "images without captions",
            Self::Parquet => "Parquet",
            Self::WebDataset => "WebDataset",
            Self::CelebaMaskHq => "CelebAMask-HQ",
            Self::MmCelebaHq => "MM-CelebA-HQ",
            Self::CelebaDialog => "CelebA-Dialog",
            Self::Celeba => "CelebA",
        })
    }
}
