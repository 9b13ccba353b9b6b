//! `stride generate`: generates images from prompts. Here are its flags; `run.rs` is what it does.

mod alternatives;
mod draw;
mod plan;
mod prompts;
mod report;
mod run;
mod settings;
mod sheet;
mod targets;
mod warnings;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{ArgGroup, Args};
use stride::image::ImageFormat;

use self::settings::{Seed, SeedList, parse_cfg_scale, parse_seeds, parse_strength};
pub(crate) use self::settings::{parse_count, parse_steps};
use crate::compute::ComputeOptions;

/// Generate images from prompts
///
/// Writes each image as soon as it is drawn, and prints its name; a file of that name is overwritten. The same prompt,
/// seed, steps and model give the same file on processors with the same vector instructions (AVX2 and AVX-512 round
/// differently).
///
/// Where several prompts, step counts, guidance scales or seeds are given, all combinations are drawn; --grid shows them
/// on one sheet with labels.
///
/// In prompts, {red|blue} stands for one of its alternatives and __hair__ for a line of the file hair.txt; the seed of the
/// image decides which.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").args(["words", "prompts", "prompt_file", "from"]).multiple(true).required(true))]
pub(crate) struct Generate {
    /// What the images should show; several arguments are joined with spaces, and "" is the empty prompt
    #[arg(value_name = "PROMPT")]
    words: Vec<String>,
    /// A whole prompt; may be given several times, and each is drawn
    #[arg(short, long = "prompt", value_name = "TEXT", conflicts_with = "words")]
    prompts: Vec<String>,
    /// Read prompts from a file, one a line; - is stdin. A line may be a JSON object instead, with the fields prompt,
    /// negative_prompt, as_typed, steps, cfg_scale, seed, count and output, which count more than the options given here
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words", "prompts"])]
    prompt_file: Option<PathBuf>,
    /// Take prompt, negative prompt, steps, guidance scale and seed from an image that was generated; what is given here
    /// counts more
    #[arg(long, value_name = "IMAGE", conflicts_with = "prompt_file")]
    from: Option<PathBuf>,
    /// Folder with the files that __NAME__ in prompts stands for, NAME.txt with an alternative a line
    #[arg(long, value_name = "DIR", default_value = "wildcards")]
    wildcards: PathBuf,
    /// Negative prompt: what guidance steers away from, instead of the empty prompt
    #[arg(short, long, alias = "negative_prompt", value_name = "TEXT")]
    negative_prompt: Option<String>,
    /// Draw the prompt as it is; otherwise a model that can chooses what it leaves open, by the seed, and says so
    #[arg(long)]
    as_typed: bool,

    /// Sampling steps, any number from 1 to 128, or several, e.g. 1,4,32 [default: the model's]
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = parse_steps, help_heading = "Drawing")]
    steps: Vec<usize>,
    /// Guidance scale, or several; 1 disables guidance and halves the cost [default: the model's]
    #[arg(long, alias = "cfg_scale", value_name = "W", value_delimiter = ',', value_parser = parse_cfg_scale, help_heading = "Drawing")]
    cfg_scale: Vec<f64>,
    /// Seed of the noise; image k has seed S + k, and -1 is a random one [default: random, and printed]
    #[arg(short, long, value_name = "S", allow_negative_numbers = true, help_heading = "Drawing")]
    seed: Option<Seed>,
    /// Number of images of each prompt
    #[arg(long, alias = "batch-count", value_name = "N", default_value = "1", value_parser = parse_count, help_heading = "Drawing")]
    count: usize,
    /// Seeds instead of --seed and --count, e.g. 0-49 or 1,5,20-29
    #[arg(long, value_name = "SEEDS", value_parser = parse_seeds, conflicts_with_all = ["seed", "count"], help_heading = "Drawing")]
    seeds: Option<SeedList>,
    /// Images to draw in one pass, which is faster with small models; their pixels may be rounded differently than alone
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_batch, help_heading = "Drawing")]
    batch: usize,
    /// Begin with this image instead of noise alone; its central square is used
    #[arg(long, value_name = "IMAGE", requires = "strength", help_heading = "Drawing")]
    init_image: Option<PathBuf>,
    /// How much of --init-image is drawn anew, more than 0 (little) to 1 (all): this fraction of the steps is taken
    #[arg(long, value_name = "F", requires = "init_image", value_parser = parse_strength, help_heading = "Drawing")]
    strength: Option<f64>,
    /// Model folder [default: the model inside this program]
    #[arg(long, env = "STRIDE_MODEL", value_name = "DIR", help_heading = "Drawing")]
    model: Option<PathBuf>,

    /// File to write, PNG, JPEG or WebP by its ending; - writes one image to stdout. {seed}, {index}, {steps},
    /// {cfg_scale} and {prompt} stand for those of the image; without them, several images become FILE-0.png,
    /// FILE-1.png, ... [default: stride-{seed}.png]
    #[arg(short, long, value_name = "FILE", help_heading = "Files")]
    output: Option<PathBuf>,
    /// Format of the images where no ending tells it [default: png]
    #[arg(long, value_name = "FORMAT", value_parser = formats(), help_heading = "Files")]
    format: Option<ImageFormat>,
    /// Quality of JPEG files, 1 to 100; WebP files are lossless
    #[arg(long, value_name = "Q", default_value = "90", value_parser = clap::value_parser!(u8).range(1..=100), help_heading = "Files")]
    quality: u8,
    /// Refuse to overwrite files, instead of saying that it is done
    #[arg(long, help_heading = "Files")]
    no_clobber: bool,
    /// Do not store in the images how they were made
    #[arg(long, help_heading = "Files")]
    disable_image_metadata: bool,
    /// Print one JSON object instead of file names
    #[arg(long, help_heading = "Files")]
    json: bool,

    /// Write a sheet of all images with labels; the images themselves are written only if -o is given, too
    #[arg(long, value_name = "FILE", help_heading = "Sheets and animations")]
    grid: Option<PathBuf>,
    /// Also write a sheet of the intermediate steps, one row per image
    #[arg(long, value_name = "FILE", help_heading = "Sheets and animations")]
    strip: Option<PathBuf>,
    /// Show only these steps in the strip, e.g. 1,2,4
    #[arg(long, value_name = "STEPS", requires = "strip", value_delimiter = ',', value_parser = parse_steps, help_heading = "Sheets and animations")]
    strip_steps: Vec<usize>,
    /// Draw the way from each image to the next, of other seeds or prompts: an animation as WebP, a strip as PNG or JPEG.
    /// The images themselves are written only if -o is given, too
    #[arg(long, value_name = "FILE", conflicts_with_all = ["grid", "strip", "init_image"], help_heading = "Sheets and animations")]
    interpolate: Option<PathBuf>,
    /// Frames from one image to the next
    #[arg(long, value_name = "N", default_value = "12", requires = "interpolate", value_parser = parse_frames, help_heading = "Sheets and animations")]
    frames: usize,

    #[command(flatten, next_help_heading = "Computing")]
    compute: ComputeOptions,
}

fn parse_batch(text: &str) -> Result<usize, String> {
    settings::parse_within(text, settings::MAX_BATCH)
}

fn parse_frames(text: &str) -> Result<usize, String> {
    settings::parse_within(text, settings::MAX_FRAMES)
}

fn formats() -> impl clap::builder::TypedValueParser<Value = ImageFormat> {
    PossibleValuesParser::new(["png", "jpeg", "webp"]).try_map(|name: String| {
        ImageFormat::from_extension(&name).ok_or("expected png, jpeg or webp")
    })
}
