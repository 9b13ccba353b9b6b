//! `stride doctor --check DEVICE`: whether a device computes what the processor computes.
//!
//! Drivers and compilers of GPUs have bugs that leave wrong numbers and no message. So before anybody trusts a training
//! run, every network and objective is computed on both at small sizes, and compared tensor by tensor: outputs and the
//! gradients of all weights, also where some weights are frozen; then a picture, short training runs, and runs that go
//! on on the other device. A wrong operation among them must be found each time.

mod comparison;
mod control;
mod networks;
mod objectives;
mod operations;
mod picture;
mod samples;
mod training;

use std::fmt::Write as _;

use anyhow::Result;
use burn::tensor::Device;
use serde::Serialize;
use stride_kernels::device::DeviceName;

use comparison::{Computation, GRADIENT_TOLERANCE, OUTPUT_TOLERANCE, Verdict, Worst};
use picture::PictureVerdict;
use training::TrainingVerdict;

/// What was compared.
#[derive(Debug, Serialize)]
pub(super) struct CheckReport {
    device: DeviceName,
    /// What the driver calls the GPU.
    #[serde(skip_serializing_if = "Option::is_none")]
    gpu: Option<String>,
    comparisons: Vec<Verdict>,
    /// A wrong operation, which must not pass.
    control: Verdict,
    #[serde(skip_serializing_if = "Option::is_none")]
    picture: Option<PictureVerdict>,
    training: Vec<TrainingVerdict>,
    pub(super) passed: bool,
}

/// Compares a device with the processor.
///
/// # Errors
/// The device is not there, or something cannot be computed at all.
pub(super) fn check(name: DeviceName) -> Result<CheckReport> {
    let device = name.device()?;
    let gpu = name.adapter()?.and_then(|adapter| adapter.identity()).map(|[name, _]| name);
    let mut comparisons = Vec::new();
    let all = [operations::all(), networks::all(), objectives::all()];
    for (name, computation) in all.concat() {
        tracing::info!("comparing {name}");
        comparisons.push(compare(name, &computation()?, &device)?);
    }
    let control = control::check(&device)?;
    tracing::info!("drawing a picture");
    let picture = picture::check(&device)?;
    tracing::info!("training");
    let training = training::check(name)?;
    let passed = comparisons.iter().all(|verdict| verdict.passed)
        && !control.passed
        && picture.as_ref().is_none_or(|verdict| verdict.passed)
        && training.iter().all(|verdict| verdict.passed);
    Ok(CheckReport { device: name, gpu, comparisons, control, picture, training, passed })
}

fn compare(name: &str, computation: &Computation, device: &Device) -> Result<Verdict> {
    Ok(Verdict::of(name, &computation(&Device::flex())?, &computation(device)?))
}

impl CheckReport {
    /// A Markdown table and a sentence.
    pub(super) fn to_text(&self) -> String {
        let gpu = self.gpu.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
        let mut text = format!(
            "{}{gpu} beside the processor; relative errors, at most {OUTPUT_TOLERANCE:.0e} of outputs and \
             {GRADIENT_TOLERANCE:.0e} of gradients\n\n",
            self.device
        );
        text += "| computation                  | outputs | gradients |      | largest in |\n";
        text += "|------------------------------|--------:|----------:|------|------------|\n";
        let mut line =
            |name: &str, [outputs, gradients]: [String; 2], passed: bool, tensor: &str| {
                let verdict = if passed { "ok" } else { "WRONG" };
                // Writing to a string cannot fail.
                let _ = writeln!(
                    text,
                    "| {name:28} | {outputs:>7} | {gradients:>9} | {verdict:5}| {tensor} |"
                );
            };
        for Verdict { name, output, gradient, passed } in &self.comparisons {
            let largest = gradient.as_ref().or(output.as_ref());
            let tensor = largest.map_or("", |worst| &worst.tensor);
            line(name, [shown(output), shown(gradient)], *passed, tensor);
        }
        if let Some(PictureVerdict { prompt, steps, error, passed }) = &self.picture {
            let error = format!("{error}/255");
            line(
                "picture",
                [error, String::new()],
                *passed,
                &format!("\"{prompt}\", {steps} steps"),
            );
        }
        for TrainingVerdict { name, error, passed } in &self.training {
            let error = error.map_or("NaN".to_owned(), |error| format!("{error:.1e}"));
            line(name, [error, String::new()], *passed, "losses and norms of gradients");
        }
        let Verdict { name, output, gradient, passed } = &self.control;
        let tensor = "wrong on purpose; found if not ok";
        line(name, [shown(output), shown(gradient)], *passed, tensor);
        text += match (self.passed, self.control.passed) {
            (true, _) => "\nThe device computes what the processor computes.\n",
            (false, true) => {
                "\nThe wrong operation was not found: these comparisons mean nothing.\n"
            }
            (false, false) => {
                "\nDo not trust this device: its driver or the compiler of its kernels is wrong. Try a newer driver, or \
                 a program built with another of the features gpu, gpu-vulkan and cuda.\n"
            }
        };
        text
    }
}

fn shown(worst: &Option<Worst>) -> String {
    match worst {
        None => String::new(),
        Some(Worst { error: None, .. }) => "NaN".to_owned(),
        Some(Worst { error: Some(error), .. }) => format!("{error:.1e}"),
    }
}
