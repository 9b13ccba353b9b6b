//! The pages of the documentation: their commands are the program's, and their links lead somewhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::model::workplace;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The pages for users.
fn pages() -> Vec<PathBuf> {
    let docs = std::fs::read_dir(repository().join("docs")).expect("a folder");
    let docs = docs.map(|entry| entry.expect("readable").path());
    let mut pages: Vec<PathBuf> =
        docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    pages.sort();
    pages.push(repository().join("README.md"));
    pages.push(repository().join("crates/stride-python/README.md"));
    pages
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).expect("a page")
}

/// Lines of code blocks that call `stride`, those that go on in the next line joined, in the order of the page.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut is_code = false;
    let mut continued = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
            continue;
        }
        if !is_code {
            continue;
        }
        let line = line.replace("cargo run --release -- ", "stride ");
        match line.strip_suffix('\\') {
            Some(start) => continued.push_str(start),
            None => {
                let whole = std::mem::take(&mut continued) + &line;
                if whole.starts_with("stride ") || whole.contains("| stride ") {
                    commands.push(whole);
                }
            }
        }
    }
    commands
}

/// A program for the processor alone refuses the names of other devices.
fn can_be_read(command: &str) -> bool {
    cfg!(feature = "gpu") || !command.contains(" gpu")
}

/// Runs lines of a shell in a folder with the program on its path and the tiny model as the default.
fn shell(folder: &Path, script: &str) -> (bool, String) {
    let bin = Path::new(env!("CARGO_BIN_EXE_stride")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", script]).env("STRIDE_MODEL", "model");
    command.env("PATH", format!("{}:{path}", bin.display()));
    let output = command.output().expect("the system has a shell");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[cfg(unix)]
#[test]
fn commands_have_options_that_exist() {
    let place = workplace();
    let mut count = 0;
    for page in pages().iter().filter(|page| !page.ends_with("log.md")) {
        for command in commands(&read(page)).into_iter().filter(|command| can_be_read(command)) {
            // With --help, options and their values are read, and nothing is done.
            let script =
                format!("stride() {{ command stride \"$@\" --help >/dev/null; }}\n{command}");
            let (is_right, said) = shell(place.path(), &script);
            assert!(is_right, "{}: {command}\n{said}", page.display());
            count += 1;
        }
    }
    assert!(count > 40, "{count} commands");
}

#[cfg(unix)]
#[test]
fn what_the_guide_draws_is_drawn() {
    let place = workplace();
    let mut count = 0;
    let guide = commands(&read(&repository().join("docs/guide.md")));
    for command in guide.into_iter().filter(|command| can_be_read(command)) {
        let is_quick = [
            "stride generate",
            "stride inspect --tokens",
            "stride inspect woman",
            "stride completions",
            "stride man",
            "stride export",
        ];
        let needs_more = command.contains("--model");
        if needs_more || !is_quick.iter().any(|start| command.contains(start)) {
            continue;
        }
        let (is_done, said) = shell(place.path(), &command);
        assert!(is_done, "{command}\n{said}");
        count += 1;
    }
    assert!(count > 15, "{count} commands");
    for file in [
        "woman-3.png",
        "bald.webp",
        "prompts.png",
        "hair.png",
        "seeds.webp",
        "stride.bash",
        "stride-generate.1",
        "exported/pipeline.py",
        "onnx/decoder.onnx",
    ] {
        assert!(place.path().join(file).is_file(), "{file}");
    }
}

/// The headings of a page as links name them.
fn headings(page: &str) -> impl Iterator<Item = String> {
    let name = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.collect::<String>().replace(' ', "-")
    };
    page.lines().filter(|line| line.starts_with('#')).map(name).collect::<Vec<_>>().into_iter()
}

#[test]
fn links_of_pages_lead_to_files_and_headings() {
    let mut count = 0;
    for page in pages() {
        let text = read(&page);
        for (start, _) in text.match_indices("](") {
            let target = text[start + 2..].split([')', ' ']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.clone(),
                file => page.parent().expect("a folder").join(file),
            };
            assert!(path.exists(), "{}: {target}", page.display());
            let is_there = heading.is_empty() || headings(&read(&path)).any(|it| it == heading);
            assert!(is_there, "{}: {target}: no such heading", page.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count} links");
}
