//! `stride prepare`: encodes a data set once, for training to read.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand, ValueEnum};
use image::ImageFormat;
use indicatif::ProgressBar;
use serde_json::json;
use stride_data::{
    CaptionWriter, DataReport, Filter, PREPARED_REPORT, Part, Preparation, PrepareProgress,
    PreparedHeader, Problem, Record, Source, SourceOptions, merge_prepared,
};
use stride_files::write_whole;
use stride_train::ImageEncoder;

use crate::compute::ComputeOptions;
use crate::terminal::print_json;
use crate::usage::usage;
use crate::{interrupt, progress};

/// Encode a data set once, ahead of training
///
/// Writes latents, captions and tokens to --out, for the setting data.prepared of a training configuration, with a
/// report and a contact sheet. The same command continues after an interruption, and redoes only what has changed.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Prepare {
    #[command(subcommand)]
    command: Option<Tool>,
    /// Images with captions: a folder, archive or table in any layout of docs/data-sets.md
    #[arg(long, value_name = "PATH", required = true)]
    source: Option<PathBuf>,
    /// Folder for the prepared data
    #[arg(long, value_name = "DIR", required = true)]
    out: Option<PathBuf>,
    /// Folder of an autoencoder, or of a pipeline that has one
    #[arg(long, value_name = "DIR", required = true)]
    vae: Option<PathBuf>,
    /// Width and height; images are cropped to a square and resized
    #[arg(long, value_name = "PIXELS", default_value = "256")]
    resolution: usize,
    /// Source of the captions
    #[arg(long, value_enum, default_value_t = CaptionSource::Both)]
    captions: CaptionSource,
    /// Field, column or member that holds captions; else `text`, `caption`, `prompt` and the like
    #[arg(long, value_name = "NAME")]
    caption_column: Option<String>,
    /// Field, column or member that holds images or their names; else `image`, `file_name` and the like
    #[arg(long, value_name = "NAME")]
    image_column: Option<String>,
    /// Largest fraction of images without captions, which are left out; more are an error
    #[arg(long, value_name = "FRACTION", default_value_t = SourceOptions::MAX_UNCAPTIONED, value_parser = fraction)]
    max_uncaptioned: f64,
    /// Resize filter
    #[arg(long, value_enum, default_value_t = FilterName::Bicubic)]
    filter: FilterName,
    #[command(flatten)]
    compute: ComputeOptions,
    /// Do only part I of N (from 0); `stride prepare merge` joins the parts
    #[arg(long, value_name = "I/N")]
    shard: Option<Part>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Tool {
    Merge(Merge),
}

/// Join parts that were prepared with --shard
#[derive(Debug, Args)]
struct Merge {
    /// Folders of all parts
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Folder for the result
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Where captions come from.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum CaptionSource {
    /// Written from CelebA's attributes
    Attributes,
    /// The data set's own
    File,
    /// The data set's own, then those written from attributes, where it has any
    Both,
    /// None: every image gets the empty caption
    None,
}

/// A filter by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum FilterName {
    Bicubic,
    Bilinear,
}

/// Time between two lines of progress where there is no terminal.
const REPORT_EVERY: Duration = Duration::from_secs(15);
/// Images that are left out and named one by one.
const NAMED_PROBLEMS: usize = 20;
/// Some of the images, for a person to look at.
const SHEET: &str = "contact-sheet.png";

impl Prepare {
    /// Prepares to the end, or until Ctrl-C, which keeps what is done.
    pub(crate) fn run(self) -> Result<()> {
        if let Some(Tool::Merge(merge)) = self.command {
            return merge.run();
        }
        let (Some(source), Some(out), Some(vae)) = (&self.source, &self.out, &self.vae) else {
            return usage("expected --source, --out and --vae; see stride prepare --help");
        };
        // What is written there would be read as a part of the set the next time.
        if let (Ok(from), Ok(to)) = (source.canonicalize(), out.canonicalize())
            && from == to
        {
            return usage(format!(
                "--out {}: expected another folder than --source, in which nothing is written; name one",
                out.display()
            ));
        }
        let stop = interrupt::stop_flag()?;
        let options = self.options();
        let source = Source::open(source, &options)?;
        let encoder = ImageEncoder::open(
            vae,
            self.resolution,
            self.compute.dtype(),
            &self.compute.device()?,
        )?;
        let writer = CaptionWriter::new(0);
        let captions = |record: &Record| options.captions.captions(record, &writer);
        let mut preparation = Preparation::new(&source, &encoder, &captions, &stop);
        preparation.filter = match self.filter {
            FilterName::Bicubic => Filter::Bicubic,
            FilterName::Bilinear => Filter::Bilinear,
        };
        preparation.part = self.shard;

        let mut display = Display::new();
        let summary = preparation.run(out, &mut |at| display.show(at))?;
        display.clear();
        tell(&source, &summary.problems);
        if self.json {
            print_json(&json!({
                "folder": out,
                "images": summary.images,
                "reused": summary.reused,
                "made": summary.made,
                "remade": summary.remade,
                "dropped": summary.dropped,
                "recaptioned": summary.recaptioned,
                "without_caption": summary.without_caption,
                "left_out": summary.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "was_stopped": summary.was_stopped,
                "seconds": summary.seconds,
            }))?;
        } else {
            writeln!(crate::terminal::stdout(), "{summary}")?;
        }
        let mut was_stopped = summary.was_stopped;
        // Scanning every image takes a while, so not where nothing is new.
        if !was_stopped && !out.join(PREPARED_REPORT).exists() {
            let mut display = Display::new();
            let scanned = preparation.scan(&mut |at| display.show(at))?;
            display.clear();
            was_stopped = scanned.is_none();
            if let Some((report, sheet)) = scanned {
                let mut png = Cursor::new(Vec::new());
                sheet.to_image().write_to(&mut png, ImageFormat::Png)?;
                write_whole(&out.join(SHEET), png.get_ref())?;
                write_report(&report, out)?;
            }
        }
        if was_stopped {
            tracing::info!("stopped; the same command goes on from here");
        }
        Ok(())
    }
}

impl Prepare {
    fn options(&self) -> SourceOptions {
        SourceOptions {
            captions: match self.captions {
                CaptionSource::Attributes => stride_data::CaptionSource::Attributes,
                CaptionSource::File => stride_data::CaptionSource::File,
                CaptionSource::Both => stride_data::CaptionSource::Both,
                CaptionSource::None => stride_data::CaptionSource::None,
            },
            caption_column: self.caption_column.clone(),
            image_column: self.image_column.clone(),
            max_uncaptioned: self.max_uncaptioned,
            ..SourceOptions::default()
        }
    }
}

fn write_report(report: &DataReport, out: &Path) -> Result<()> {
    write_whole(&out.join("report.md"), report.to_markdown().as_bytes())?;
    Ok(write_whole(&out.join(PREPARED_REPORT), &serde_json::to_vec_pretty(&report.to_json())?)?)
}

/// Names what is left out, and counts what could not be matched.
fn tell(source: &Source, of_images: &[Problem]) {
    let all = source.problems().iter().chain(of_images);
    let (notes, problems): (Vec<_>, Vec<_>) = all.partition(|problem| problem.kind.is_note());
    for problem in problems.iter().take(NAMED_PROBLEMS) {
        tracing::warn!("left out: {problem}");
    }
    if let Some(more) = problems.len().checked_sub(NAMED_PROBLEMS).filter(|&more| more > 0) {
        tracing::warn!("left out: {more} more");
    }
    let mut kinds: BTreeMap<&str, (usize, &Problem)> = BTreeMap::new();
    for note in notes {
        kinds.entry(note.kind.name()).or_insert((0, note)).0 += 1;
    }
    for (kind, (count, first)) in kinds {
        tracing::warn!("{kind}: {count}; the first is {first}");
    }
    match source.several_lines() {
        0 => {}
        texts => tracing::warn!("{texts} texts have several lines: each line is a caption"),
    }
}

/// A fraction in [0, 1].
fn fraction(text: &str) -> Result<f64, String> {
    let fraction = text.parse().ok().filter(|fraction| (0.0..=1.0).contains(fraction));
    fraction.ok_or_else(|| "expected a fraction from 0 to 1".to_owned())
}

impl Merge {
    fn run(self) -> Result<()> {
        let images = merge_prepared(&self.parts, &self.out)?;
        if self.parts.iter().all(|part| part.join(PREPARED_REPORT).exists()) {
            write_report(&self.merged_report()?, &self.out)?;
        }
        if self.json {
            return print_json(&json!({ "folder": self.out, "images": images }));
        }
        Ok(writeln!(crate::terminal::stdout(), "{images} images")?)
    }

    /// The reports of all parts in the order of the data set.
    fn merged_report(&self) -> Result<DataReport> {
        let mut parts = self.parts.clone();
        let index = |part: &PathBuf| PreparedHeader::read(part).ok().and_then(|header| header.part);
        parts.sort_by_key(|part| index(part).map(|part| part.index));
        let mut merged: Option<DataReport> = None;
        for part in parts {
            let path = part.join(PREPARED_REPORT);
            let read = || -> Result<DataReport> {
                Ok(DataReport::from_json(&serde_json::from_slice(&stride_files::read_file(
                    &path,
                )?)?)?)
            };
            let report = read().with_context(|| format!("cannot read {}", path.display()))?;
            match &mut merged {
                Some(merged) => merged.merge(&report),
                None => merged = Some(report),
            }
        }
        merged.context("expected parts to join, found none")
    }
}

/// A bar on a terminal, lines in the log elsewhere.
struct Display {
    bar: ProgressBar,
    last: Instant,
}

impl Display {
    fn new() -> Self {
        Self { bar: progress::bar(0, "{bar:30} {msg}"), last: Instant::now() }
    }

    fn show(&mut self, at: PrepareProgress) {
        self.bar.set_length(at.total as u64);
        self.bar.set_position(at.done as u64);
        self.bar.set_message(at.to_string());
        if self.bar.is_hidden() && self.last.elapsed() > REPORT_EVERY {
            self.last = Instant::now();
            tracing::info!("{at}");
        }
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }
}
