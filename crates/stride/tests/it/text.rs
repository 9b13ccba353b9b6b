//! The query text encoder against an implementation in PyTorch's layers (fixture: `parity/export_query_text.py`).

use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use stride::text::QueryTextConfig;
use stride::weights;

const FIXTURE: &[u8] = include_bytes!("../fixtures/query_text.safetensors");

fn config() -> QueryTextConfig {
    let (_, header) = SafeTensors::read_metadata(FIXTURE).expect("the fixture");
    let metadata = header.metadata().clone().expect("metadata");
    QueryTextConfig::from_json(metadata["config"].as_bytes()).expect("a config")
}

fn tensor<const D: usize>(name: &str, device: &Device) -> Tensor<D> {
    weights::tensor("query_text.safetensors", FIXTURE, name, device).expect("a tensor")
}

fn token_ids(device: &Device) -> Tensor<2, Int> {
    let file = SafeTensors::deserialize(FIXTURE).expect("the fixture");
    let view = file.tensor("token_ids").expect("a tensor");
    let values: Vec<i32> =
        view.data().chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Tensor::from_data(TensorData::new(values, view.shape().to_vec()), device)
}

fn check<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>, tolerance: f32) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    let largest: f32 = expected.clone().abs().max().into_scalar();
    let error: f32 = (found - expected).abs().max().into_scalar();
    println!("{what}: largest value {largest:.3}, largest error {error:.2e}");
    assert!(error <= tolerance * largest.max(1.0), "{what}: error {error:.2e}");
}

#[test]
fn states_and_gradients_equal_those_of_pytorch() {
    let device = Device::flex().autodiff();
    let model = config().init(&device).expect("a model");
    let model = weights::load(model, "query_text.safetensors", FIXTURE, "weights.").expect("fits");
    let context = model.forward(token_ids(&device));
    let shown = tensor::<2>("shown", &device);
    check("mask", context.padding_mask.float(), shown.clone().neg() + 1.0, 0.0);
    let tokens = context.tokens * shown.unsqueeze_dim(2);
    check("tokens", tokens.clone(), tensor("tokens", &device), 1e-5);
    check("pooled", context.pooled.clone(), tensor("pooled", &device), 1e-5);

    let of_tokens = (tokens * tensor("direction", &device)).sum();
    let of_pooled = (context.pooled * tensor("pooled_direction", &device)).sum();
    let grads = (of_tokens + of_pooled).backward();
    let plain = device.inner();
    let gradient = |name: &str| tensor::<2>(&format!("gradients.{name}"), &plain);
    let queries = model.queries.val().grad(&grads).expect("a gradient");
    check("gradient of the queries", queries, gradient("queries"), 1e-4);
    let words = model.embeddings.token_embedding.weight.val().grad(&grads).expect("a gradient");
    check("gradient of the words", words, gradient("embeddings.token_embedding.weight"), 1e-4);
    let name = "encoder.layers.0.self_attn.q_proj.weight";
    let q_proj = &model.encoder.layers[0].self_attn.q_proj.weight;
    let q_proj = q_proj.val().grad(&grads).expect("a gradient").transpose();
    check("gradient of a projection", q_proj, gradient(name), 1e-4);
}
