//! Sheets of all images of a run, with labels.

use image::RgbImage as Pixels;
use stride::image::RgbImage;
use stride::pipeline::GenerateRequest;
use stride_data::{ContactSheet, image_table};

use super::plan::Planned;
use crate::usage::usage;

/// The most pixels of a sheet, without gaps; at the end it is in memory three times, with 3 bytes a pixel.
const MAX_SHEET_PIXELS: usize = 100_000_000;

/// A sheet has to fit into memory; `remedy` says how it becomes smaller.
pub(super) fn check_size(
    flag: &str,
    columns: usize,
    rows: usize,
    resolution: usize,
    remedy: &str,
) -> anyhow::Result<()> {
    let pixels = columns.saturating_mul(rows).saturating_mul(resolution.saturating_pow(2));
    if pixels > MAX_SHEET_PIXELS {
        return usage(format!(
            "{flag}: {columns} times {rows} images are {} million pixels, expected at most {}; {remedy}",
            pixels.div_ceil(1_000_000),
            MAX_SHEET_PIXELS / 1_000_000
        ));
    }
    Ok(())
}

/// Where the images stand on a sheet.
pub(super) struct Grid {
    columns: Vec<String>,
    rows: Vec<String>,
    /// Row and column of every image.
    cells: Vec<[usize; 2]>,
    /// A caption of every image, where only one thing differs.
    captions: Option<Vec<String>>,
}

impl Grid {
    /// Of what differs between the images - prompts, steps, guidance scales, seeds, in this order - the last makes the
    /// columns, and the others the rows. If it is one thing alone, the images stand in any number of rows, each with its
    /// caption.
    pub(super) fn new(plan: &[Planned], requests: &[GenerateRequest]) -> Self {
        let labels: Vec<[(usize, String); 4]> =
            plan.iter().zip(requests).map(|(image, request)| labels(image, request)).collect();
        let differs = |axis: usize| labels.iter().any(|own| own[axis] != labels[0][axis]);
        let axes: Vec<usize> = (0..4).filter(|&axis| differs(axis)).collect();
        let Some((&column, rows)) = axes.split_last().filter(|(_, rows)| !rows.is_empty()) else {
            let axis = axes.first().copied().unwrap_or(0);
            let caption = |(image, own): (&Planned, &[(usize, String); 4])| {
                let is_chosen = image.prompt != image.template;
                if is_chosen { image.prompt.clone() } else { own[axis].1.clone() }
            };
            let captions = plan.iter().zip(&labels).map(caption).collect();
            return Self { columns: vec![], rows: vec![], cells: vec![], captions: Some(captions) };
        };
        let (mut column_keys, mut row_keys) = (Vec::new(), Vec::new());
        let cells = labels
            .iter()
            .map(|own| {
                let row: Vec<_> = rows.iter().map(|&axis| &own[axis]).collect();
                [place(&mut row_keys, row), place(&mut column_keys, &own[column])]
            })
            .collect();
        let join = |row: &Vec<&(usize, String)>| {
            row.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(", ")
        };
        Self {
            columns: column_keys.iter().map(|(_, label)| label.clone()).collect(),
            rows: row_keys.iter().map(join).collect(),
            cells,
            captions: None,
        }
    }

    /// Columns and rows, of which a sheet with captions has one.
    pub(super) fn size(&self) -> [usize; 2] {
        match &self.captions {
            Some(captions) => [captions.len(), 1],
            None => [self.columns.len(), self.rows.len()],
        }
    }

    /// The sheet of these images, in the order of the plan.
    pub(super) fn draw(&self, images: Vec<RgbImage>) -> RgbImage {
        let images = images.into_iter().map(pixels);
        if let Some(captions) = &self.captions {
            let mut sheet = ContactSheet::new(captions.len());
            for (image, caption) in images.zip(captions) {
                sheet.add(&image, caption);
            }
            return plain(sheet.to_image());
        }
        let mut table = vec![vec![None; self.columns.len()]; self.rows.len()];
        for (image, &[row, column]) in images.zip(&self.cells) {
            table[row][column] = Some(image);
        }
        plain(image_table(&self.columns, &self.rows, &table))
    }
}

/// What is told of an image on a sheet; the number tells equal texts apart.
fn labels(image: &Planned, request: &GenerateRequest) -> [(usize, String); 4] {
    let steps = if request.num_steps == 1 { "step" } else { "steps" };
    [
        (image.entry, image.template.clone()),
        (0, format!("{} {steps}", request.num_steps)),
        (0, format!("guidance {}", request.cfg_scale)),
        (0, format!("seed {}", request.seed)),
    ]
}

/// Where a key stands among those that were met, at the end if it is new.
fn place<T: PartialEq>(keys: &mut Vec<T>, key: T) -> usize {
    keys.iter().position(|other| *other == key).unwrap_or_else(|| {
        keys.push(key);
        keys.len() - 1
    })
}

fn pixels(image: RgbImage) -> Pixels {
    let (width, height) = (image.width as u32, image.height as u32);
    Pixels::from_raw(width, height, image.pixels).expect("as many bytes as its sides say")
}

fn plain(image: Pixels) -> RgbImage {
    let (width, height) = (image.width() as usize, image.height() as usize);
    RgbImage { width, height, pixels: image.into_raw() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(images: &[(usize, usize, f64, u64)]) -> Grid {
        let plan = images.iter().map(|&(entry, steps, scale, seed)| Planned {
            entry,
            index_in_entry: 0,
            template: format!("prompt {entry}"),
            prompt: format!("prompt {entry}"),
            negative_prompt: None,
            as_typed: false,
            steps: Some(steps),
            cfg_scale: Some(scale),
            seed,
            output: None,
        });
        let requests = images.iter().map(|&(entry, num_steps, cfg_scale, seed)| GenerateRequest {
            prompt: format!("prompt {entry}"),
            negative_prompt: None,
            num_steps,
            cfg_scale,
            seed,
            count: 1,
            as_typed: false,
        });
        Grid::new(&plan.collect::<Vec<_>>(), &requests.collect::<Vec<_>>())
    }

    #[test]
    fn the_last_difference_makes_the_columns() {
        let found = grid(&[(0, 1, 1.0, 5), (0, 1, 1.0, 6), (1, 1, 1.0, 5), (1, 1, 1.0, 6)]);
        assert_eq!(found.columns, ["seed 5", "seed 6"]);
        assert_eq!(found.rows, ["prompt 0", "prompt 1"]);
        assert_eq!(found.cells, [[0, 0], [0, 1], [1, 0], [1, 1]]);
        let found = grid(&[(0, 1, 1.0, 5), (0, 1, 1.5, 5), (0, 4, 1.5, 5)]);
        assert_eq!(found.columns, ["guidance 1", "guidance 1.5"]);
        assert_eq!(found.rows, ["1 step", "4 steps"]);
        assert_eq!(found.cells, [[0, 0], [0, 1], [1, 1]]);
        let found = grid(&[(0, 1, 1.0, 5), (1, 2, 1.0, 6)]);
        assert_eq!(found.rows, ["prompt 0, 1 step", "prompt 1, 2 steps"]);
        let found = grid(&[(0, 1, 1.0, 5), (1, 1, 1.0, 5)]);
        assert_eq!(found.captions.expect("one difference"), ["prompt 0", "prompt 1"]);
    }

    #[test]
    fn a_sheet_that_fits_no_memory_is_refused() {
        check_size("--strip", 128, 11, 256, "less").expect("fits");
        let error = check_size("--strip", 128, 1000, 256, "less").expect_err("72 GB").to_string();
        assert!(error.contains("8389 million pixels, expected at most 100; less"), "{error}");
        check_size("--strip", usize::MAX, 2, usize::MAX, "less").expect_err("too large");
    }
}
