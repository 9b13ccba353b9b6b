//! The attributes that a data set names: what classifiers and text encoders are trained to tell.

use std::collections::BTreeSet;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use stride::classifier::Attribute;
use stride_data::CaptionedImage;

/// The attributes that images name, sorted, with every value that occurs; those with one value are left out.
///
/// # Errors
/// No attribute has values that differ.
pub(crate) fn attributes_of(images: &[CaptionedImage]) -> Result<Vec<Attribute>, String> {
    let names: Vec<&String> =
        images.iter().take(1).flat_map(|image| image.attributes.keys()).collect();
    let values_of = |name: &str| -> BTreeSet<&String> {
        images.iter().filter_map(|image| image.attributes.get(name)).collect()
    };
    let attributes: Vec<Attribute> = names
        .into_iter()
        .map(|name| Attribute {
            name: name.clone(),
            values: values_of(name).into_iter().cloned().collect(),
        })
        .filter(|attribute| attribute.values.len() > 1)
        .collect();
    if attributes.is_empty() {
        return Err("expected an object \"attributes\" in the lines of metadata.jsonl, with values that differ".to_owned());
    }
    Ok(attributes)
}

/// The place of an image's value among those of every attribute.
///
/// # Errors
/// The image does not name one of them.
pub(crate) fn labels_of(
    image: &CaptionedImage,
    attributes: &[Attribute],
) -> Result<Vec<usize>, String> {
    let label = |Attribute { name, values }: &Attribute| {
        let value = image.attributes.get(name);
        let place = value.and_then(|value| values.iter().position(|other| other == value));
        place.ok_or_else(|| format!("{} has no attribute {name}, which others have", image.name))
    };
    attributes.iter().map(label).collect()
}

/// The mean cross-entropy of rows of logits, `[B, V]`, for the places of the right values.
pub(crate) fn cross_entropy(logits: Tensor<2>, labels: Vec<i64>) -> Tensor<1> {
    let labels = TensorData::new(labels, [logits.dims()[0], 1]);
    let labels = Tensor::<2, Int>::from_data(labels, &logits.device());
    -log_softmax(logits, 1).gather(1, labels).mean()
}
