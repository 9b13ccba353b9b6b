//! The networks that look at images.

use std::io::{IsTerminal as _, stderr};

use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use stride::image::RgbImage;
use stride_eval::inception::Inception;
use stride_eval::judge::Verdicts;
use stride_eval::network::FeatureNetwork;
use stride_eval::protocol::Protocol;
use stride_eval::{EvalError, Judge};

use super::arguments::Job;
use super::clip_scorer::ClipScorer;
use super::judged::Judged;
use crate::judge_folder;

/// All that look at images.
pub(super) struct Networks {
    judges: Judges,
    clip: Option<ClipScorer>,
}

/// The source of features, and a classifier of attributes.
enum Judges {
    /// One network for both.
    Judge(Judge),
    /// Features of Inception; no classifier where there are no captions, or none is inside the program.
    Inception { inception: Box<Inception>, judge: Option<Judge> },
}

impl Networks {
    /// The networks of a job.
    pub(super) fn load(job: &Job) -> anyhow::Result<Self> {
        let device = job.compute.device();
        let clip = job.clip.as_deref().map(|dir| ClipScorer::load(dir, &device)).transpose()?;
        Ok(Self { judges: Judges::load(job, &device)?, clip })
    }

    /// CLIP, where the job has one.
    pub(super) fn clip(&self) -> Option<&ClipScorer> {
        self.clip.as_ref()
    }

    /// The classifier.
    pub(super) fn judge(&self) -> Option<&Judge> {
        match &self.judges {
            Judges::Judge(judge) => Some(judge),
            Judges::Inception { judge, .. } => judge.as_ref(),
        }
    }

    /// The network whose features are compared.
    pub(super) fn of_features(&self) -> &dyn FeatureNetwork {
        match &self.judges {
            Judges::Judge(judge) => judge,
            Judges::Inception { inception, .. } => &**inception,
        }
    }

    /// What they say about a batch.
    pub(super) fn look(
        &self,
        images: &[RgbImage],
        protocol: Protocol,
    ) -> Result<Judged, EvalError> {
        let verdicts = self.judge().map(|judge| judge.look(images)).transpose()?;
        let (features, logits, choices) = match (&self.judges, verdicts) {
            (Judges::Judge(_), Some(Verdicts { features, choices })) => (features, None, choices),
            (_, verdicts) => {
                let output = self.of_features().features(images, protocol)?;
                let choices = verdicts.map_or_else(Vec::new, |verdicts| verdicts.choices);
                (output.features, output.logits, choices)
            }
        };
        let clip = self.clip.as_ref().map(|clip| clip.images(images)).transpose()?;
        Ok(Judged::new(features, logits, clip, choices, images))
    }
}

impl Judges {
    fn load(job: &Job, device: &Device) -> anyhow::Result<Self> {
        let judge = judge_folder::load(job.classifier.as_deref(), device);
        let Some(path) = &job.inception else { return Ok(Self::Judge(judge?)) };
        let inception = Box::new(Inception::open(path, job.variant.variant(), device)?);
        let judge = match (&job.data, &job.classifier) {
            // Images without captions cannot miss what these name.
            (None, _) => None,
            (Some(_), Some(_)) => Some(judge?),
            (Some(_), None) => judge.ok(),
        };
        Ok(Self::Inception { inception, judge })
    }
}

/// A bar on stderr where that is a terminal, nothing elsewhere.
pub(super) fn bar(total: u64, what: &str) -> ProgressBar {
    let target = match stderr().is_terminal() {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let style = ProgressStyle::with_template("{msg} {bar:30} {percent}%  {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(total), target)
        .with_style(style)
        .with_message(what.to_owned())
}
