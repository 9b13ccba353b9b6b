//! Weights of other diffusion transformers compute in ours what they compute there.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use stride::context::TextContext;
use stride::dit::{Dit, DitConfig, DitNames};
use stride::weights::{LoadReport, TensorSource};
use stride_models::{Component, FolderTensors, Role, WeightFiles, import};

use crate::expected::{check, expected, folder};

fn config() -> DitConfig {
    DitConfig {
        input_size: 4,
        patch_size: 2,
        in_channels: 3,
        hidden_size: 8,
        depth: 2,
        num_heads: 2,
        context_dim: 8,
        time_scale: 1000.0,
        ..DitConfig::s(2)
    }
}

/// Makes the step size say nothing and the pooled text enter as it is, so that it can play the class.
struct TextIsClass {
    path: Vec<String>,
}

impl ModuleMapper for TextIsClass {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match (self.path.first().map(String::as_str), self.path.last().map(String::as_str)) {
            (Some("step_embedder"), _) | (Some("pooled_projection"), Some("bias")) => {
                param.map(|x| x.zeros_like())
            }
            (Some("pooled_projection"), _) => param.map(|x| {
                let [rows, cols] = [x.dims()[0], x.dims()[1]];
                Tensor::<2>::eye(rows, &x.device()).reshape([rows, cols]).reshape(x.shape())
            }),
            _ => param,
        }
    }
}

fn compare(case: &str, tensors: &dyn TensorSource, names: DitNames) -> LoadReport {
    assert_eq!(DitNames::of(tensors), names);
    let device = Device::flex();
    let model = config().init(&device).expect("valid");
    let (model, report): (Dit, _) = model.load_shared(tensors).expect("fits");
    let model = model.map(&mut TextIsClass { path: Vec::new() });
    let class: Tensor<2> = expected(&format!("{case}.class_embedding"));
    let [batch, width] = class.dims();
    let context = TextContext {
        tokens: Tensor::zeros([batch, 1, width], &device),
        padding_mask: Tensor::<2>::zeros([batch, 1], &device).bool(),
        pooled: class,
    };
    let t: Tensor<1> = expected(&format!("{case}.t"));
    let answer = model.forward(
        expected(&format!("{case}.x")),
        t / 1000.0,
        Tensor::zeros([batch], &device),
        &context,
    );
    check(case, answer, expected(&format!("{case}.answer")));
    report
}

const FRESH: [&str; 6] = [
    "pooled_projection.bias",
    "pooled_projection.weight",
    "step_embedder.linear_1.bias",
    "step_embedder.linear_1.weight",
    "step_embedder.linear_2.bias",
    "step_embedder.linear_2.weight",
];

fn imported(file: &str, out: &Path) -> FolderTensors {
    let report = import(&folder("dit").join(file), out, None).expect("importable");
    assert!(report.config_from_shapes);
    assert_eq!(report.class.as_deref(), Some("DiT"));
    assert_eq!(report.key.as_deref(), (file == "trained.pt").then_some("ema"));
    let component = Component::open(out, Role::Transformer).expect("a component");
    let config: serde_json::Value =
        serde_json::from_slice(&component.config().expect("DiT")).expect("JSON");
    assert_eq!((&config["input_size"], &config["depth"]), (&4.into(), &2.into()));
    assert_eq!((&config["learn_sigma"], &config["in_channels"]), (&true.into(), &3.into()));
    component.tensors().expect("weights")
}

#[test]
fn facebooks_transformer_is_taken_without_its_variance() {
    let place = tempfile::tempdir().expect("folder");
    for file in ["dit.pt", "trained.pt"] {
        let tensors = imported(file, &place.path().join(file));
        let report = compare("dit", &tensors, DitNames::Facebook);
        assert_eq!(report.fresh, FRESH);
        assert_eq!(report.left_out, ["pos_embed", "y_embedder.embedding_table.weight"]);
    }
}

#[test]
fn diffusers_transformer_is_taken() {
    let files = WeightFiles::find(&folder("dit_diffusers")).expect("weights");
    let tensors = FolderTensors::open(&files).expect("whole");
    let report = compare("dit_diffusers", &tensors, DitNames::Diffusers);
    assert_eq!(report.fresh, FRESH);
    let is_known = |name: &String| {
        name.contains("class_embedder") || name.starts_with("transformer_blocks.1.norm1.emb.")
    };
    assert!(report.left_out.iter().all(is_known), "{:?}", report.left_out);
    assert_eq!(report.taken.len() + report.fresh.len(), names_of_ours());
}

fn names_of_ours() -> usize {
    let model = config().init(&Device::flex()).expect("valid");
    let bytes = stride::weights::save(&model, "", stride::weights::StoredDtype::F32, &[]);
    let bytes = bytes.expect("serialisable");
    safetensors::SafeTensors::deserialize(&bytes).expect("whole").len()
}

#[test]
fn another_shape_is_named() {
    let files = WeightFiles::find(&folder("dit_diffusers")).expect("weights");
    let tensors = FolderTensors::open(&files).expect("whole");
    let wider = DitConfig { in_channels: 4, ..config() }.init(&Device::flex()).expect("valid");
    let text = wider.load_shared(&tensors).expect_err("another shape").to_string();
    assert!(text.contains("pos_embed.proj.weight") && text.contains("[8, 4, 2, 2]"), "{text}");
}
