//! A model at every step count against real images: what is drawn, kept and found.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde::Serialize;
use stride_eval::attribute_accuracy::AttributeAccuracy;
use stride_eval::certificate::{Certificate, Drawing, Set};
use stride_eval::diversity::diversity;
use stride_eval::memorisation::nearest_other;
use stride_kernels::workers::Workers;

use super::arguments::{Evaluate, Job};
use super::attributes::{Failure, count};
use super::clip_scorer::ClipScore;
use super::draw::{Origin, Studio, Wanted, cfg_scale};
use super::gallery::Gallery;
use super::judged::Judged;
use super::losses;
use super::networks::{self, Networks};
use super::report::{Checkpoint, Report};
use super::scores::{Reference, Scores, mean_distance};
use super::store::{Identity, Store};
use super::subjects::{Data, Subject};
use crate::interrupt;
use crate::shard::Shard;
use crate::usage::usage;

/// Steps at which checkpoints are judged, where the job has them.
const CHECKPOINT_STEPS: [usize; 2] = [1, 4];
/// Failures are looked for at the most steps up to this many.
const FAILURE_STEPS: usize = 4;
/// Time between lines about the progress where nobody watches a bar.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// A model on one data folder.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Study {
    /// `data` or `heldout`.
    pub(super) label: String,
    pub(super) folder: String,
    /// Fingerprint of the listing.
    pub(super) fingerprint: String,
    /// Mean distance of real images to the nearest other one.
    pub(super) nearest_of_real: f64,
    /// What the classifier makes of the real images: the most that drawn ones can reach.
    pub(super) real_attributes: Option<AttributeAccuracy>,
    /// How well real images go with their captions, by CLIP: the most to be hoped for.
    pub(super) real_clip: Option<ClipScore>,
    /// Drawn images that show least of what was asked for.
    pub(super) failures: Vec<Failure>,
    /// Real images after the autoencoder.
    pub(super) floor: Scores,
    /// One for each step count.
    pub(super) rows: Vec<Scores>,
}

/// How much images differ.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Diversity {
    pub(super) caption: String,
    /// Mean distance between real images of different captions.
    pub(super) real: f64,
    /// Steps, and the mean distance between images of the caption.
    pub(super) by_steps: Vec<(usize, f64)>,
}

impl Evaluate {
    /// Draws and judges what is not there yet; then reports, if everything is.
    pub(super) fn judge_model(&self) -> anyhow::Result<()> {
        let job = &self.job;
        if job.samples < 2 {
            return usage("--samples: expected at least 2");
        }
        let stop = interrupt::stop_flag()?;
        let data = Data::load(job)?;
        let networks = Networks::load(job)?;
        let subjects = Subject::load(job)?;
        let workers = Workers::per_core()?;
        let images = self.out.as_ref().map(|out| out.join("images")).filter(|_| self.save_images);
        let studio = Studio {
            job,
            subjects: &subjects,
            data: &data,
            networks: &networks,
            images: images.as_deref(),
            workers: &workers,
            stop: &stop,
        };
        let mut store = Store::open(self.out.as_deref(), &identity(&studio))?;
        let wanted = wanted(&studio);
        let shard = self.shard.unwrap_or(Shard::ALL);
        collect(&studio, &wanted, shard, &mut store)?;

        let is_missing = |wanted: &&Wanted| {
            Store::blocks(wanted.count).any(|range| !store.has(&wanted.name, &range))
        };
        if let Some(missing) = wanted.iter().find(is_missing) {
            tracing::info!(
                "part {} of {} is done; {} waits for another part: stride evaluate merge DIR... --out DIR",
                shard.index + 1,
                shard.count,
                missing.name.0
            );
            return Ok(());
        }
        let report = report(&studio, &store)?;
        if let Some(out) = &self.out {
            let gallery = Gallery::draw(&studio, &report.studies)?;
            report.write(out, &gallery)?;
        }
        report.print(self.json)
    }
}

/// Everything that a report needs, in the order in which it is made.
fn wanted(studio: &Studio<'_>) -> Vec<Wanted> {
    let job = studio.job;
    let set = |at, origin| Wanted::new(job, studio.subjects, studio.data, at, origin);
    let drawn = |subject, steps| Origin::Drawn { subject, steps };
    let mut wanted = Vec::new();
    for at in 0..studio.data.len() {
        wanted.extend([set(at, Origin::Real), set(at, Origin::Autoencoder)]);
        wanted.extend(job.steps.iter().map(|&steps| set(at, drawn(0, steps))));
    }
    wanted.extend(job.steps.iter().map(|&steps| set(0, Origin::OneCaption { steps })));
    for subject in 1..studio.subjects.len() {
        wanted.extend(checkpoint_steps(job).map(|steps| set(0, drawn(subject, steps))));
    }
    wanted
}

fn checkpoint_steps(job: &Job) -> impl Iterator<Item = usize> {
    let steps: Vec<usize> =
        CHECKPOINT_STEPS.into_iter().filter(|steps| job.steps.contains(steps)).collect();
    // Some step count at least.
    if steps.is_empty() { vec![job.steps[0]].into_iter() } else { steps.into_iter() }
}

/// Everything that decides a number.
fn identity(studio: &Studio<'_>) -> Identity {
    let job = studio.job;
    let mut decides = vec![
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("samples".to_owned(), job.samples.to_string()),
        ("steps".to_owned(), format!("{:?}", job.steps)),
        ("seed".to_owned(), job.seed.to_string()),
        ("guidance".to_owned(), cfg_scale(job, &studio.subjects[0].pipeline).to_string()),
        ("dtype".to_owned(), format!("{:?}", job.compute.dtype)),
        ("protocol".to_owned(), job.protocol.protocol().name().to_owned()),
        ("features".to_owned(), studio.networks.of_features().name()),
        (
            "classifier".to_owned(),
            studio.networks.judge().map_or_else(String::new, |judge| judge.name().to_owned()),
        ),
        (
            "clip".to_owned(),
            studio.networks.clip().map_or_else(String::new, |clip| clip.sha256().to_owned()),
        ),
        (
            "weights of the features".to_owned(),
            studio.networks.of_features().weights_sha256().to_owned(),
        ),
    ];
    decides.extend(studio.subjects.iter().map(|subject| {
        let name =
            subject.training_step.map_or("model".to_owned(), |step| format!("checkpoint {step}"));
        (name, subject.hash.clone())
    }));
    decides
        .extend(studio.data.iter().map(|data| (data.label.to_owned(), data.fingerprint.clone())));
    Identity { decides, job: job.clone() }
}

/// Judges the blocks of a shard that are not there.
fn collect(
    studio: &Studio<'_>,
    wanted: &[Wanted],
    shard: Shard,
    store: &mut Store,
) -> anyhow::Result<()> {
    let blocks = wanted
        .iter()
        .flat_map(|wanted| Store::blocks(wanted.count).map(move |range| (wanted, range)));
    let missing: Vec<_> = blocks
        .skip(shard.index)
        .step_by(shard.count)
        .filter(|(wanted, range)| !store.has(&wanted.name, range))
        .collect();
    let total: u64 = missing.iter().map(|(wanted, range)| wanted.cost() * range.len() as u64).sum();
    let bar = networks::bar(total, "images");
    let start = Instant::now();
    let (mut done, mut logged) = (0u64, Instant::now());
    for (wanted, range) in missing {
        bar.set_message(wanted.name.0.clone());
        let judged = studio.judge(wanted, &range)?;
        store.put(&wanted.name, &range, judged)?;
        done += wanted.cost() * range.len() as u64;
        bar.set_position(done);
        if bar.is_hidden() && logged.elapsed() > LOG_INTERVAL {
            let left = start.elapsed().as_secs_f64() / done as f64 * (total - done) as f64;
            tracing::info!(
                "{}: {} images; {} % of all, about {:.0} minutes left",
                wanted.name.0,
                range.end,
                100 * done / total.max(1),
                (left / 60.0).ceil()
            );
            logged = Instant::now();
        }
        if studio.stop.load(Ordering::Relaxed) {
            bail!("interrupted; with --out, the same command goes on from here");
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// What the features say.
fn report(studio: &Studio<'_>, store: &Store) -> anyhow::Result<Report> {
    let job = studio.job;
    let model = &studio.subjects[0];
    let get = |at, origin| {
        let wanted = Wanted::new(job, studio.subjects, studio.data, at, origin);
        store.get(&wanted.name, wanted.count)
    };
    let drawn = |at, subject, steps| get(at, Origin::Drawn { subject, steps });
    let mut studies = Vec::new();
    let mut checkpoints = Vec::new();
    let mut one_caption = None;
    for (at, data) in studio.data.iter().enumerate() {
        let reference = Reference::of(get(at, Origin::Real)?)?;
        let attributes = |judged: &Judged| {
            studio.networks.judge().map(|judge| count(judge, &data.folder, &judged.choices))
        };
        let captions = studio.networks.clip().map(|clip| {
            let captions = data.folder.images.iter().map(|image| image.captions[0].as_str());
            clip.captions(&captions.collect::<Vec<_>>())
        });
        let captions = captions.transpose()?;
        let clip = |judged: &Judged| {
            let pairs = judged.clip.as_ref().zip(captions.as_ref());
            pairs.map(|(images, captions)| ClipScore::of(images, captions)).transpose()
        };
        let score =
            |judged: &Judged, drawing: Option<(&Subject, usize)>| -> anyhow::Result<Scores> {
                let drawing = drawing.map(|(subject, steps)| Drawing {
                    model: subject.hash.clone(),
                    steps,
                    seed: job.seed,
                    cfg_scale: cfg_scale(job, &model.pipeline),
                    data: data.fingerprint.clone(),
                });
                let certificate = certificate(studio, judged, &reference, drawing);
                let scores = Scores::of(judged, &reference, certificate, job)?;
                let attributes = attributes(judged).map(|(accuracy, _)| accuracy);
                let attributes = attributes.filter(|found| found.total().named > 0);
                Ok(Scores { attributes, clip: clip(judged)?, ..scores })
            };
        let mut rows = Vec::new();
        let mut failures = Vec::new();
        for &steps in &job.steps {
            let judged = drawn(at, 0, steps)?;
            rows.push(score(&judged, Some((model, steps)))?);
            if Some(&steps)
                == job.steps.iter().max_by_key(|&&steps| (steps <= FAILURE_STEPS, steps))
            {
                let found = attributes(&judged).map(|(_, failures)| failures).unwrap_or_default();
                failures = found.into_iter().map(|failure| Failure { steps, ..failure }).collect();
            }
        }
        let reference_judged = reference.judged.as_ref();
        let real_attributes = reference_judged.and_then(|real| Some(attributes(real)?.0));
        let real = reference.judged.as_ref().map(|judged| &judged.features);
        let Some(real) = real else { bail!("the reference of a model has images") };
        studies.push(Study {
            label: data.label.to_owned(),
            folder: name_of(&data.path),
            fingerprint: data.fingerprint.clone(),
            nearest_of_real: mean_distance(&nearest_other(real)?),
            real_attributes: real_attributes.filter(|found| found.total().named > 0),
            real_clip: reference_judged.map(&clip).transpose()?.flatten(),
            failures,
            floor: score(&get(at, Origin::Autoencoder)?, None)?,
            rows,
        });
        if at > 0 {
            continue;
        }
        for subject in 1..studio.subjects.len() {
            for steps in checkpoint_steps(job) {
                let scores =
                    score(&drawn(at, subject, steps)?, Some((&studio.subjects[subject], steps)))?;
                let training_step = studio.subjects[subject].training_step.unwrap_or(0);
                checkpoints.push(Checkpoint { training_step, scores });
            }
        }
        let mut by_steps = Vec::new();
        for &steps in &job.steps {
            by_steps.push((steps, diversity(&get(at, Origin::OneCaption { steps })?.features)?));
        }
        let caption = data.folder.images[0].captions[0].clone();
        one_caption = Some(Diversity { caption, real: diversity(real)?, by_steps });
    }
    Ok(Report {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: model.pipeline.index().name.clone(),
        model_hash: model.hash.clone(),
        samples: job.samples,
        seed: job.seed,
        cfg_scale: cfg_scale(job, &model.pipeline),
        features: studies[0].floor.certificate.features_name(),
        clip_sha256: studio.networks.clip().map(|clip| clip.sha256().to_owned()),
        studies,
        diversity: one_caption,
        checkpoints,
        losses: job.run.as_deref().map(losses::read).transpose()?.unwrap_or_default(),
    })
}

/// The last part of a path: where things lie on a machine is of no use to readers.
fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn certificate(
    studio: &Studio<'_>,
    judged: &Judged,
    reference: &Reference,
    drawing: Option<Drawing>,
) -> Certificate {
    let set = Set { count: Some(judged.features.len()), sha256: judged.sha256() };
    let network = studio.networks.of_features();
    Certificate::new(network, studio.job.protocol.protocol(), [set, reference.set()], drawing)
}
