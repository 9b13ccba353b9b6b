//! The transformer as a graph: the velocity s(x_t, t, d | text).

use burn::tensor::Device;
use stride::dit::{DitConfig, MlpKind, NormKind, sincos_2d};

use super::graph::{Attribute, Graph, Value, Weights};
use super::messages::DataType;

/// Epsilon of all norms.
const EPSILON: f64 = 1e-6;
/// Sines, and as many cosines, of an embedded number.
const FREQUENCIES: usize = 128;

/// `x_t` [B, C, H, W], `t` [B], `log2_steps` [B], and of the text encoder's outputs those that the model uses, `tokens` and
/// `padding_mask` or `pooled` or both, to `velocity`; with `guidance_scale` [B] where that is an input.
pub(super) fn graph<'a>(config: &DitConfig, weights: Weights<'a>) -> anyhow::Result<Graph<'a>> {
    let mut graph = Graph::new("transformer", weights);
    let g = &mut graph;
    let [channels, side, width] =
        [config.in_channels, config.input_size, config.context_dim].map(|size| size.to_string());
    let latents = ["batch", &*channels, &*side, &*side];
    let x_t = g.input("x_t", DataType::Float, &latents);
    let t = g.input("t", DataType::Float, &["batch"]);
    let log2_steps = g.input("log2_steps", DataType::Float, &["batch"]);
    let text = if config.text_conditioning.uses_tokens() {
        let tokens = g.input("tokens", DataType::Float, &["batch", "context", &width]);
        let padding = g.input("padding_mask", DataType::Bool, &["batch", "context"]);
        let padding = g.for_heads(&padding);
        Some((tokens, g.bias(&padding)))
    } else {
        None
    };

    let scale = g.float(config.time_scale);
    let scaled = g.op("Mul", &[&t, &scale]);
    let mut condition = embedded(g, &scaled, "t_embedder")?;
    let level = embedded(g, &log2_steps, "step_embedder")?;
    condition = g.op("Add", &[&condition, &level]);
    if config.guidance_input {
        let guidance = g.input("guidance_scale", DataType::Float, &["batch"]);
        let one = g.float(1.0);
        let inverse = g.op("Div", &[&one, &guidance]);
        let strength = g.op("Sub", &[&one, &inverse]);
        let strength = g.op("Mul", &[&strength, &scale]);
        let guidance = embedded(g, &strength, "guidance_embedder")?;
        condition = g.op("Add", &[&condition, &guidance]);
    }
    if config.text_conditioning.uses_pooled() {
        let pooled = g.input("pooled", DataType::Float, &["batch", &width]);
        let pooled = g.linear(&pooled, "pooled_projection")?;
        condition = g.op("Add", &[&condition, &pooled]);
    }
    let condition = g.silu(&condition);
    let axes = g.ints(&[1]);
    let condition = g.op("Unsqueeze", &[&condition, &axes]); // [B, 1, D]

    let mut x = patches(g, &x_t, config)?;
    let rotary = config.rope.then(|| rotary(g, config));
    for block in 0..config.depth {
        let text = text.as_ref().map(|(tokens, bias)| [&**tokens, &**bias]);
        let name = format!("blocks.{block}");
        x = self::block(g, &x, &name, &condition, text, rotary.as_ref(), config)?;
    }
    let modulation = g.linear(&condition, "final_layer.modulation")?;
    let [shift, scale] = g.chunks(&modulation);
    let x = modulated(g, &x, &shift, &scale, config);
    let x = g.linear(&x, "final_layer.linear")?; // [B, T, p p C]
    let x = image(g, &x, config);
    g.output(&x, "velocity", DataType::Float, &latents);
    Ok(graph)
}

/// A number an image: cosines and sines, linear, SiLU, linear; [B, D].
fn embedded(g: &mut Graph<'_>, value: &str, name: &str) -> anyhow::Result<Value> {
    let frequency = |at: usize| 10_000_f64.powf(-(at as f64) / FREQUENCIES as f64) as f32;
    let frequencies: Vec<f32> = (0..FREQUENCIES).map(frequency).collect();
    let frequencies = g.floats(&[1, FREQUENCIES], &frequencies);
    let axes = g.ints(&[1]);
    let value = g.op("Unsqueeze", &[value, &axes]);
    let angle = g.op("Mul", &[&value, &frequencies]);
    let [cosine, sine] = ["Cos", "Sin"].map(|wave| g.op(wave, &[&angle]));
    let waves = g.op_with("Concat", &[&cosine, &sine], &[("axis", Attribute::Int(1))]);
    let hidden = g.linear(&waves, &format!("{name}.linear_1"))?;
    let hidden = g.silu(&hidden);
    g.linear(&hidden, &format!("{name}.linear_2"))
}

/// [B, C, H, W] to [B, T, D] with positions.
fn patches(g: &mut Graph<'_>, x_t: &str, config: &DitConfig) -> anyhow::Result<Value> {
    let x = g.conv_with_stride(x_t, "x_embedder.proj", config.patch_size as i64)?;
    let shape = g.ints(&[0, config.hidden_size as i64, -1]);
    let x = g.op("Reshape", &[&x, &shape]);
    let x = g.op_with("Transpose", &[&x], &[("perm", Attribute::Ints(&[0, 2, 1]))]);
    let side = config.input_size / config.patch_size;
    let codes = sincos_2d(side, config.hidden_size, &Device::flex());
    let shape = codes.dims();
    let codes: Vec<f32> = codes.into_data().iter().collect();
    let codes = g.floats(&shape, &codes);
    Ok(g.op("Add", &[&x, &codes]))
}

/// [B, T, p p C] to [B, C, H, W].
fn image(g: &mut Graph<'_>, x: &str, config: &DitConfig) -> Value {
    let [side, patch, channels] =
        [config.input_size / config.patch_size, config.patch_size, config.in_channels]
            .map(|size| size as i64);
    let shape = g.ints(&[-1, side, side, patch, patch, channels]);
    let x = g.op("Reshape", &[x, &shape]);
    let x = g.op_with("Transpose", &[&x], &[("perm", Attribute::Ints(&[0, 5, 1, 3, 2, 4]))]);
    let shape = g.ints(&[-1, channels, side * patch, side * patch]);
    g.op("Reshape", &[&x, &shape])
}

/// Cosines and sines [T, head] by which queries and keys turn: the first half of the pairs by column, the second by row.
fn rotary(g: &mut Graph<'_>, config: &DitConfig) -> [Value; 2] {
    let (side, head) = (config.input_size / config.patch_size, config.head_dim());
    let quarter = head / 4;
    let angle = |token: usize, pair: usize| {
        let place = if pair < quarter { token % side } else { token / side };
        place as f64 * 10_000_f64.powf(-((pair % quarter) as f64) / quarter as f64)
    };
    [f64::cos, f64::sin].map(|wave: fn(f64) -> f64| {
        let row = |token| (0..head).map(move |at| wave(angle(token, at % (head / 2))) as f32);
        let values: Vec<f32> = (0..side * side).flat_map(row).collect();
        g.floats(&[side * side, head], &values)
    })
}

/// x turned: x cos + (-b, a) sin, a and b the halves of x.
fn turned(g: &mut Graph<'_>, x: &str, [cosine, sine]: &[Value; 2]) -> Value {
    let [a, b] = g.chunks(x);
    let minus = g.op("Neg", &[&b]);
    let other = g.op_with("Concat", &[&minus, &a], &[("axis", Attribute::Int(-1))]);
    let [x, other] = [(x, cosine), (&*other, sine)].map(|(x, wave)| g.op("Mul", &[x, wave]));
    g.op("Add", &[&x, &other])
}

fn block(
    g: &mut Graph<'_>,
    x: &str,
    name: &str,
    condition: &str,
    text: Option<[&str; 2]>,
    rotary: Option<&[Value; 2]>,
    config: &DitConfig,
) -> anyhow::Result<Value> {
    let modulation = g.linear(condition, &format!("{name}.modulation"))?;
    let [shift_1, scale_1, gate_1, shift_2, scale_2, gate_2] = g.chunks(&modulation);
    let y = modulated(g, x, &shift_1, &scale_1, config);
    let qkv = g.linear(&y, &format!("{name}.attn.qkv"))?;
    let qkv = g.chunks::<3>(&qkv);
    let y = attention(g, &qkv, &format!("{name}.attn"), None, rotary, config)?;
    let y = g.linear(&y, &format!("{name}.attn.proj"))?;
    let y = g.op("Mul", &[&gate_1, &y]);
    let mut x = g.op("Add", &[x, &y]);
    if let Some([tokens, bias]) = text {
        let name = format!("{name}.cross_attn");
        let y = norm(g, &x, config);
        let qkv = [
            g.linear(&y, &format!("{name}.to_q"))?,
            g.linear(tokens, &format!("{name}.to_k"))?,
            g.linear(tokens, &format!("{name}.to_v"))?,
        ];
        let y = attention(g, &qkv, &name, Some(bias), None, config)?;
        let y = g.linear(&y, &format!("{name}.to_out"))?;
        x = g.op("Add", &[&x, &y]);
    }
    let y = modulated(g, &x, &shift_2, &scale_2, config);
    let y = g.linear(&y, &format!("{name}.mlp.fc1"))?;
    let y = match config.mlp {
        MlpKind::Gelu => g.op_with("Gelu", &[&y], &[("approximate", Attribute::Text("tanh"))]),
        MlpKind::Swiglu => {
            let [gate, value] = g.chunks(&y);
            let gate = g.silu(&gate);
            g.op("Mul", &[&gate, &value])
        }
    };
    let y = g.linear(&y, &format!("{name}.mlp.fc2"))?;
    let y = g.op("Mul", &[&gate_2, &y]);
    Ok(g.op("Add", &[&x, &y]))
}

fn attention(
    g: &mut Graph<'_>,
    [q, k, v]: &[Value; 3],
    name: &str,
    bias: Option<&str>,
    rotary: Option<&[Value; 2]>,
    config: &DitConfig,
) -> anyhow::Result<Value> {
    let [heads, width] = [config.num_heads, config.head_dim()];
    let mut prepared = |x: &str, norm: &str| -> anyhow::Result<Value> {
        let mut x = g.heads(x, heads, width);
        if config.qk_norm {
            let scale = g.weight(&format!("{name}.{norm}.weight"))?;
            let y = g.rms_norm(&x, EPSILON);
            x = g.op("Mul", &[&y, &scale]);
        }
        Ok(match rotary {
            Some(rotary) => turned(g, &x, rotary),
            None => x,
        })
    };
    let [q, k] = [prepared(q, "q_norm")?, prepared(k, "k_norm")?];
    let v = g.heads(v, heads, width);
    Ok(g.attend([&q, &k, &v], bias, [heads, width]))
}

/// norm(x) (1 + scale) + shift.
fn modulated(g: &mut Graph<'_>, x: &str, shift: &str, scale: &str, config: &DitConfig) -> Value {
    let x = norm(g, x, config);
    let one = g.float(1.0);
    let factor = g.op("Add", &[scale, &one]);
    let x = g.op("Mul", &[&x, &factor]);
    g.op("Add", &[&x, shift])
}

/// A norm without weights of its own.
fn norm(g: &mut Graph<'_>, x: &str, config: &DitConfig) -> Value {
    match config.norm {
        NormKind::RmsNorm => g.rms_norm(x, EPSILON),
        NormKind::LayerNorm => {
            let ones = g.floats(&[config.hidden_size], &vec![1.0; config.hidden_size]);
            let epsilon = [("epsilon", Attribute::Float(EPSILON as f32))];
            g.op_with("LayerNormalization", &[x, &ones], &epsilon)
        }
    }
}
