//! The configuration of a run: one TOML file, overrides, and a resolved copy in the run folder.

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use stride_data::ImageFolder;
use stride_kernels::device::DeviceName;
use stride_kernels::gemm::Compute;
use toml::{Table, Value};

use super::checkpoint::{MODEL_WEIGHTS, ema_weights};
use super::guard::GuardConfig;
use super::layers::{BASE, apply_override, with_base, with_name};
use crate::TrainError;
use crate::classifier::ClassifierTrainConfig;
use crate::dit::DitTrainConfig;
use crate::error::{check, check_size};
use crate::memory::{MAX_BATCH, MAX_RESOLUTION};
use crate::optim::{Budget, EmaConfig, LrSchedule, OptimizerConfig};
use crate::text_encoder::TextEncoderTrainConfig;
use crate::vae::VaeTrainConfig;

/// Everything that decides a run.
///
/// ```toml
/// kind = "vae"
/// run_dir = "runs/avatars-vae"
/// [data]
/// dir = "data/avatars"
/// [training.budget]
/// max_steps = 3_203
/// [vae.model]
/// # fields of the autoencoder's config.json
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// What is trained.
    pub kind: RunKind,
    /// Where metrics, checkpoints, images and the model go.
    pub run_dir: PathBuf,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// The training images.
    pub data: DataConfig,
    /// Length of the run, schedule, output.
    #[serde(default)]
    pub training: LoopConfig,
    /// The optimizer.
    #[serde(default)]
    pub optimizer: OptimizerConfig,
    /// Averages of the weights to keep.
    #[serde(default)]
    pub ema: Vec<EmaConfig>,
    /// Settings of autoencoder training; there if and only if `kind = "vae"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vae: Option<VaeTrainConfig>,
    /// Settings of transformer training; there if and only if `kind = "dit"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dit: Option<DitTrainConfig>,
    /// Settings of classifier training; there if and only if `kind = "classifier"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classifier: Option<ClassifierTrainConfig>,
    /// Settings of text encoder training; there if and only if `kind = "text_encoder"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_encoder: Option<TextEncoderTrainConfig>,
}

/// What a run trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunKind {
    /// An autoencoder.
    Vae,
    /// A transformer with its text encoder.
    Dit,
    /// A classifier of attributes.
    Classifier,
    /// A text encoder, on captions alone.
    TextEncoder,
}

/// Folders in which relative paths are looked for beside the working directory: the configuration's and those above it.
const SEARCHED: usize = 3;

/// The settings of a run's task, which its `kind` tells.
pub(crate) enum TaskConfig<'a> {
    Vae(&'a VaeTrainConfig),
    Dit(&'a DitTrainConfig),
    Classifier(&'a ClassifierTrainConfig),
    TextEncoder(&'a TextEncoderTrainConfig),
}

/// Settings of the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoopConfig {
    /// Where networks are trained and evaluated: `"auto"`, `"cpu"`, `"gpu"`, or `"gpu:N"` for an adapter.
    #[serde(skip_serializing_if = "DeviceName::is_default")]
    pub device: DeviceName,
    /// Compute dtype of the training steps, `"f32"` or `"bf16"`; weights, gradients and moments are f32
    /// either way, and reports are computed in f32.
    pub compute_dtype: Compute,
    /// Parts that the rows of every worker go through the network in, one after the other: the same rows and, up to
    /// rounding, the same gradient in less memory.
    #[serde(skip_serializing_if = "is_one")]
    pub gradient_accumulation: usize,
    /// Whether the gradient is added in an order that does not depend on the number of workers and processes, so that 1, 2,
    /// 4 or 8 of them train the same weights to the byte. The batch must have 8 rows at least.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
    /// Length of the run.
    pub budget: Budget,
    /// Learning rate over the run.
    pub schedule: LrSchedule,
    /// When to write what.
    pub output: OutputConfig,
    /// Which steps are left out.
    #[serde(skip_serializing_if = "GuardConfig::is_default")]
    pub guard: GuardConfig,
}

fn is_one(value: &usize) -> bool {
    *value == 1
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            device: DeviceName::default(),
            compute_dtype: Compute::default(),
            gradient_accumulation: 1,
            deterministic: false,
            budget: Budget::default(),
            schedule: LrSchedule::default(),
            output: OutputConfig::default(),
            guard: GuardConfig::default(),
        }
    }
}

impl LoopConfig {
    /// The device of this machine that the name stands for.
    ///
    /// # Errors
    /// It is not there, or does not multiply in the compute dtype.
    pub fn device(&self) -> Result<Device, TrainError> {
        let device = self.device.device_for(self.compute_dtype);
        device.map_err(|error| TrainError::setting(format!("training.device: {error}")))
    }
}

/// When a run writes what.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Steps between lines of `metrics.jsonl`, which hold averages over these steps, and norms by part of the last of them.
    pub metrics_every_steps: u64,
    /// Whether the same goes to event files that TensorBoard reads, with the images of reports.
    #[serde(skip_serializing_if = "Clone::clone")]
    pub tensorboard: bool,
    /// Seconds between checkpoints.
    pub checkpoint_every_seconds: f64,
    /// Steps between checkpoints, whatever the seconds say; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_every_steps: Option<u64>,
    /// Seconds between reports: evaluation and images.
    pub report_every_seconds: f64,
    /// The latest checkpoints, of which this many are kept, one at least.
    pub keep_checkpoints: usize,
    /// Of every so many steps, the first checkpoint is kept for good, too; none if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_every_steps: Option<u64>,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            metrics_every_steps: 10,
            tensorboard: true,
            checkpoint_every_seconds: 300.0,
            checkpoint_every_steps: None,
            report_every_seconds: 300.0,
            keep_checkpoints: 3,
            keep_every_steps: None,
        }
    }
}

/// The training images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Images in any layout that `stride prepare` reads; only transformers train without, on `prepared`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// A folder that `stride prepare` made, for transformers; the images themselves are not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<PathBuf>,
    /// Height and width; other images are cropped to a square and resized.
    #[serde(default = "default_resolution")]
    pub resolution: usize,
    /// Images used, from the start of the listing; all if absent.
    pub max_images: Option<usize>,
    /// Of these, the last ones are kept out of training, for evaluation.
    #[serde(default = "default_held_out")]
    pub held_out: usize,
    /// Whether transformers see every second image, drawn by chance, with left and right exchanged.
    #[serde(default)]
    pub flip: bool,
    /// Other captions of the same images, which transformers read late in the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub late_captions: Option<LateCaptionsConfig>,
    /// Where in the images the errors of transformers count more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub masks: Option<MasksConfig>,
}

/// Masks of the images, such as of parts that captions name and that are small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MasksConfig {
    /// A folder with a mask for every image of the data: a PNG file of the image's name and of any size, white where errors
    /// count more. It is cropped as the image is.
    pub dir: PathBuf,
    /// How much more the squared error counts where the mask is white than where it is black; the mean over each image
    /// stays 1.
    #[serde(default = "default_mask_weight")]
    pub weight: f64,
}

fn default_mask_weight() -> f64 {
    4.0
}

/// Captions that join those of the data late in the run, such as short ones after complete ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LateCaptionsConfig {
    /// A folder whose `metadata.jsonl` lists every image of the data, by the same names; the images themselves
    /// need not be there.
    pub dir: PathBuf,
    /// Fraction of the run after which they are read.
    #[serde(default = "default_late_start")]
    pub start: f64,
    /// Fraction of the rows that read them from then on.
    #[serde(default = "default_late_fraction")]
    pub fraction: f64,
}

fn default_late_start() -> f64 {
    0.7
}

fn default_late_fraction() -> f64 {
    0.5
}

impl DataConfig {
    /// The folder of images.
    ///
    /// # Errors
    /// The configuration has none.
    pub fn dir(&self) -> Result<&Path, TrainError> {
        self.dir.as_deref().ok_or(TrainError::NoImages)
    }

    /// Lists the images.
    ///
    /// # Errors
    /// The listing is damaged, or no image is left beside those that are kept out of training.
    pub fn open(&self) -> Result<ImageFolder, TrainError> {
        let folder = ImageFolder::without_captions(self.dir()?, self.max_images)?;
        self.check_count(folder.images.len())?;
        Ok(folder)
    }

    /// Lists captions, of which the images need not be there.
    ///
    /// # Errors
    /// As [`open`](Self::open); or an image has no caption.
    pub(crate) fn open_captions(&self) -> Result<ImageFolder, TrainError> {
        let folder = ImageFolder::captions_alone(self.dir()?, self.max_images)?;
        self.check_count(folder.images.len())?;
        Ok(folder)
    }

    /// Checks that training reads images, as all but transformers do.
    fn validate_images(&self) -> Result<(), String> {
        check(self.dir.is_some(), "data.dir", "a folder of images")?;
        check(self.prepared.is_none(), "data.prepared", "none but for kind = \"dit\"")?;
        check(!self.flip, "data.flip", "false but for kind = \"dit\"")?;
        check(self.late_captions.is_none(), "data.late_captions", "none but for kind = \"dit\"")?;
        check(self.masks.is_none(), "data.masks", "none but for kind = \"dit\"")
    }

    /// Checks that images to train on are left beside the copies of those that are kept out of training.
    pub(crate) fn check_train(&self, train: Vec<usize>) -> Result<Vec<usize>, TrainError> {
        if train.is_empty() {
            let what = "images that are no copies of those of data.held_out";
            return Err(TrainError::TooFew { what, expected: 1, found: 0 });
        }
        Ok(train)
    }

    /// Checks that an image is left beside those that are kept out of training.
    pub(crate) fn check_count(&self, found: usize) -> Result<(), TrainError> {
        let (what, expected) = ("images beside data.held_out", self.held_out.saturating_add(1));
        if found < expected {
            return Err(TrainError::TooFew { what, expected, found });
        }
        Ok(())
    }
}

fn default_resolution() -> usize {
    256
}

fn default_held_out() -> usize {
    64
}

impl RunConfig {
    /// Reads a configuration file and applies overrides of the form `section.key=value`.
    ///
    /// A value is read as TOML (`0.5`, `true`, `[0.9, 0.98]`), and as a string where it is no TOML.
    /// A file that begins with `base = "other.toml"` changes the settings of that file, named
    /// relative to its own folder; a section with another `kind` takes the place of the base's.
    /// Relative paths are those of the working directory; what is to be read and is not there is looked for from the
    /// file's folder and from the two above it, so that presets work from everywhere.
    ///
    /// # Errors
    /// When the file cannot be read, has an unknown or unfit field, or an override does not fit.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, TrainError> {
        let text = stride_files::read_text_file(path).map_err(TrainError::io(path))?;
        let config_error = |problem: String| TrainError::Config { path: path.to_owned(), problem };
        let table: Table =
            text.parse().map_err(|error: toml::de::Error| config_error(error.to_string()))?;
        let has_base = table.contains_key(BASE);
        let table = with_base(path, table)?;
        if overrides.is_empty() && !has_base {
            // From the text, so that an error shows the line.
            let named = |error: toml::de::Error| with_name::<Self>(&table, error.to_string());
            let config = toml::from_str(&text).map_err(|error| config_error(named(error)))?;
            return Self::checked(config).map(|config| config.found(path)).map_err(config_error);
        }
        for setting in overrides {
            apply_override(&mut table.clone(), setting)
                .map_err(|problem| TrainError::Override { setting: setting.clone(), problem })?;
        }
        let overridden = |overrides: &mut dyn Iterator<Item = &String>| {
            let mut table = table.clone();
            for setting in overrides {
                apply_override(&mut table, setting)?;
            }
            Self::checked(
                Value::Table(table).try_into().map_err(|e: toml::de::Error| e.to_string())?,
            )
        };
        let problem = match overridden(&mut overrides.iter()) {
            Ok(config) => return Ok(config.found(path)),
            Err(problem) => problem,
        };
        // Whose fault is it? That of the override without which all is well, or which the problem names.
        let is_well_without = |&left_out: &usize| {
            let others = overrides.iter().enumerate().filter(|&(index, _)| index != left_out);
            overridden(&mut others.map(|(_, setting)| setting)).is_ok()
        };
        let names_key = |&index: &usize| {
            let key = overrides[index].split('=').next().unwrap_or_default();
            key.trim().rsplit('.').next().is_some_and(|name| problem.contains(name))
        };
        let all = || 0..overrides.len();
        Err(match all().find(is_well_without).or_else(|| all().find(names_key)) {
            Some(guilty) => TrainError::Override { setting: overrides[guilty].clone(), problem },
            None if overridden(&mut [].iter()).is_ok() => {
                TrainError::Override { setting: overrides.join(" --set "), problem }
            }
            None => config_error(with_name::<Self>(&table, problem)),
        })
    }

    fn checked(self) -> Result<Self, String> {
        self.validate().map(|()| self)
    }

    /// Finds what is to be read and is not in the working directory.
    fn found(mut self, file: &Path) -> Self {
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let above = file.ancestors().skip(1).take(SEARCHED).filter(|dir| dir.parent().is_some());
        let folders: Vec<&Path> = above.collect();
        for (_, path) in self.inputs() {
            if path.exists() || path.is_absolute() {
                continue;
            }
            let found = folders.iter().map(|folder| folder.join(&*path)).find(|path| path.exists());
            if let Some(found) = found {
                tracing::info!("{} is {}", path.display(), found.display());
                *path = found;
            }
        }
        self
    }

    /// Settings and paths of what a run reads.
    fn inputs(&mut self) -> impl Iterator<Item = (&'static str, &mut PathBuf)> {
        let data = &mut self.data;
        let late = data.late_captions.as_mut().map(|late| &mut late.dir);
        let masks = data.masks.as_mut().map(|masks| &mut masks.dir);
        let [mut text_encoder, mut transformer, mut autoencoder] = [const { None }; 3];
        if let Some(dit) = &mut self.dit {
            text_encoder = dit.init.text_encoder.as_mut();
            transformer = dit.init.transformer.as_mut();
            autoencoder = Some(&mut dit.autoencoder);
        }
        let init_from = self.vae.as_mut().and_then(|vae| vae.init_from.as_mut());
        [
            ("data.dir", data.dir.as_mut()),
            ("data.prepared", data.prepared.as_mut()),
            ("data.late_captions.dir", late),
            ("data.masks.dir", masks),
            ("dit.init.text_encoder", text_encoder),
            ("dit.init.transformer", transformer),
            ("dit.autoencoder", autoencoder),
            ("vae.init_from", init_from),
        ]
        .into_iter()
        .filter_map(|(setting, path)| path.map(|path| (setting, path)))
    }

    /// The configuration as TOML, with every default spelled out.
    ///
    /// # Errors
    /// When a number does not fit TOML, such as a seed beyond 63 bits.
    pub fn to_toml(&self) -> Result<String, TrainError> {
        toml::to_string(self).map_err(TrainError::setting)
    }

    /// The file of a checkpoint whose weights the run evaluates and exports.
    pub fn exported_weights(&self) -> String {
        let of_dit = self.dit.as_ref().and_then(|dit| dit.export.as_deref());
        let of_text = || self.text_encoder.as_ref().and_then(|text| text.export.as_deref());
        let average = of_dit.or_else(of_text);
        average.map_or_else(|| MODEL_WEIGHTS.to_owned(), ema_weights)
    }

    /// The settings of the task.
    ///
    /// # Errors
    /// There is not exactly one section, the one that `kind` names.
    pub(crate) fn task(&self) -> Result<TaskConfig<'_>, String> {
        let (name, task) = match self.kind {
            RunKind::Vae => ("vae", self.vae.as_ref().map(TaskConfig::Vae)),
            RunKind::Dit => ("dit", self.dit.as_ref().map(TaskConfig::Dit)),
            RunKind::Classifier => {
                ("classifier", self.classifier.as_ref().map(TaskConfig::Classifier))
            }
            RunKind::TextEncoder => {
                ("text_encoder", self.text_encoder.as_ref().map(TaskConfig::TextEncoder))
            }
        };
        let sections = [
            self.vae.is_some(),
            self.dit.is_some(),
            self.classifier.is_some(),
            self.text_encoder.is_some(),
        ];
        match task {
            Some(task) if sections.into_iter().filter(|&is_there| is_there).count() == 1 => {
                Ok(task)
            }
            _ => Err(format!("kind = \"{name}\" needs a section [{name}] and no other")),
        }
    }

    fn validate(&self) -> Result<(), String> {
        let budget = self.training.budget;
        // Seconds alone are a budget that old runs have; new ones are refused when they begin.
        let has_end = budget.has_steps() || budget.max_seconds.is_some();
        check(has_end, "training.budget.max_steps", "the number of steps")?;
        check(budget.max_steps != Some(0), "training.budget.max_steps", "at least 1")?;
        for (field, value) in [
            ("training.budget.max_seconds", budget.max_seconds),
            ("training.budget.max_epochs", budget.max_epochs),
        ] {
            check(value.is_none_or(|value| value > 0.0), field, "positive")?;
        }
        self.training.schedule.validate()?;
        self.training.guard.validate()?;
        let parts = self.training.gradient_accumulation;
        check_size("training.gradient_accumulation", parts, MAX_BATCH)?;
        check(
            !self.training.deterministic || parts == 1,
            "training.gradient_accumulation",
            "1 with training.deterministic, which adds the gradient in parts of its own",
        )?;
        let output = &self.training.output;
        for (field, seconds) in [
            ("training.output.checkpoint_every_seconds", output.checkpoint_every_seconds),
            ("training.output.report_every_seconds", output.report_every_seconds),
        ] {
            check(seconds >= 0.0, field, "at least 0")?;
        }
        for (field, steps) in [
            ("training.output.checkpoint_every_steps", output.checkpoint_every_steps),
            ("training.output.keep_every_steps", output.keep_every_steps),
        ] {
            check(steps != Some(0), field, "at least 1")?;
        }
        check_size("data.resolution", self.data.resolution, MAX_RESOLUTION)?;
        check(self.data.held_out > 0, "data.held_out", "at least 1")?;
        for (setting, path) in self.clone().inputs() {
            check(!path.as_os_str().is_empty(), setting, "a path, found an empty text")?;
        }
        if let Some(late) = &self.data.late_captions {
            for (field, fraction) in [
                ("data.late_captions.start", late.start),
                ("data.late_captions.fraction", late.fraction),
            ] {
                check((0.0..=1.0).contains(&fraction), field, "in [0, 1]")?;
            }
        }
        if let Some(masks) = &self.data.masks {
            let fits = masks.weight >= 0.0 && masks.weight.is_finite();
            check(fits, "data.masks.weight", "finite, at least 0")?;
        }
        for (field, compute) in [
            ("training.compute_dtype", self.training.compute_dtype),
            ("optimizer.muon_compute", self.optimizer.muon_compute),
        ] {
            let expected = "f32 or bf16, found f16, in which small gradients are zero";
            check(compute != Compute::F16, field, expected)?;
        }
        self.optimizer.validate()?;
        for (index, ema) in self.ema.iter().enumerate() {
            ema.validate()?;
            let is_new = self.ema[..index].iter().all(|other| other.name != ema.name);
            check(is_new, "ema.name", &format!("one entry of the name {}", ema.name))?;
        }
        let names: Vec<&str> = self.ema.iter().map(|ema| ema.name.as_str()).collect();
        match self.task()? {
            TaskConfig::Vae(vae) => {
                self.data.validate_images()?;
                vae.validate(self.data.resolution)
            }
            TaskConfig::Classifier(classifier) => {
                self.data.validate_images()?;
                classifier.validate()
            }
            TaskConfig::TextEncoder(text_encoder) => {
                self.data.validate_images()?;
                text_encoder.validate(&names)
            }
            TaskConfig::Dit(dit) => {
                dit.validate(self.training.compute_dtype, &names)?;
                let (cached, prepared) = (&dit.latent_cache, &self.data.prepared);
                check(
                    cached.is_some() != prepared.is_some()
                        && (cached.is_none() || self.data.dir.is_some()),
                    "data",
                    "either prepared, a folder that stride prepare made, or dir, a folder of images, \
                     with dit.latent_cache, the folder for their latents",
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stride::objective::{FlowTime, MeanFlowConfig, ObjectiveConfig};

    /// Every preset of the repository is valid, and says what it said before objectives had a trait.
    #[test]
    fn presets_are_valid() {
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
        let mut count = 0;
        for folder in [configs.clone(), configs.join("objectives")] {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("readable").path();
                if path.extension().is_some_and(|extension| extension == "toml") {
                    let config = RunConfig::load(&path, &[]).expect("valid");
                    let text = config.to_toml().expect("writable");
                    assert_eq!(toml::from_str::<RunConfig>(&text).expect("valid"), config);
                    // Runs begun before there were devices are compared with this text.
                    assert!(!text.contains("device"), "{text}");
                    let Budget { max_steps, max_seconds, .. } = config.training.budget;
                    assert!(max_steps.is_some() && max_seconds.is_none(), "{}", path.display());
                    count += 1;
                }
            }
        }
        assert!(count >= 3, "{count} presets");
        let avatars = RunConfig::load(&configs.join("avatars-dit.toml"), &[]).expect("valid");
        let expected = MeanFlowConfig {
            mean_start: 0.4,
            mean_full: 0.6,
            flow_time: FlowTime::LogitNormal { mean: -0.7, std: 1.4, uniform_fraction: 0.25 },
            ..MeanFlowConfig::default()
        };
        assert_eq!(
            avatars.dit.expect("a transformer").objective,
            ObjectiveConfig::MeanFlow(expected)
        );
        // New runs get what did best.
        let small = RunConfig::load(&configs.join("celeba-hq-small.toml"), &[]).expect("valid");
        assert_eq!(small.dit.expect("a transformer").objective, ObjectiveConfig::default());
    }
}
