//! A graph that grows by one operation after the other, and the weights that it takes.

use anyhow::Context as _;
use safetensors::{Dtype, SafeTensors};

use super::messages::{
    AttributeProto, AttributeType, DataType, Dimension, DimensionProto, GraphProto, NodeProto,
    TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// The trained tensors of a network, in f32, by their names in PyTorch.
pub(super) struct Weights<'a>(SafeTensors<'a>);

impl<'a> Weights<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> anyhow::Result<Self> {
        Ok(Self(SafeTensors::deserialize(bytes)?))
    }

    fn has(&self, name: &str) -> bool {
        self.0.tensor(&self.stored(name)).is_ok()
    }

    /// Shape and bytes.
    fn get(&self, name: &str) -> anyhow::Result<(Vec<usize>, &'a [u8])> {
        let tensor = self.0.tensor(&self.stored(name)).with_context(|| name.to_owned())?;
        anyhow::ensure!(tensor.dtype() == Dtype::F32, "{name}: expected f32");
        Ok((tensor.shape().to_vec(), tensor.data()))
    }

    /// CLIP's weights have an outer name.
    fn stored(&self, name: &str) -> String {
        let outer = format!("text_model.{name}");
        if self.0.tensor(&outer).is_ok() { outer } else { name.to_owned() }
    }
}

/// The name of what an operation gives.
pub(super) type Value = String;

/// An attribute of an operation.
pub(super) enum Attribute<'a> {
    Float(f32),
    Int(i64),
    Ints(&'a [i64]),
    Text(&'a str),
}

/// A graph under construction. Methods add operations and return what these give.
pub(super) struct Graph<'a> {
    weights: Weights<'a>,
    proto: GraphProto,
}

impl<'a> Graph<'a> {
    pub(super) fn new(name: &str, weights: Weights<'a>) -> Self {
        Self { weights, proto: GraphProto { name: name.to_owned(), ..GraphProto::default() } }
    }

    pub(super) fn name(&self) -> &str {
        &self.proto.name
    }

    pub(super) fn finish(self) -> GraphProto {
        self.proto
    }

    /// An input; axes are numbers or names.
    pub(super) fn input(&mut self, name: &str, of: DataType, axes: &[&str]) -> Value {
        self.proto.input.push(described(name, of, axes));
        name.to_owned()
    }

    /// Makes a value an output of this name.
    pub(super) fn output(&mut self, value: &str, name: &str, of: DataType, axes: &[&str]) {
        self.push("Identity", &[value], name.to_owned(), &[]);
        self.proto.output.push(described(name, of, axes));
    }

    /// The value of an operation on others.
    pub(super) fn op(&mut self, kind: &str, inputs: &[&str]) -> Value {
        self.op_with(kind, inputs, &[])
    }

    pub(super) fn op_with(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute<'_>)],
    ) -> Value {
        let name = format!("{}_{}", kind.to_lowercase(), self.proto.node.len());
        self.push(kind, inputs, name.clone(), attributes);
        name
    }

    fn push(
        &mut self,
        kind: &str,
        inputs: &[&str],
        name: Value,
        attributes: &[(&str, Attribute<'_>)],
    ) {
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.clone()],
            name,
            op_type: kind.to_owned(),
            attribute: attributes.iter().map(|(name, value)| written(name, value)).collect(),
        });
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.weights.has(name)
    }

    /// A trained tensor.
    pub(super) fn weight(&mut self, name: &str) -> anyhow::Result<Value> {
        let (shape, bytes) = self.weights.get(name)?;
        self.keep(name, &shape, DataType::Float, bytes.to_vec());
        Ok(name.to_owned())
    }

    /// A trained tensor, one number a channel, for `[B, C, H, W]`.
    pub(super) fn channels(&mut self, name: &str) -> anyhow::Result<Value> {
        let (shape, bytes) = self.weights.get(name)?;
        self.keep(name, &[1, shape[0], 1, 1], DataType::Float, bytes.to_vec());
        Ok(name.to_owned())
    }

    /// A tensor of numbers.
    pub(super) fn floats(&mut self, shape: &[usize], values: &[f32]) -> Value {
        let name = format!("constant_{}", self.proto.initializer.len());
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.keep(&name, shape, DataType::Float, bytes);
        name
    }

    /// A number.
    pub(super) fn float(&mut self, value: f64) -> Value {
        self.floats(&[], &[value as f32])
    }

    /// A list of whole numbers, such as a shape.
    pub(super) fn ints(&mut self, values: &[i64]) -> Value {
        let name = format!("constant_{}", self.proto.initializer.len());
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.keep(&name, &[values.len()], DataType::Int64, bytes);
        name
    }

    fn keep(&mut self, name: &str, shape: &[usize], of: DataType, raw_data: Vec<u8>) {
        if self.proto.initializer.iter().all(|tensor| tensor.name != name) {
            self.proto.initializer.push(TensorProto {
                dims: shape.iter().map(|&length| length as i64).collect(),
                data_type: of.into(),
                name: name.to_owned(),
                raw_data,
            });
        }
    }

    /// x W^T + b, of the last axis, as PyTorch has W; b where there is one.
    pub(super) fn linear(&mut self, x: &str, name: &str) -> anyhow::Result<Value> {
        let weight = format!("{name}.weight");
        let (shape, bytes) = self.weights.get(&weight)?;
        let [rows, columns] = shape[..] else { anyhow::bail!("{weight}: expected two axes") };
        let mut transposed = Vec::with_capacity(bytes.len());
        for column in 0..columns {
            for row in 0..rows {
                let at = (row * columns + column) * 4;
                transposed.extend_from_slice(&bytes[at..at + 4]);
            }
        }
        self.keep(&weight, &[columns, rows], DataType::Float, transposed);
        let y = self.op("MatMul", &[x, &weight]);
        let bias = format!("{name}.bias");
        if !self.has(&bias) {
            return Ok(y);
        }
        let bias = self.weight(&bias)?;
        Ok(self.op("Add", &[&y, &bias]))
    }

    /// A convolution that keeps the size, of `[B, C, H, W]`.
    pub(super) fn conv(&mut self, x: &str, name: &str) -> anyhow::Result<Value> {
        self.conv_with_stride(x, name, 1)
    }

    pub(super) fn conv_with_stride(
        &mut self,
        x: &str,
        name: &str,
        stride: i64,
    ) -> anyhow::Result<Value> {
        let kernel = self.weights.get(&format!("{name}.weight"))?.0[2] as i64;
        let weight = self.weight(&format!("{name}.weight"))?;
        let bias = format!("{name}.bias");
        let pad = if stride == 1 { kernel / 2 } else { 0 };
        let attributes = [
            ("kernel_shape", Attribute::Ints(&[kernel; 2])),
            ("strides", Attribute::Ints(&[stride; 2])),
            ("pads", Attribute::Ints(&[pad; 4])),
        ];
        if self.has(&bias) {
            let bias = self.weight(&bias)?;
            Ok(self.op_with("Conv", &[x, &weight, &bias], &attributes))
        } else {
            Ok(self.op_with("Conv", &[x, &weight], &attributes))
        }
    }

    /// Every position `factor` times in both directions.
    pub(super) fn enlarged(&mut self, x: &str, factor: usize) -> Value {
        let factor = factor as f32;
        let scales = self.floats(&[4], &[1.0, 1.0, factor, factor]);
        let attributes = [
            ("mode", Attribute::Text("nearest")),
            ("nearest_mode", Attribute::Text("floor")),
            ("coordinate_transformation_mode", Attribute::Text("asymmetric")),
        ];
        self.op_with("Resize", &[x, "", &scales], &attributes)
    }

    /// A layer norm with trained scale and shift.
    pub(super) fn layer_norm(
        &mut self,
        x: &str,
        name: &str,
        epsilon: f64,
    ) -> anyhow::Result<Value> {
        let scale = self.weight(&format!("{name}.weight"))?;
        let shift = self.weight(&format!("{name}.bias"))?;
        let attributes = [("epsilon", Attribute::Float(epsilon as f32))];
        Ok(self.op_with("LayerNormalization", &[x, &scale, &shift], &attributes))
    }

    /// x / sqrt(mean(x^2) + epsilon), over the last axis.
    pub(super) fn rms_norm(&mut self, x: &str, epsilon: f64) -> Value {
        let squares = self.op("Mul", &[x, x]);
        let axes = self.ints(&[-1]);
        let mean = self.op("ReduceMean", &[&squares, &axes]);
        let epsilon = self.float(epsilon);
        let sum = self.op("Add", &[&mean, &epsilon]);
        let root = self.op("Sqrt", &[&sum]);
        self.op("Div", &[x, &root])
    }

    pub(super) fn silu(&mut self, x: &str) -> Value {
        let gate = self.op("Sigmoid", &[x]);
        self.op("Mul", &[x, &gate])
    }

    /// The parts of the last axis, of equal widths.
    pub(super) fn chunks<const N: usize>(&mut self, x: &str) -> [Value; N] {
        let name = format!("split_{}", self.proto.node.len());
        let parts = std::array::from_fn(|part| format!("{name}_{part}"));
        self.push(
            "Split",
            &[x],
            name,
            &[("axis", Attribute::Int(-1)), ("num_outputs", Attribute::Int(N as i64))],
        );
        if let Some(node) = self.proto.node.last_mut() {
            node.output = parts.to_vec();
        }
        parts
    }

    /// `[B, T, D]` to `[B, N, T, D / N]`.
    pub(super) fn heads(&mut self, x: &str, count: usize, width: usize) -> Value {
        let shape = self.ints(&[0, 0, count as i64, width as i64]);
        let x = self.op("Reshape", &[x, &shape]);
        self.op_with("Transpose", &[&x], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))])
    }

    /// softmax(q k^T / sqrt(width) + bias) v of heads, put together as `[B, T, D]`.
    pub(super) fn attend(
        &mut self,
        [q, k, v]: [&str; 3],
        bias: Option<&str>,
        [count, width]: [usize; 2],
    ) -> Value {
        let k = self.op_with("Transpose", &[k], &[("perm", Attribute::Ints(&[0, 1, 3, 2]))]);
        let scale = self.float((width as f64).powf(-0.5));
        let q = self.op("Mul", &[q, &scale]);
        let mut scores = self.op("MatMul", &[&q, &k]);
        if let Some(bias) = bias {
            scores = self.op("Add", &[&scores, bias]);
        }
        let scores = self.op_with("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
        let mixed = self.op("MatMul", &[&scores, v]);
        let mixed =
            self.op_with("Transpose", &[&mixed], &[("perm", Attribute::Ints(&[0, 2, 1, 3]))]);
        let shape = self.ints(&[0, 0, (count * width) as i64]);
        self.op("Reshape", &[&mixed, &shape])
    }

    /// What is added to scores so that a position is not seen where `hidden`, `[.., L]`, is true.
    pub(super) fn bias(&mut self, hidden: &str) -> Value {
        const HIDDEN_SCORE: f64 = -3e4;
        let to = i64::from(i32::from(DataType::Float));
        let hidden = self.op_with("Cast", &[hidden], &[("to", Attribute::Int(to))]);
        let score = self.float(HIDDEN_SCORE);
        self.op("Mul", &[&hidden, &score])
    }

    /// `[B, L]` to `[B, 1, 1, L]`.
    pub(super) fn for_heads(&mut self, mask: &str) -> Value {
        let axes = self.ints(&[1, 2]);
        self.op("Unsqueeze", &[mask, &axes])
    }
}

fn described(name: &str, of: DataType, axes: &[&str]) -> ValueInfoProto {
    let dimension = |axis: &&str| {
        let value =
            axis.parse().map_or_else(|_| Dimension::Param((*axis).to_owned()), Dimension::Value);
        DimensionProto { value: Some(value) }
    };
    let shape = TensorShapeProto { dim: axes.iter().map(dimension).collect() };
    let tensor = TensorTypeProto { elem_type: of.into(), shape: Some(shape) };
    let r#type = Some(TypeProto { tensor_type: Some(tensor) });
    ValueInfoProto { name: name.to_owned(), r#type }
}

fn written(name: &str, value: &Attribute<'_>) -> AttributeProto {
    let mut proto = AttributeProto { name: name.to_owned(), ..AttributeProto::default() };
    let of = match value {
        Attribute::Float(value) => {
            proto.f = Some(*value);
            AttributeType::Float
        }
        Attribute::Int(value) => {
            proto.i = Some(*value);
            AttributeType::Int
        }
        Attribute::Ints(values) => {
            proto.ints = values.to_vec();
            AttributeType::Ints
        }
        Attribute::Text(text) => {
            proto.s = Some(text.as_bytes().to_vec());
            AttributeType::String
        }
    };
    proto.r#type = of.into();
    proto
}
