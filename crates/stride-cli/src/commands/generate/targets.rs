//! Which files a `stride generate` writes.

use std::collections::{HashMap, HashSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use stride::image::ImageFormat;
use stride_files::{check_writable, place_of};

use super::Generate;
use super::plan::Planned;
use crate::usage::usage;

/// Letters of a prompt in a file name, at most.
const MOST_LETTERS: usize = 60;

/// The files of one run, known and checked before any work.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// One file per image; none where the images are not written, or to stdout.
    pub(super) images: Vec<PathBuf>,
    /// The only image goes to stdout.
    pub(super) to_stdout: bool,
    /// Where sheets and animations go, if anywhere.
    pub(super) strip: Option<PathBuf>,
    pub(super) grid: Option<PathBuf>,
    pub(super) interpolation: Option<PathBuf>,
}

/// Steps and guidance scale of the model, for images about which nothing else is said.
pub(super) type Defaults = (usize, f64);

impl Generate {
    /// Whether names of files depend on the model.
    pub(super) fn names_need_model(&self, plan: &[Planned]) -> bool {
        let needs = |image: &Planned| {
            let pattern = self.pattern(image).unwrap_or_default();
            let pattern = pattern.to_string_lossy();
            (pattern.contains("{steps}") && image.steps.is_none())
                || (pattern.contains("{cfg_scale}") && image.cfg_scale.is_none())
        };
        plan.iter().any(needs)
    }

    /// The files of all images and sheets.
    ///
    /// Without `-o`, an image is `stride-SEED.png`, or `stride-K-SEED.png` where several have the same seed. A name with
    /// placeholders is filled in; otherwise a single image has that name, and several are `out-0.png`, `out-1.png` and so
    /// on.
    pub(super) fn targets(&self, plan: &[Planned], defaults: Defaults) -> anyhow::Result<Targets> {
        for path in [&self.strip, &self.grid, &self.interpolate].into_iter().flatten() {
            format_of(path, None)?;
        }
        let mut targets = Targets {
            strip: self.strip.clone(),
            grid: self.grid.clone(),
            interpolation: self.interpolate.clone(),
            ..Targets::default()
        };
        if self.output.as_deref() == Some(Path::new("-")) {
            self.check_stdout(plan.len())?;
            targets.to_stdout = true;
        } else if self.writes_images(plan) {
            targets.images = self.names(plan, defaults)?;
        }
        let mut places = HashSet::new();
        for path in targets.iter() {
            if !places.insert(place_of(path)) {
                return usage(format!(
                    "{}: two images cannot be one file; -o takes {{index}}, {{seed}}, {{steps}}, {{cfg_scale}} and \
                     {{prompt}}, and sheets need names of their own",
                    path.display()
                ));
            }
        }
        Ok(targets)
    }

    fn check_stdout(&self, images: usize) -> anyhow::Result<()> {
        if images > 1 {
            return usage(format!("-o -: stdout takes one image, found {images}"));
        }
        if self.json {
            return usage("-o -: the image goes to stdout, so --json cannot go there");
        }
        if std::io::stdout().is_terminal() {
            return usage(
                "-o -: stdout is a terminal, which shows no images; send it to a file or program",
            );
        }
        Ok(())
    }

    /// Sheets and animations take the place of the images, unless their names are given.
    fn writes_images(&self, plan: &[Planned]) -> bool {
        (self.grid.is_none() && self.interpolate.is_none())
            || self.output.is_some()
            || plan.iter().any(|image| image.output.is_some())
    }

    /// The name that was asked for.
    fn pattern(&self, image: &Planned) -> Option<PathBuf> {
        image.output.as_deref().map(PathBuf::from).or_else(|| self.output.clone())
    }

    fn names(&self, plan: &[Planned], defaults: Defaults) -> anyhow::Result<Vec<PathBuf>> {
        let mut seeds = HashSet::new();
        let are_distinct = plan.iter().all(|image| seeds.insert(image.seed));
        let extension = self.format.unwrap_or_default().extension();
        let mut of_entry: HashMap<usize, usize> = HashMap::new();
        for image in plan {
            *of_entry.entry(image.entry).or_default() += 1;
        }
        let mut names = Vec::with_capacity(plan.len());
        for (k, image) in plan.iter().enumerate() {
            let Some(pattern) = self.pattern(image) else {
                let seed = image.seed;
                names.push(PathBuf::from(if are_distinct {
                    format!("stride-{seed}.{extension}")
                } else {
                    format!("stride-{k}-{seed}.{extension}")
                }));
                continue;
            };
            format_of(&pattern, self.format)?;
            // A name in a line of a file is for the images of that line.
            let (index, total) = match image.output {
                Some(_) => (image.index_in_entry, of_entry[&image.entry]),
                None => (k, plan.len()),
            };
            names.push(match filled_in(&pattern, image, index, defaults) {
                Some(name) => name,
                None if total == 1 => pattern,
                None => numbered(&pattern, index),
            });
        }
        Ok(names)
    }
}

impl Targets {
    fn iter(&self) -> impl Iterator<Item = &PathBuf> {
        self.images.iter().chain(&self.strip).chain(&self.grid).chain(&self.interpolation)
    }

    /// Fails where a file could not be written, or would be overwritten and may not; says which ones will be.
    pub(super) fn check(&self, no_clobber: bool) -> anyhow::Result<()> {
        let mut folders = HashSet::new();
        let mut existing = Vec::new();
        for path in self.iter() {
            let exists = path.exists();
            // What holds for one new file in a folder holds for all.
            if exists || path.is_symlink() || folders.insert(path.parent()) {
                check_writable(path)?;
            }
            if exists {
                existing.push(path);
            }
        }
        let Some(first) = existing.first() else {
            return Ok(());
        };
        let others = match existing.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let first = first.display();
        if no_clobber {
            bail!(
                "{first}{others}: exists already; name another file with -o, or leave --no-clobber out"
            );
        }
        tracing::info!("overwrites {first}{others}");
        Ok(())
    }
}

/// The format of a file by the ending of its name; `given` is what `--format` says.
pub(super) fn format_of(path: &Path, given: Option<ImageFormat>) -> anyhow::Result<ImageFormat> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match (ImageFormat::from_extension(extension), given) {
        (Some(found), Some(given)) if found != given => usage(format!(
            "{}: --format {given} does not fit the ending .{extension}",
            path.display()
        )),
        (Some(found), _) => Ok(found),
        (None, Some(given)) => Ok(given),
        // It says so later, more clearly.
        (None, None) if path.is_dir() => Ok(ImageFormat::Png),
        (None, None) => usage(format!(
            "{}: expected a name that ends in .png, .jpg, .jpeg or .webp",
            path.display()
        )),
    }
}

/// The name with its placeholders filled in; nothing if it has none.
fn filled_in(pattern: &Path, image: &Planned, index: usize, defaults: Defaults) -> Option<PathBuf> {
    let text = pattern.to_str()?;
    let values = [
        ("{seed}", image.seed.to_string()),
        ("{index}", index.to_string()),
        ("{steps}", image.steps.unwrap_or(defaults.0).to_string()),
        ("{cfg_scale}", image.cfg_scale.unwrap_or(defaults.1).to_string()),
        // Last, since a prompt may hold what looks like a placeholder; its braces are left out.
        ("{prompt}", file_name_of(&image.prompt)),
    ];
    let mut name = text.to_owned();
    for (placeholder, value) in values {
        name = name.replace(placeholder, &value);
    }
    (name != text).then(|| PathBuf::from(name))
}

/// A prompt as part of a file name on every system: letters and digits, with `-` for whatever else there is.
fn file_name_of(prompt: &str) -> String {
    let words = prompt.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let name: String = words.collect::<Vec<_>>().join("-").chars().take(MOST_LETTERS).collect();
    if name.is_empty() { "empty".to_owned() } else { name.trim_end_matches('-').to_owned() }
}

/// `out.png` and 3 give `out-3.png`.
fn numbered(path: &Path, k: usize) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{k}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The flags as a program of their own.
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        generate: Generate,
    }

    fn names(arguments: &[&str]) -> Result<Vec<String>, String> {
        let arguments = [&["generate"], arguments].concat();
        let generate =
            Flags::try_parse_from(arguments).map_err(|error| error.to_string())?.generate;
        let plan = generate.plan().map_err(|error| error.to_string())?;
        let targets = generate.targets(&plan, (4, 1.5)).map_err(|error| error.to_string())?;
        Ok(targets.iter().map(|path| path.display().to_string()).collect())
    }

    #[track_caller]
    fn expect(arguments: &[&str], expected: &[&str]) {
        assert_eq!(names(arguments).expect("fits"), expected, "{arguments:?}");
    }

    #[test]
    fn images_have_names_of_their_own() {
        expect(&["x", "-s5", "--count=2"], &["stride-5.png", "stride-6.png"]);
        expect(&["x", "--seeds=9,2", "--format=webp"], &["stride-9.webp", "stride-2.webp"]);
        expect(&["x", "-s5", "--steps=1,4"], &["stride-0-5.png", "stride-1-5.png"]);
        expect(&["x", "-s5", "-o", "a/out.JPG"], &["a/out.JPG"]);
        expect(&["x", "-s5", "-o", "a/out.jpeg", "--count=2"], &["a/out-0.jpeg", "a/out-1.jpeg"]);
        expect(&["x", "-s5", "-o", "out", "--format=jpeg", "--count=2"], &["out-0", "out-1"]);
        expect(
            &[
                "a red/blue {hat} {seed}!",
                "--seeds=7,8",
                "-o",
                "{index}_{prompt}_{steps}_{cfg_scale}_{seed}.png",
            ],
            &["0_a-red-blue-hat-seed_4_1.5_7.png", "1_a-red-blue-hat-seed_4_1.5_8.png"],
        );
        expect(&["-p", "x", "-p", "", "-s1", "-o", "{prompt}.png"], &["x.png", "empty.png"]);
        expect(&["x", "--steps=1,4", "--grid", "g.png"], &["g.png"]);
        expect(&["x", "-s1", "--grid", "g.jpg", "-o", "x.png"], &["x.png", "g.jpg"]);
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for (arguments, part) in [
            (&["x", "-o", "x.gif"][..], "ends in .png"),
            (&["x", "-o", "x"], "ends in .png"),
            (&["x", "--grid", "x.tiff"], "ends in .png"),
            (&["x", "-o", "x.jpg", "--format", "png"], "--format PNG does not fit the ending .jpg"),
            (&["x", "-o", "x.png", "--strip", "./x.png"], "one file"),
            (&["x", "--count=2", "-o", "{steps}.png"], "one file"),
            (&["x", "--count=2", "-o", "x.png", "--strip", "x-1.png"], "one file"),
            (&["x", "--count=2", "-o", "-"], "stdout takes one image, found 2"),
            (&["x", "--json", "-o", "-"], "--json"),
        ] {
            let error = names(arguments).expect_err("refused");
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
    }
}
