//! The page at `/`, whose files are part of the program.

use axum::extract::Path;
use axum::response::Response;

use super::reply::bytes;
use crate::error::ApiError;

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, type and content of each file that the page loads.
const FILES: [(&str, &str, &str); 8] = [
    ("main.js", SCRIPT, include_str!("../page/main.js")),
    ("api.js", SCRIPT, include_str!("../page/api.js")),
    ("form.js", SCRIPT, include_str!("../page/form.js")),
    ("words.js", SCRIPT, include_str!("../page/words.js")),
    ("results.js", SCRIPT, include_str!("../page/results.js")),
    ("gallery.js", SCRIPT, include_str!("../page/gallery.js")),
    ("style.css", "text/css; charset=utf-8", include_str!("../page/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("../page/icon.svg")),
];

/// The page.
pub(super) async fn html() -> Response {
    bytes(include_str!("../page/index.html"), "text/html; charset=utf-8")
}

/// A file that it loads.
pub(super) async fn file(Path(name): Path<String>) -> Result<Response, ApiError> {
    let file = FILES.iter().find(|(known, ..)| *known == name);
    let (_, content_type, content) =
        file.ok_or_else(|| ApiError::not_found("no such file of the page"))?;
    Ok(bytes(*content, content_type))
}
