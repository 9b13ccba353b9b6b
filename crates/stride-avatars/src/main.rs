//! The program `stride-avatars`: writes a folder of captioned avatars.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use stride_avatars::{
    CaptionKind, DatasetRequest, DatasetSummary, Distribution, Split, write_dataset, write_masks,
};

/// Write a folder of cartoon avatars with captions: PNG files and metadata.jsonl.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Folder to write; it must be empty or not exist yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Number of images
    #[arg(long, value_name = "N")]
    count: u64,
    /// Seed; the same seed gives the same images on any machine
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Width and height in pixels
    #[arg(long, default_value_t = 256)]
    resolution: u32,
    /// Combinations of attributes: those for training, or those kept from it
    #[arg(long, value_enum, default_value_t = SplitArgument::Train)]
    split: SplitArgument,
    /// How often each value appears
    #[arg(long, value_enum, default_value_t = DistributionArgument::Natural)]
    distribution: DistributionArgument,
    /// Captions of each image; the images are the same with any
    #[arg(long, value_enum, default_value_t = CaptionsArgument::Mixed)]
    captions: CaptionsArgument,
    /// Draw masks in place of the images, under their names and without captions: white where facial hair, eyes, eyebrows,
    /// mouth and glasses are; for `data.masks` of a training
    #[arg(long)]
    masks: bool,
    /// Print a summary as one JSON object on stdout
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitArgument {
    Train,
    Heldout,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DistributionArgument {
    /// As models are tested: common values more often
    Natural,
    /// For training: every value about equally often, hats, beards and glasses on many
    Flat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CaptionsArgument {
    /// Sentences that tell everything (one in four) or one to five things
    Mixed,
    /// Sentences that tell everything (three in four), or at least what is rare
    Complete,
    /// The same, half of them as people type prompts
    People,
    /// Like people, but most of them short: for the end of a training
    Short,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let request = DatasetRequest {
        out: arguments.out.clone(),
        count: arguments.count,
        seed: arguments.seed,
        resolution: arguments.resolution,
        split: match arguments.split {
            SplitArgument::Train => Split::Train,
            SplitArgument::Heldout => Split::HeldOut,
        },
        distribution: match arguments.distribution {
            DistributionArgument::Natural => Distribution::Natural,
            DistributionArgument::Flat => Distribution::Flat,
        },
        captions: match arguments.captions {
            CaptionsArgument::Mixed => CaptionKind::Mixed,
            CaptionsArgument::Complete => CaptionKind::Complete,
            CaptionsArgument::People => CaptionKind::People,
            CaptionsArgument::Short => CaptionKind::Short,
        },
    };
    let progress = Progress::new(request.count);
    let report = |done| progress.report(done);
    let (summary, written) = if arguments.masks {
        let summary = write_masks(&request, report)?;
        let written = format!("{} masks", summary.images);
        (summary, written)
    } else {
        let summary = write_dataset(&request, report)?;
        let written = format!("{} images and {} captions", summary.images, summary.captions);
        (summary, written)
    };
    let seconds = progress.start.elapsed().as_secs_f64();
    let mut stderr = std::io::stderr();
    let rate = summary.images as f64 / seconds.max(1e-9);
    // The images are there, whether or not anybody hears of it.
    let _ = writeln!(
        stderr,
        "wrote {written} to {} in {seconds:.1} s ({rate:.0} images/s)",
        request.out.display(),
    );
    if arguments.json {
        print_json(&request, &summary, seconds)?;
    }
    Ok(())
}

fn print_json(
    request: &DatasetRequest,
    summary: &DatasetSummary,
    seconds: f64,
) -> anyhow::Result<()> {
    let object = serde_json::json!({
        "out": request.out,
        "images": summary.images,
        "captions": summary.captions,
        "seed": request.seed,
        "resolution": request.resolution,
        "split": request.split.name(),
        "distribution": request.distribution.name(),
        "captions_as": request.captions.name(),
        "seconds": seconds,
    });
    match writeln!(std::io::stdout(), "{object}") {
        // Nobody reads on.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => Ok(result?),
    }
}

/// Progress on stderr: a line that is rewritten on a terminal, now and then a line elsewhere.
struct Progress {
    count: u64,
    start: Instant,
    last: Mutex<Instant>,
    interval: Duration,
    terminal: bool,
}

impl Progress {
    fn new(count: u64) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let interval = Duration::from_millis(if terminal { 200 } else { 5000 });
        let start = Instant::now();
        Self { count, start, last: Mutex::new(start), interval, terminal }
    }

    fn report(&self, done: u64) {
        // Whoever finds the lock taken leaves the report to its holder.
        let Ok(mut last) = self.last.try_lock() else {
            return;
        };
        if last.elapsed() < self.interval && !(self.terminal && done == self.count) {
            return;
        }
        *last = Instant::now();
        let left = self.start.elapsed().as_secs_f64() * (self.count - done) as f64 / done as f64;
        let line = format!("{done}/{} images, {left:.0} s left", self.count);
        let mut stderr = std::io::stderr();
        let _ = match (self.terminal, done == self.count) {
            (true, false) => write!(stderr, "\r{line}    "),
            (true, true) => writeln!(stderr, "\r{line}    "),
            (false, _) => writeln!(stderr, "{line}"),
        };
    }
}
