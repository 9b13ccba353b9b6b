//! The CLIP text encoder against `transformers` (fixture: `parity/export_clip.py`).

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use stride::clip::{ClipTextConfig, ClipTextModel};
use stride::weights;

const FIXTURE: &[u8] = include_bytes!("../fixtures/clip.safetensors");

fn config(case: &str) -> ClipTextConfig {
    let (_, header) = SafeTensors::read_metadata(FIXTURE).expect("the fixture");
    let metadata = header.metadata().clone().expect("metadata");
    ClipTextConfig::from_json(metadata[&format!("{case}.config")].as_bytes()).expect("a config")
}

fn tensor<const D: usize>(name: &str, device: &Device) -> Tensor<D> {
    weights::tensor("clip.safetensors", FIXTURE, name, device).expect("a tensor")
}

fn token_ids(device: &Device) -> Tensor<2, Int> {
    let file = SafeTensors::deserialize(FIXTURE).expect("the fixture");
    let view = file.tensor("token_ids").expect("a tensor");
    let values: Vec<i32> =
        view.data().chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Tensor::from_data(TensorData::new(values, view.shape().to_vec()), device)
}

fn load<M: Module>(module: M, prefix: &str) -> M {
    weights::load(module, "clip.safetensors", FIXTURE, prefix).expect("weights that fit")
}

fn check<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let largest: f32 = expected.clone().abs().max().into_scalar();
    let error: f32 = (found - expected).abs().max().into_scalar();
    println!("{what}: largest value {largest:.3}, largest error {error:.2e}");
    assert!(error <= tolerance * largest.max(1.0), "{what}: error {error:.2e}");
}

fn compare(case: &str, model: ClipTextModel, device: &Device) {
    let context = model.forward(token_ids(device));
    check(
        &format!("{case} tokens"),
        context.tokens,
        tensor(&format!("{case}.tokens"), device),
        1e-5,
    );
    check(
        &format!("{case} pooled"),
        context.pooled.clone(),
        tensor(&format!("{case}.pooled"), device),
        1e-5,
    );

    let direction = tensor::<2>(&format!("{case}.direction"), device);
    let grads = (context.pooled * direction).sum().backward();
    let transformer = &model.text_model;
    let embedding =
        transformer.embeddings.token_embedding.weight.val().grad(&grads).expect("a gradient");
    let plain = device.clone().inner();
    check(
        &format!("{case} embedding gradient"),
        embedding,
        tensor(&format!("{case}.token_embedding_grad"), &plain),
        1e-4,
    );
    let query = transformer.encoder.layers[0]
        .self_attn
        .q_proj
        .weight
        .val()
        .grad(&grads)
        .expect("a gradient");
    check(
        &format!("{case} query gradient"),
        query.transpose(),
        tensor(&format!("{case}.query_grad"), &plain),
        1e-4,
    );
}

#[test]
fn quick_gelu_with_projection_equals_transformers() {
    let device = Device::flex().autodiff();
    let model = config("projected").init(&device).expect("a model");
    compare("projected", load(model, "projected.weights."), &device);
}

#[test]
fn gelu_with_the_old_end_token_equals_transformers() {
    let device = Device::flex().autodiff();
    let mut model = config("plain").init(&device).expect("a model");
    model.text_model = load(model.text_model, "plain.weights.");
    compare("plain", model, &device);
}
