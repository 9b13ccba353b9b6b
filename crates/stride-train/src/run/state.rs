//! What training changes and checkpoints keep: weights, moments of the optimizer, averages.

use std::path::Path;

use burn::module::Module;
use stride::weights::{self, StoredDtype};
use stride_files::ContentHash;

use super::checkpoint::{Checkpoint, MODEL_WEIGHTS, TrainerState, ema_weights};
use crate::TrainError;
use crate::optim::{
    Ema, EmaConfig, GradientSum, NamedGradients, NamedTensors, Optimizer, OptimizerConfig,
    flat_values,
};

/// What changes during training and is saved in a checkpoint.
#[derive(Debug)]
pub struct TrainState<M: Module> {
    model: Option<M>,
    pub(super) optimizer: Optimizer,
    emas: Vec<Ema<M>>,
}

impl<M: Module> TrainState<M> {
    /// The state before the first step; averages start at the present weights.
    pub fn new(model: M, optimizer: OptimizerConfig, emas: &[EmaConfig]) -> Self {
        let emas = emas.iter().map(|config| Ema::new(config.clone(), &model)).collect();
        Self { model: Some(model), optimizer: Optimizer::new(optimizer), emas }
    }

    /// The model, with gradients.
    pub fn model(&self) -> &M {
        self.model.as_ref().expect("the model is away only during an update")
    }

    /// The average of this name, if one was configured.
    pub fn ema(&self, name: &str) -> Option<&M> {
        self.emas.iter().find(|ema| ema.name() == name).map(Ema::module)
    }

    /// Updates weights and averages, and returns the gradient norm before clipping.
    ///
    /// Nothing changes when the norm is not finite.
    pub fn update(&mut self, gradients: NamedGradients, lr_factor: f64) -> f64 {
        let gradients = gradients.sum();
        let norm = gradients.norm();
        if norm.is_finite() {
            self.apply(gradients, lr_factor);
        }
        norm
    }

    /// Updates weights and averages by a gradient that is finite.
    pub(super) fn apply(&mut self, gradients: GradientSum, lr_factor: f64) {
        let Some(model) = self.model.take() else { return };
        let model = self.optimizer.apply(model, gradients, lr_factor);
        for ema in &mut self.emas {
            ema.update(&model, self.optimizer.steps());
        }
        self.model = Some(model);
    }

    /// What tells these weights and averages from others.
    pub(super) fn hash(&self) -> ContentHash {
        let modules = std::iter::once(self.model()).chain(self.emas.iter().map(Ema::module));
        let mut hashes = Vec::new();
        for module in modules {
            for (name, value) in flat_values(module) {
                let data = value.into_data();
                hashes.push(ContentHash::of_parts(&[name.as_bytes(), data.as_bytes()]));
            }
        }
        let parts: Vec<&[u8]> = hashes.iter().map(|hash| &hash.as_bytes()[..]).collect();
        ContentHash::of_parts(&parts)
    }

    /// Checks that the optimizer's settings of some parameters are of parameters that there are.
    pub(super) fn check_names(&self) -> Result<(), TrainError> {
        let values = flat_values(self.model());
        let names: Vec<&String> = values.keys().collect();
        self.optimizer.config().check_names(&names).map_err(TrainError::setting)
    }

    pub(super) fn files(
        &self,
        state: &TrainerState,
        config: &str,
    ) -> Result<Vec<(String, Vec<u8>)>, TrainError> {
        let path = Path::new("checkpoint");
        let state = serde_json::to_vec_pretty(state).map_err(TrainError::weights(path))?;
        let moments = self.optimizer.state().to_safetensors().map_err(TrainError::weights(path))?;
        let mut files = vec![
            (MODEL_WEIGHTS.to_owned(), weights::save(self.model(), "", StoredDtype::F32, &[])?),
            ("optimizer.safetensors".to_owned(), moments),
            ("trainer_state.json".to_owned(), state),
            ("config.toml".to_owned(), config.as_bytes().to_vec()),
        ];
        for ema in &self.emas {
            files.push((
                ema_weights(ema.name()),
                weights::save(ema.module(), "", StoredDtype::F32, &[])?,
            ));
        }
        Ok(files)
    }

    /// Takes everything from a checkpoint, and returns where its run stood.
    ///
    /// # Errors
    /// When a file is missing or does not fit.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<TrainerState, TrainError> {
        let state = checkpoint.trainer_state()?;
        let model = load_module(self.model().clone(), &checkpoint.dir().join(MODEL_WEIGHTS))?;
        let device = model.devices().into_iter().next().unwrap_or_default().inner();
        self.model = Some(model);
        let moments = NamedTensors::read(&checkpoint.dir().join("optimizer.safetensors"))?;
        self.optimizer.restore(state.optimizer_steps, moments, &device);
        for ema in &mut self.emas {
            let path = checkpoint.dir().join(ema_weights(ema.name()));
            ema.set_module(load_module(ema.module().clone(), &path)?);
        }
        Ok(state)
    }
}

/// Fills a module with the weights of a file.
///
/// # Errors
/// When the file is missing or does not fit.
fn load_module<M: Module>(module: M, path: &Path) -> Result<M, TrainError> {
    let bytes = stride_files::read_file(path).map_err(TrainError::io(path))?;
    Ok(weights::load(module, &path.display().to_string(), &bytes, "")?)
}
