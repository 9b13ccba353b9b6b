//! The search for images and captions of a set: what is wanted, and what was found beside.

use std::collections::BTreeSet;

use super::fields;
use crate::{DataError, Problem, ProblemKind, Record, SourceOptions};

/// Names of a kind that an error lists.
const LISTED: usize = 20;

/// What is wanted, and what listing a set finds beside its images.
pub(super) struct Search<'a> {
    pub(super) options: &'a SourceOptions,
    pub(super) problems: Vec<Problem>,
    /// Texts with several lines, each of which became a caption.
    pub(super) several_lines: u64,
    fields: BTreeSet<String>,
    members: BTreeSet<String>,
    files: BTreeSet<String>,
}

impl<'a> Search<'a> {
    pub(super) fn new(options: &'a SourceOptions) -> Self {
        Self {
            options,
            problems: Vec::new(),
            several_lines: 0,
            fields: BTreeSet::new(),
            members: BTreeSet::new(),
            files: BTreeSet::new(),
        }
    }

    pub(super) fn problem(&mut self, name: impl Into<String>, kind: ProblemKind) {
        self.problems.push(Problem::new(name, kind));
    }

    /// The field or member that the user names for captions.
    pub(super) fn caption_column(&self) -> Option<&'a str> {
        self.options.caption_column.as_deref()
    }

    /// The same for images.
    pub(super) fn image_column(&self) -> Option<&'a str> {
        self.options.image_column.as_deref()
    }

    /// Remembers a field in which no caption was looked for.
    pub(super) fn saw_field(&mut self, path: &[&str]) {
        insert(&mut self.fields, path.join("."));
    }

    /// Remembers a member of a tar, by what follows the name of its image, that was not read.
    pub(super) fn saw_member(&mut self, ending: &str) {
        insert(&mut self.members, format!(".{ending}"));
    }

    /// Remembers a file that is no image and was not read, or gave no caption.
    pub(super) fn saw_file(&mut self, name: &str) {
        insert(&mut self.files, name.to_owned());
    }

    /// The records that are used: those with captions, as the options ask for them.
    ///
    /// # Errors
    /// When none has a caption, or too many have none.
    pub(super) fn captioned(
        &mut self,
        records: Vec<Record>,
        path: &std::path::Path,
    ) -> Result<Vec<Record>, DataError> {
        let source = self.options.captions;
        let images = records.len();
        let (kept, without): (Vec<Record>, Vec<Record>) =
            records.into_iter().partition(|record| source.is_satisfied(record));
        let path = path.to_owned();
        // Attributes do not make up for captions that the user named.
        let named = self.caption_column().filter(|_| source.reads_files());
        let is_lost = named.is_some() && kept.iter().all(|record| record.captions.is_empty());
        if kept.is_empty() && images > 0 || is_lost {
            let (looked, near) = (self.looked(), self.near());
            return Err(DataError::NoCaptions { path, images, looked, near });
        }
        if without.len() as f64 > self.options.max_uncaptioned * images as f64 {
            return Err(DataError::FewCaptions {
                path,
                images,
                without: without.len(),
                percent: 100.0 * self.options.max_uncaptioned,
                first: without.first().map(|record| record.name.clone()).unwrap_or_default(),
                near: self.near(),
            });
        }
        for record in without {
            self.problem(record.name, ProblemKind::NoCaption);
        }
        Ok(kept)
    }

    /// What was looked at in search of captions.
    fn looked(&self) -> String {
        let kinds = [("fields", &self.fields), ("members", &self.members), ("files", &self.files)];
        let kinds = kinds.into_iter().filter(|(_, names)| !names.is_empty());
        let mut looked: Vec<String> =
            kinds.map(|(kind, names)| format!("the {kind} {}", list(names))).collect();
        let tells = |kind: &ProblemKind| !kind.is_note() || matches!(kind, ProblemKind::NoImage);
        let first = self.problems.iter().find(|problem| tells(&problem.kind));
        looked.extend(first.map(ToString::to_string));
        match looked.as_slice() {
            [] => "nothing is there but images".to_owned(),
            looked => looked.join("; "),
        }
    }

    /// What may have been meant.
    fn near(&self) -> String {
        let all = self.fields.iter().chain(&self.members).chain(&self.files);
        let near: BTreeSet<String> = all.filter(|name| fields::is_near(name)).cloned().collect();
        if near.is_empty() { String::new() } else { format!("; is it {}?", list(&near)) }
    }
}

fn insert(names: &mut BTreeSet<String>, name: String) {
    // What looks like captions is never left out.
    if names.len() < LISTED || fields::is_near(&name) && names.len() < 2 * LISTED {
        names.insert(name);
    }
}

fn list(names: &BTreeSet<String>) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > LISTED { " and more" } else { "" };
    shown.join(", ") + more
}
