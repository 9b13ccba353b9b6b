//! Which runs a comparison is made of.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use stride::objective::passes_per_row;
use stride_train::{Budget, DitTrainConfig, RunConfig};
use toml::{Table, Value};

/// The runs of a comparison, seeds together.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) sides: Vec<Side>,
}

/// One objective with one seed.
#[derive(Debug)]
pub(super) struct Side {
    /// File name of its configuration.
    pub(super) objective: String,
    /// Name of its run folder.
    pub(super) name: String,
    /// The whole configuration of its run.
    pub(super) config: RunConfig,
    /// Passes of the network per trained row.
    pub(super) passes_per_row: f64,
    /// Steps that use up the compute.
    pub(super) steps: u64,
}

impl Plan {
    /// Reads the configurations and checks that they differ in their objectives alone.
    ///
    /// Every run has as many steps as its compute budget allows, counted in passes of the
    /// network.
    pub(super) fn read(
        files: &[PathBuf],
        overrides: &[String],
        seeds: &[u64],
        passes: u64,
        out: &Path,
    ) -> Result<Self> {
        let mut sides: Vec<Side> = Vec::new();
        for file in files {
            let config = RunConfig::load(file, overrides)?;
            let Some(dit) = &config.dit else {
                bail!(
                    "{}: expected kind = \"dit\", a configuration of a transformer",
                    file.display()
                );
            };
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if sides.iter().any(|side| side.objective == stem) {
                bail!("{}: two configurations have the name {stem}", file.display());
            }
            if let Some(first) = sides.first()
                && let Some(difference) = difference(&first.config, &config)?
            {
                bail!(
                    "{}: {difference} differs from {}; a comparison needs the same data, network \
                     and settings but for dit.objective",
                    file.display(),
                    files[0].display()
                );
            }
            let passes_per_row = passes_per_row(&*dit.objective, dit.batch_size);
            let steps = (passes as f64 / passes_per_row / dit.batch_size as f64).round() as u64;
            if steps == 0 {
                bail!(
                    "--passes {passes}: expected at least one step, {:.0} passes",
                    passes_per_row * dit.batch_size as f64
                );
            }
            for &seed in seeds {
                let name = format!("{stem}-seed{seed}");
                let mut config = config.clone();
                config.seed = seed;
                config.run_dir = out.join("runs").join(&name);
                config.training.budget = Budget { max_steps: Some(steps), ..Budget::default() };
                sides.push(Side { objective: stem.clone(), name, config, passes_per_row, steps });
            }
        }
        Ok(Self { sides })
    }

    /// The settings common to all runs: those of the first.
    pub(super) fn config(&self) -> &RunConfig {
        &self.sides[0].config
    }
}

impl Side {
    /// The trained model.
    pub(super) fn model_dir(&self) -> PathBuf {
        self.config.run_dir.join("model")
    }

    /// The settings of the transformer.
    pub(super) fn dit(&self) -> &DitTrainConfig {
        self.config.dit.as_ref().expect("checked when the plan was read")
    }
}

/// The first setting in which two configurations differ and must not.
fn difference(a: &RunConfig, b: &RunConfig) -> Result<Option<String>> {
    // What belongs to the objective, to the run alone, or is set by the comparison.
    const FREE: [&str; 8] = [
        "seed",
        "run_dir",
        "training.budget",
        "dit.objective",
        "dit.name",
        "dit.model.guidance_input",
        "dit.model.velocity_head",
        "dit.default_steps",
    ];
    let table = |config: &RunConfig| -> Result<Table> { Ok(config.to_toml()?.parse()?) };
    Ok(first_difference("", &Value::Table(table(a)?), &Value::Table(table(b)?), &FREE))
}

fn first_difference(path: &str, a: &Value, b: &Value, free: &[&str]) -> Option<String> {
    if free.contains(&path) || a == b {
        return None;
    }
    let (Value::Table(a), Value::Table(b)) = (a, b) else { return Some(path.to_owned()) };
    let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
    keys.into_iter().find_map(|key| {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (a.get(key), b.get(key)) {
            (Some(a), Some(b)) => first_difference(&path, a, b, free),
            _ => (!free.contains(&path.as_str())).then_some(path),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configs() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/objectives")
    }

    #[test]
    fn presets_are_sides_of_equal_compute() {
        let names = ["flow_matching", "shortcut_1_8", "shortcut_1_4", "shortcut_3_4", "diffusion"];
        let files = names.map(|name| configs().join(name).with_extension("toml"));
        let plan = Plan::read(&files, &[], &[1, 2], 1_000_000, Path::new("out")).expect("fits");
        assert_eq!(plan.sides.len(), 2 * names.len());
        let steps: Vec<u64> = plan.sides.iter().step_by(2).map(|side| side.steps).collect();
        // A million passes at 64 rows of 3, 3.25, 3.5, 4.5 and 3 passes.
        assert_eq!(steps, [5208, 4808, 4464, 3472, 5208]);
        assert_eq!(plan.sides[1].name, "flow_matching-seed2");
        assert_eq!(plan.sides[1].config.training.budget.max_steps, Some(5208));
    }

    #[test]
    fn what_must_be_the_same_is_named() {
        let file = |name| configs().join(name).with_extension("toml");
        let a = RunConfig::load(&file("flow_matching"), &[]).expect("valid");
        let differing = |setting: &str| {
            let b = RunConfig::load(&file("shortcut"), &[setting.to_owned()]).expect("valid");
            difference(&a, &b).expect("readable")
        };
        assert_eq!(differing("seed=9"), None);
        assert_eq!(differing("dit.batch_size=32"), Some("dit.batch_size".to_owned()));
        assert_eq!(differing("dit.model.depth=4"), Some("dit.model.depth".to_owned()));
        assert_eq!(differing("data.max_images=500"), Some("data.max_images".to_owned()));
        assert_eq!(differing("dit.default_steps=2"), None);
    }
}
