//! Whether weights are those of the network that a configuration describes, by their names and shapes alone.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use burn::tensor::Device;
use safetensors::tensor::Dtype;
use serde_json::Value;
use stride::clip::ClipVisionConfig;
use stride::dit::DitNames;
use stride::text::TextEncoderConfig;
use stride::vae::AutoencoderConfig;
use stride::weights::{TensorLayout, TensorSource, WeightsError};

use crate::component::class_of;
use crate::pytorch::PytorchFile;
use crate::{ModelsError, Role};

/// The tensors that the network of a configuration has no place for, sorted; none where its class is unknown here.
///
/// # Errors
/// The configuration describes no network, or the weights lack a tensor of it or have it in another shape.
pub(crate) fn without_place(
    config: &Value,
    path: &Path,
    files: &[PytorchFile],
) -> Result<Option<Vec<String>>, ModelsError> {
    let Some(class) = class_of(config) else { return Ok(None) };
    let roles = [Role::Vae, Role::TextEncoder, Role::ImageEncoder, Role::Transformer];
    let roles: Vec<Role> =
        roles.into_iter().filter(|role| role.classes().contains(&class.as_str())).collect();
    let mut used = BTreeSet::new();
    for &role in &roles {
        let shown = Shown { files, hidden: BTreeSet::new(), used: Mutex::default() };
        let first = load(role, config, path, &shown);
        let taken = shown.used.into_inner().unwrap_or_else(PoisonError::into_inner);
        match first {
            Ok(()) if role == Role::Transformer => return Ok(Some(Vec::new())),
            // All that the network has was read before; what is left is no part of it.
            Err(ModelsError::Weights(WeightsError::Unexpected { .. })) => {
                let hidden = names(files).filter(|name| !taken.contains(*name));
                let hidden = hidden.map(str::to_owned).collect();
                load(role, config, path, &Shown { files, hidden, used: Mutex::default() })?;
            }
            other => other?,
        }
        used.extend(taken);
    }
    let left: BTreeSet<&str> = names(files).filter(|name| !used.contains(*name)).collect();
    Ok((!roles.is_empty()).then(|| left.into_iter().map(str::to_owned).collect()))
}

/// Loads a network as if all its weights were 0, and drops it.
fn load(
    role: Role,
    config: &Value,
    path: &Path,
    source: &dyn TensorSource,
) -> Result<(), ModelsError> {
    let device = Device::flex();
    let bytes = config.to_string().into_bytes();
    match role {
        Role::Vae => {
            let config: AutoencoderConfig =
                serde_json::from_slice(&bytes).map_err(ModelsError::config(path))?;
            config.init(&device).map_err(ModelsError::config(path))?.load_from(source)?;
        }
        Role::TextEncoder => {
            let config = TextEncoderConfig::from_json(&bytes).map_err(ModelsError::config(path))?;
            config.init(&device).map_err(ModelsError::config(path))?.load_from(source)?;
        }
        Role::ImageEncoder => {
            let config = ClipVisionConfig::from_json(&bytes).map_err(ModelsError::config(path))?;
            config.init(&device).map_err(ModelsError::config(path))?.load_from(source)?;
        }
        // Of a transformer, a training takes what it shares, and says so.
        Role::Transformer if DitNames::of(source) == DitNames::Stride => {
            return Err(ModelsError::config(path)(
                "the configuration is that of a diffusion transformer, but no tensor has the name of one in diffusers or \
                 facebookresearch/DiT; name another entry with --key, or put the configuration of these weights there",
            ));
        }
        Role::Transformer | Role::Tokenizer => {}
    }
    Ok(())
}

fn names(files: &[PytorchFile]) -> impl Iterator<Item = &str> {
    files.iter().flat_map(PytorchFile::shapes).map(|(name, _)| name)
}

/// The weights of files with their shapes, and zeros in place of their numbers; remembers which are read.
struct Shown<'a> {
    files: &'a [PytorchFile],
    hidden: BTreeSet<String>,
    used: Mutex<BTreeSet<String>>,
}

impl TensorSource for Shown<'_> {
    fn names(&self) -> Vec<String> {
        names(self.files).filter(|name| !self.hidden.contains(*name)).map(str::to_owned).collect()
    }

    fn layout(&self, name: &str) -> Option<TensorLayout> {
        let shape = self.files.iter().find_map(|file| file.shape(name));
        let shape = shape.filter(|_| !self.hidden.contains(name))?.to_vec();
        Some(TensorLayout { dtype: Dtype::F32, shape })
    }

    fn bytes(&self, name: &str) -> Result<Cow<'_, [u8]>, WeightsError> {
        let Some(layout) = self.layout(name) else {
            let (file, tensor) = self.origin(name);
            return Err(WeightsError::Missing { file, tensor });
        };
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(Cow::Owned(vec![0; 4 * layout.shape.iter().product::<usize>()]))
    }

    fn origin(&self, name: &str) -> (String, String) {
        let of_tensor = self.files.iter().find(|file| file.shape(name).is_some());
        let file = of_tensor.or(self.files.first()).map(|file| file.path().display().to_string());
        (file.unwrap_or_default(), name.to_owned())
    }
}
