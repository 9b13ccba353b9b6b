//! The files of a classifier of attributes, from a folder or from this program.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use burn::tensor::Device;
use stride_eval::{AttributeClassifier, attribute_classifier};

use crate::embedded;

/// Loads the classifier in a folder, or the one inside this program.
pub(crate) fn load(folder: Option<&Path>, device: &Device) -> Result<AttributeClassifier> {
    let Some(folder) = folder else {
        let [config, weights] = embedded::judge()?;
        return AttributeClassifier::load(config, weights, device)
            .context("cannot use the classifier inside this program");
    };
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).with_context(|| {
            format!("cannot read {}; a classifier's folder needs this file", path.display())
        })
    };
    let [config, weights] = attribute_classifier::FILE_NAMES;
    AttributeClassifier::load(&read(config)?, &read(weights)?, device)
        .with_context(|| format!("cannot use the classifier {}", folder.display()))
}
