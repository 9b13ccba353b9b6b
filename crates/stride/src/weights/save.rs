//! Writing a module's weights.

use std::collections::HashMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use half::bf16;
use safetensors::tensor::{Dtype, TensorView};

use super::WeightsError;
use super::names::{Path, transpose};
use crate::floats::floats;

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredDtype {
    /// 32 bits a number, exact.
    F32,
    /// 16 bits a number with the range of f32 and 8 bits of precision; for models to ship.
    Bf16,
}

/// The bytes of a safetensors file with all parameters of a module, named under `prefix`.
///
/// The same weights and metadata give the same bytes.
///
/// # Errors
/// The safetensors library refuses, which names no case of ours.
pub fn save<M: Module>(
    module: &M,
    prefix: &str,
    dtype: StoredDtype,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, WeightsError> {
    let mut saver = Saver { prefix, dtype, path: Path::default(), tensors: Vec::new() };
    module.visit(&mut saver);
    let stored = match dtype {
        StoredDtype::F32 => Dtype::F32,
        StoredDtype::Bf16 => Dtype::BF16,
    };
    let views = saver.tensors.iter().map(|(name, shape, bytes)| {
        Ok((name.as_str(), TensorView::new(stored, shape.clone(), bytes)?))
    });
    let views = views.collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    // The format's writer sorts tensors; a map of one key has one order too.
    let metadata = metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    let metadata: HashMap<String, String> = metadata.collect();
    Ok(safetensors::serialize(views, (!metadata.is_empty()).then_some(metadata))?)
}

struct Saver<'a> {
    prefix: &'a str,
    dtype: StoredDtype,
    path: Path,
    tensors: Vec<(String, Vec<usize>, Vec<u8>)>,
}

impl ModuleVisitor for Saver<'_> {
    fn enter_module(&mut self, name: &str, container_type: &str) {
        self.path.enter(name, container_type);
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.exit();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let mut shape = param.lazy_shape().to_vec();
        let mut values = floats(param.val());
        if let (true, &[rows, cols]) = (self.path.is_transposed(), shape.as_slice()) {
            values = transpose(rows, cols, |index| values[index]);
            shape.reverse();
        }
        let bytes = match self.dtype {
            StoredDtype::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            StoredDtype::Bf16 => {
                values.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect()
            }
        };
        self.tensors.push((self.path.file_name(self.prefix), shape, bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::load;
    use burn::module::Initializer;
    use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
    use burn::tensor::{Device, Distribution};

    #[derive(Module, Debug)]
    struct Net {
        layers: Vec<Linear>,
        norm: LayerNorm,
        scale: Param<Tensor<1>>,
        head: Option<Linear>,
    }

    fn net(hidden: usize) -> Net {
        let device = Device::flex();
        let mut norm = LayerNormConfig::new(hidden).init(&device);
        norm.gamma = Param::from_tensor(Tensor::random([hidden], Distribution::Default, &device));
        Net {
            layers: vec![
                LinearConfig::new(2, hidden).init(&device),
                LinearConfig::new(hidden, 4).init(&device),
            ],
            norm,
            scale: Initializer::Normal { mean: 0.0, std: 1.0 }.init([3], &device),
            head: None,
        }
    }

    fn bytes(net: &Net, dtype: StoredDtype) -> Vec<u8> {
        save(net, "net.", dtype, &[]).expect("serialisable")
    }

    fn error(hidden: usize, bytes: &[u8]) -> String {
        load(net(hidden), "w.safetensors", bytes, "net.").expect_err("must fail").to_string()
    }

    #[test]
    fn a_round_trip_changes_nothing_and_uses_torch_names_and_layout() {
        let original = net(3);
        let stored = bytes(&original, StoredDtype::F32);
        let file = safetensors::SafeTensors::deserialize(&stored).expect("valid");
        let mut names = file.names();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "net.layers.0.bias",
                "net.layers.0.weight",
                "net.layers.1.bias",
                "net.layers.1.weight",
                "net.norm.bias",
                "net.norm.weight",
                "net.scale",
            ]
        );
        assert_eq!(file.tensor("net.layers.0.weight").expect("there").shape(), [3, 2]);
        let loaded = load(net(3), "w", &stored, "net.").expect("fits");
        assert_eq!(stored, bytes(&loaded, StoredDtype::F32));
        loaded.layers[1]
            .weight
            .val()
            .into_data()
            .assert_eq(&original.layers[1].weight.val().into_data(), true);
    }

    #[test]
    fn bf16_keeps_eight_bits() {
        let original = net(3);
        let loaded = load(net(3), "w", &bytes(&original, StoredDtype::Bf16), "net.").expect("fits");
        let difference =
            (loaded.scale.val() - original.scale.val()).abs() / original.scale.val().abs();
        assert!(difference.max().into_scalar::<f32>() <= 1.0 / 256.0);
    }

    #[test]
    fn errors_name_file_and_tensor() {
        let stored = bytes(&net(3), StoredDtype::F32);
        let message = error(5, &stored);
        assert!(
            message.contains("w.safetensors") && message.contains("net.layers.0.weight"),
            "{message}"
        );
        assert!(message.contains("[5, 2]") && message.contains("[3, 2]"), "{message}");
        assert!(error(3, &stored[..stored.len() - 1]).contains("not a complete safetensors file"));

        let missing = save(&net(3).norm, "net.norm.", StoredDtype::F32, &[]).expect("serialisable");
        assert!(error(3, &missing).contains("net.layers.0.weight is missing"));

        let mut larger = net(3);
        larger.head = Some(LinearConfig::new(1, 1).init(&Device::flex()));
        assert!(
            error(3, &bytes(&larger, StoredDtype::F32)).contains("net.head.bias is unexpected")
        );

        let mut broken = net(3);
        broken.scale =
            Param::from_tensor(Tensor::from_floats([0.0, f32::NAN, 1.0], &Device::flex()));
        let message = error(3, &bytes(&broken, StoredDtype::F32));
        assert!(message.contains("net.scale") && message.contains("value 1 is NaN"), "{message}");
    }
}
