//! What a component is, from its configuration and the headers of its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use stride::weights::TensorSource as _;

use crate::component::class_of;
use crate::role::CONFIG;
use crate::{FolderTensors, ModelsError, WeightFiles};

/// Suffixes of the tensors whose shapes are most informative, of any class.
const TELLING: [&str; 15] = [
    "queries",
    "token_embedding.weight",
    "position_embedding.weight",
    "patch_embedding.weight",
    "text_projection.weight",
    "visual_projection.weight",
    "encoder.conv_in.weight",
    "decoder.conv_in.weight",
    "quant_conv.weight",
    "encoder.layers.0.weight",
    "decoder.layers.0.weight",
    "x_embedder.proj.weight",
    "pos_embed.proj.weight",
    "final_layer.linear.weight",
    "proj_out_2.weight",
];
/// Prefixes of numbered layers and blocks.
const STACKS: [&str; 3] = ["encoder.layers.", "blocks.", "transformer_blocks."];

/// A component as stored on disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// Its class, if the configuration names one.
    pub class: Option<String>,
    /// Names of the files of its weights.
    pub files: Vec<String>,
    /// Number of tensors.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: usize,
    /// Number of tensors by storage type.
    pub dtypes: BTreeMap<String, usize>,
    /// Number of layers or blocks by stack.
    pub stacks: BTreeMap<String, usize>,
    /// Shapes that show the network's inputs and outputs.
    pub shapes: BTreeMap<String, Vec<usize>>,
}

impl Description {
    /// Reads configuration and headers; the weights themselves stay on the disk.
    ///
    /// # Errors
    /// A file is damaged, or there are no loadable weights.
    pub fn of(dir: &Path) -> Result<Self, ModelsError> {
        let config = dir.join(CONFIG);
        let class = if config.exists() {
            let bytes = stride_files::read_file(&config).map_err(ModelsError::io(&config))?;
            let value = serde_json::from_slice(&bytes).map_err(ModelsError::config(&config))?;
            class_of(&value)
        } else {
            None
        };
        let files = WeightFiles::find(dir)?;
        let source = FolderTensors::open(&files)?;
        let name = |path: &std::path::PathBuf| {
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        };
        let mut description = Self {
            class,
            files: files.paths().iter().map(name).collect(),
            tensors: 0,
            parameters: 0,
            dtypes: BTreeMap::new(),
            stacks: BTreeMap::new(),
            shapes: BTreeMap::new(),
        };
        let mut numbered = BTreeSet::new();
        for name in source.names() {
            let Some(layout) = source.layout(&name) else { continue };
            description.tensors += 1;
            description.parameters += layout.shape.iter().product::<usize>();
            *description.dtypes.entry(format!("{:?}", layout.dtype)).or_default() += 1;
            numbered.extend(stack_and_number(&name));
            if TELLING.iter().any(|end| is_or_ends_in(&name, end)) {
                description.shapes.insert(name, layout.shape);
            }
        }
        for (stack, _) in numbered {
            *description.stacks.entry(stack).or_default() += 1;
        }
        Ok(description)
    }
}

/// Whether the name is `end`, or ends in a dot and `end`.
fn is_or_ends_in(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|start| start.is_empty() || start.ends_with('.'))
}

/// `text_model.encoder.layers.3.mlp.fc1.bias` is of layer 3 of the stack `text_model.encoder.layers`.
fn stack_and_number(name: &str) -> Option<(String, usize)> {
    let at = |stack: &&str| {
        let (start, rest) = name.split_once(*stack)?;
        let is_whole = start.is_empty() || start.ends_with('.');
        let number = rest.split('.').next()?.parse().ok()?;
        is_whole.then(|| (format!("{start}{}", stack.trim_end_matches('.')), number))
    };
    STACKS.iter().find_map(at)
}
