//! The step table as a page, as Markdown and as JSON.

use std::fmt::Write as _;
use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use stride::image::{PngMetadata, RgbImage, png_bytes};

use super::result::Scores;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:3rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}td,th{padding:.4rem .6rem;text-align:right;\
border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}img{max-width:100%}\
.flag{background:#fff3cd;padding:.6rem 1rem}code{overflow-wrap:anywhere;font-size:.85em}li{margin:.2rem 0}";

/// Everything a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) model: String,
    pub(super) model_hash: String,
    pub(super) cfg_scale: f64,
    pub(super) seed: u64,
    pub(super) samples: usize,
    /// Fingerprint of the listing of the data.
    pub(super) data: String,
    /// Real pictures after the autoencoder.
    pub(super) floor: Scores,
    /// One for each step count.
    pub(super) rows: Vec<Scores>,
    pub(super) prompts: Vec<String>,
}

impl Report {
    /// Names and contents of the files.
    pub(super) fn files(&self, sheet: &RgbImage) -> anyhow::Result<[(&'static str, Vec<u8>); 4]> {
        let picture = png_bytes(sheet, &PngMetadata::default())?;
        Ok([
            ("report.html", self.html(&picture).into_bytes()),
            ("report.md", self.markdown().into_bytes()),
            ("report.json", serde_json::to_vec_pretty(self)?),
            ("steps.png", picture),
        ])
    }

    /// The table, or the JSON, on stdout.
    pub(super) fn print(&self, is_json: bool) -> anyhow::Result<()> {
        let text = if is_json { serde_json::to_string(self)? } else { self.markdown() };
        writeln!(std::io::stdout(), "{}", text.trim_end())?;
        Ok(())
    }

    fn settings(&self) -> String {
        format!(
            "{} pictures for each step count, seeds from {}, guidance {}, model {} ({}), data {}",
            self.samples, self.seed, self.cfg_scale, self.model, self.model_hash, self.data
        )
    }

    /// The first line names the columns; then the floor and the step counts.
    fn table(&self) -> Vec<Vec<String>> {
        let names = self.floor.lines().into_iter().map(|(name, _)| name);
        let mut table = vec![std::iter::once("steps".to_owned()).chain(names).collect()];
        for scores in std::iter::once(&self.floor).chain(&self.rows) {
            let first = scores.steps().map_or("autoencoder alone".to_owned(), |n| n.to_string());
            let values = scores.lines().into_iter().map(|(_, value)| value);
            table.push(std::iter::once(first).chain(values).collect());
        }
        table
    }

    fn markdown(&self) -> String {
        let mut text = format!("# Step table of {}\n\n{}\n\n", self.model, self.settings());
        for (index, row) in self.table().iter().enumerate() {
            let _ = writeln!(text, "| {} |", row.join(" | "));
            if index == 0 {
                let _ = writeln!(text, "|{}", "---|".repeat(row.len()));
            }
        }
        if let Some(flag) = self.floor.flag() {
            let _ = write!(text, "\nCareful: {flag}\n");
        }
        text.push_str("\n## Certificates\n\n");
        for scores in std::iter::once(&self.floor).chain(&self.rows) {
            let _ = writeln!(text, "* {}", scores.certificate());
        }
        text
    }

    fn html(&self, picture: &[u8]) -> String {
        let title = format!("Step table of {}", escape(&self.model));
        let mut page = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
             <style>{STYLE}</style><h1>{title}</h1><p>{}</p>",
            escape(&self.settings())
        );
        if let Some(flag) = self.floor.flag() {
            let _ = write!(page, "<p class=\"flag\">{}</p>", escape(flag));
        }
        page.push_str("<table>");
        for (index, row) in self.table().iter().enumerate() {
            let tag = if index == 0 { "th" } else { "td" };
            page.push_str("<tr>");
            for cell in row {
                let _ = write!(page, "<{tag}>{}</{tag}>", escape(cell));
            }
            page.push_str("</tr>");
        }
        let steps: Vec<String> =
            self.rows.iter().filter_map(Scores::steps).map(|n| n.to_string()).collect();
        let _ = write!(
            page,
            "</table><h2>The same noise at {} steps</h2><img alt=\"A row for each prompt, a column \
             for each step count\" src=\"data:image/png;base64,{}\"><ol>",
            steps.join(", "),
            STANDARD.encode(picture)
        );
        for prompt in &self.prompts {
            let _ = write!(page, "<li>{}</li>", escape(prompt));
        }
        page.push_str("</ol><h2>Certificates</h2><ul>");
        for scores in std::iter::once(&self.floor).chain(&self.rows) {
            let _ =
                write!(page, "<li><code>{}</code></li>", escape(&scores.certificate().to_string()));
        }
        page.push_str("</ul></html>\n");
        page
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
