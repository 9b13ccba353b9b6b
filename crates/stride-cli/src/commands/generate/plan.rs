//! Which images are drawn: all combinations of prompts, steps, guidance scales and seeds.

use stride::pipeline::{GenerateRequest, Pipeline};

use super::Generate;
use super::alternatives::Alternatives;
use super::settings::{MAX_COUNT, Seed, Settings};
use crate::usage::usage;

/// An image to draw.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    /// Which of the prompts it is of, and which of that one's images it is.
    pub(super) entry: usize,
    pub(super) index_in_entry: usize,
    /// Its prompt as it was typed, and with its alternatives chosen.
    pub(super) template: String,
    pub(super) prompt: String,
    pub(super) negative_prompt: Option<String>,
    pub(super) as_typed: bool,
    /// The model's, where nothing is said.
    pub(super) steps: Option<usize>,
    /// The model's, where nothing is said.
    pub(super) cfg_scale: Option<f64>,
    pub(super) seed: u64,
    /// The name that a line of a file gives it.
    pub(super) output: Option<String>,
}

impl Generate {
    /// The images, in the order in which they are drawn: by prompt, steps, guidance scale and seed.
    pub(super) fn plan(&self) -> anyhow::Result<Vec<Planned>> {
        let entries = self.entries()?;
        // The same for all prompts, so that they can be compared.
        let base_seed = match self.seed {
            Some(seed) => seed.draw()?,
            None if self.seeds.is_none() && entries.iter().any(|entry| entry.seed.is_none()) => {
                Seed::Random.draw()?
            }
            None => 0,
        };
        let mut images = Vec::new();
        for (entry, settings) in entries.iter().enumerate() {
            let seeds = self.seeds_of(settings, base_seed)?;
            let steps = own_or(settings.steps, &self.steps);
            let scales = own_or(settings.cfg_scale, &self.cfg_scale);
            let count = steps.len() * scales.len() * seeds.len();
            if images.len() + count > MAX_COUNT {
                return usage(format!(
                    "expected at most {MAX_COUNT} images, found {} and more",
                    images.len() + count
                ));
            }
            let negative_prompt =
                settings.negative_prompt.as_ref().or(self.negative_prompt.as_ref());
            let mut index_in_entry = 0;
            for &steps in &steps {
                for &cfg_scale in &scales {
                    for &seed in &seeds {
                        let mut alternatives = Alternatives::new(&self.wildcards, seed);
                        images.push(Planned {
                            entry,
                            index_in_entry,
                            template: settings.prompt.clone(),
                            prompt: alternatives.choose(&settings.prompt)?,
                            negative_prompt: negative_prompt
                                .map(|text| alternatives.choose(text))
                                .transpose()?,
                            as_typed: settings.as_typed.unwrap_or(self.as_typed),
                            steps,
                            cfg_scale,
                            seed,
                            output: settings.output.clone(),
                        });
                        index_in_entry += 1;
                    }
                }
            }
        }
        Ok(images)
    }

    /// The seeds of a prompt's images.
    fn seeds_of(&self, settings: &Settings, base_seed: u64) -> anyhow::Result<Vec<u64>> {
        if let (Some(seeds), None, None) = (&self.seeds, settings.seed, settings.count) {
            return Ok(seeds.0.clone());
        }
        let seed = settings.seed.map_or(Ok(base_seed), Seed::draw)?;
        let count = settings.count.unwrap_or(self.count);
        // Image k has seed + k, so the last one of all is the last.
        match seed.checked_add(count as u64 - 1) {
            Some(last) => Ok((seed..=last).collect()),
            None => usage(format!(
                "--seed {seed}: too large for --count {count}; the last seed is {}",
                u64::MAX
            )),
        }
    }
}

/// What a prompt says itself, or else what the flags say; nothing is one possibility, too.
fn own_or<T: Copy>(own: Option<T>, flags: &[T]) -> Vec<Option<T>> {
    match own {
        None if !flags.is_empty() => flags.iter().copied().map(Some).collect(),
        own => vec![own],
    }
}

impl Planned {
    /// What the pipeline is asked, with its defaults filled in.
    pub(super) fn request(&self, pipeline: &Pipeline) -> GenerateRequest {
        let index = pipeline.index();
        GenerateRequest {
            prompt: self.prompt.clone(),
            negative_prompt: self.negative_prompt.clone(),
            num_steps: self.steps.unwrap_or(index.default_steps),
            cfg_scale: self.cfg_scale.unwrap_or(index.default_cfg_scale),
            seed: self.seed,
            count: 1,
            as_typed: self.as_typed,
        }
    }
}

/// Joins requests that differ in nothing but seeds that follow each other, since their prompts are encoded once then.
pub(super) fn joined(requests: &[GenerateRequest]) -> Vec<GenerateRequest> {
    let mut joined: Vec<GenerateRequest> = Vec::new();
    for request in requests {
        let follows = joined.last_mut().filter(|last| {
            last.seed.checked_add(last.count as u64) == Some(request.seed)
                && GenerateRequest { seed: last.seed, count: last.count, ..request.clone() }
                    == **last
        });
        match follows {
            Some(last) => last.count += request.count,
            None => joined.push(request.clone()),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_with_seeds_in_a_row_are_joined() {
        let request = |prompt: &str, seed| GenerateRequest {
            prompt: prompt.to_owned(),
            negative_prompt: None,
            num_steps: 4,
            cfg_scale: 1.0,
            seed,
            count: 1,
            as_typed: false,
        };
        let requests = [("a", 1), ("a", 2), ("a", 4), ("b", 5), ("b", 6), ("b", 6)]
            .map(|(p, s)| request(p, s));
        let found: Vec<_> =
            joined(&requests).into_iter().map(|r| (r.prompt, r.seed, r.count)).collect();
        let expected = [("a", 1, 2), ("a", 4, 1), ("b", 5, 2), ("b", 6, 1)];
        assert_eq!(found, expected.map(|(p, s, c)| (p.to_owned(), s, c)));
        let last = [request("a", u64::MAX), request("a", 0)];
        assert_eq!(joined(&last).len(), 2);
    }
}
