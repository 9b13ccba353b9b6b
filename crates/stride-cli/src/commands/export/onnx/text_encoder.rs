//! The text encoder as a graph: rows of the embedding table to tokens, padding mask and pooled vector.

use stride::clip::HiddenAct;
use stride::text::TextEncoderConfig;

use super::graph::{Attribute, Graph, Value, Weights};
use super::messages::DataType;

/// What both kinds of text encoder have.
struct Shape {
    width: usize,
    layers: usize,
    heads: usize,
    activation: HiddenAct,
    epsilon: f64,
    end: usize,
    queries: usize,
}

/// `token_ids` [B, L] to `tokens` [B, N + L, E], `padding_mask` [B, N + L], true where nothing is seen, and `pooled` [B, E];
/// N queries stand in front of the caption.
pub(super) fn graph<'a>(
    config: &TextEncoderConfig,
    weights: Weights<'a>,
) -> anyhow::Result<Graph<'a>> {
    let shape = match config {
        TextEncoderConfig::Clip(config) => Shape {
            width: config.hidden_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
            epsilon: config.layer_norm_eps,
            end: config.eos_token_id,
            queries: 0,
        },
        TextEncoderConfig::Query(config) => Shape {
            width: config.hidden_size,
            layers: config.num_hidden_layers,
            heads: config.num_attention_heads,
            activation: config.hidden_act,
            epsilon: config.layer_norm_eps,
            end: config.eos_token_id,
            queries: config.num_queries,
        },
    };
    let mut graph = Graph::new("text_encoder", weights);
    let g = &mut graph;
    let token_ids = g.input("token_ids", DataType::Int64, &["batch", "length"]);

    let end = end_positions(g, &token_ids, shape.end); // [B, 1]
    let sizes = g.op("Shape", &[&token_ids]);
    let [zero, one, two] = [0, 1, 2].map(|index| g.ints(&[index]));
    let batch = g.op("Slice", &[&sizes, &zero, &one]);
    let length = g.op("Slice", &[&sizes, &one, &two]);
    let positions = places(g, &length); // [1, L]
    let mut padding = g.op("Greater", &[&positions, &end]); // [B, L]

    let table = g.weight("embeddings.token_embedding.weight")?;
    let places = g.weight("embeddings.position_embedding.weight")?;
    let places = g.op("Slice", &[&places, &zero, &length]); // [L, E]
    let tokens = g.op("Gather", &[&table, &token_ids]);
    let mut x = g.op("Add", &[&tokens, &places]); // [B, L, E]
    let bias = if shape.queries == 0 {
        let columns = g.op_with("Transpose", &[&positions], &[("perm", Attribute::Ints(&[1, 0]))]);
        let is_later = g.op("Greater", &[&positions, &columns]); // [L, L]
        g.bias(&is_later)
    } else {
        let [count, width] = [shape.queries as i64, shape.width as i64];
        let queries = g.weight("queries")?;
        let sizes = g.ints(&[count, width]);
        let sizes = g.op_with("Concat", &[&batch, &sizes], &[("axis", Attribute::Int(0))]);
        let queries = g.op("Expand", &[&queries, &sizes]); // [B, N, E]
        x = g.op_with("Concat", &[&queries, &x], &[("axis", Attribute::Int(1))]);
        let seen = g.ints(&[0]);
        let to = i64::from(i32::from(DataType::Bool));
        let seen = g.op_with("Cast", &[&seen], &[("to", Attribute::Int(to))]);
        let count = g.ints(&[count]);
        let sizes = g.op_with("Concat", &[&batch, &count], &[("axis", Attribute::Int(0))]);
        let seen = g.op("Expand", &[&seen, &sizes]); // [B, N]
        padding = g.op_with("Concat", &[&seen, &padding], &[("axis", Attribute::Int(1))]);
        let mask = g.for_heads(&padding);
        g.bias(&mask)
    };
    for layer in 0..shape.layers {
        x = block(g, &x, &format!("encoder.layers.{layer}"), &bias, &shape)?;
    }
    let x = g.layer_norm(&x, "final_layer_norm", shape.epsilon)?;

    let pooled = if shape.queries == 0 {
        let at_end = [("batch_dims", Attribute::Int(1))];
        let pooled = g.op_with("GatherND", &[&x, &end], &at_end); // [B, E]
        if g.has("text_projection.weight") { g.linear(&pooled, "text_projection")? } else { pooled }
    } else {
        let count = g.ints(&[shape.queries as i64]);
        let axis = g.ints(&[1]);
        let queries = g.op("Slice", &[&x, &zero, &count, &axis]);
        g.op_with("ReduceMean", &[&queries, &axis], &[("keepdims", Attribute::Int(0))])
    };
    let width = shape.width.to_string();
    let pooled_width = config.pooled_size().to_string();
    g.output(&x, "tokens", DataType::Float, &["batch", "context", &width]);
    g.output(&padding, "padding_mask", DataType::Bool, &["batch", "context"]);
    g.output(&pooled, "pooled", DataType::Float, &["batch", &pooled_width]);
    Ok(graph)
}

/// Where the first end token of each row stands, [B, 1].
fn end_positions(g: &mut Graph<'_>, token_ids: &str, end: usize) -> Value {
    /// What files of old versions say, who mean the highest id.
    const HIGHEST: usize = 2;
    let end = if end == HIGHEST {
        let axis = g.ints(&[1]);
        g.op("ReduceMax", &[token_ids, &axis])
    } else {
        g.ints(&[end as i64])
    };
    let is_end = g.op("Equal", &[token_ids, &end]);
    let to = i64::from(i32::from(DataType::Float));
    let is_end = g.op_with("Cast", &[&is_end], &[("to", Attribute::Int(to))]);
    g.op_with("ArgMax", &[&is_end], &[("axis", Attribute::Int(1))])
}

/// 0, 1, .. up to a length [1], as [1, L].
fn places(g: &mut Graph<'_>, length: &str) -> Value {
    let axes = g.ints(&[0]);
    let length = g.op("Squeeze", &[length, &axes]);
    let [start, step] = [0, 1].map(|value| {
        let value = g.ints(&[value]);
        g.op("Squeeze", &[&value, &axes])
    });
    let places = g.op("Range", &[&start, &length, &step]);
    g.op("Unsqueeze", &[&places, &axes])
}

fn block(
    g: &mut Graph<'_>,
    x: &str,
    name: &str,
    bias: &str,
    shape: &Shape,
) -> anyhow::Result<Value> {
    let [heads, width] = [shape.heads, shape.width / shape.heads];
    let y = g.layer_norm(x, &format!("{name}.layer_norm1"), shape.epsilon)?;
    let mut of_heads = |part: &str| -> anyhow::Result<Value> {
        let y = g.linear(&y, &format!("{name}.self_attn.{part}_proj"))?;
        Ok(g.heads(&y, heads, width))
    };
    let [q, k, v] = [of_heads("q")?, of_heads("k")?, of_heads("v")?];
    let y = g.attend([&q, &k, &v], Some(bias), [heads, width]);
    let y = g.linear(&y, &format!("{name}.self_attn.out_proj"))?;
    let x = g.op("Add", &[x, &y]);
    let y = g.layer_norm(&x, &format!("{name}.layer_norm2"), shape.epsilon)?;
    let y = g.linear(&y, &format!("{name}.mlp.fc1"))?;
    let y = match shape.activation {
        HiddenAct::QuickGelu => {
            let factor = g.float(1.702);
            let scaled = g.op("Mul", &[&y, &factor]);
            let gate = g.op("Sigmoid", &[&scaled]);
            g.op("Mul", &[&y, &gate])
        }
        HiddenAct::Gelu => g.op("Gelu", &[&y]),
    };
    let y = g.linear(&y, &format!("{name}.mlp.fc2"))?;
    Ok(g.op("Add", &[&x, &y]))
}
