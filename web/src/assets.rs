//! Styles, scripts and icons, embedded in the binary.
//!
//! Their addresses carry a hash of their content, so that they may be kept for ever.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::LazyLock,
};

use axum::{
    extract::{Path, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use http::header;

use crate::error::Error;

/// Kept for a year, the longest that caches take for "for ever" (RFC 9111, 5.2.2.1).
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// The icon has a fixed address, so that a new one is seen within a day.
const A_DAY: &str = "public, max-age=86400";

struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
    /// The last part of its address: `app.0123456789abcdef.css`.
    file: String,
    url: String,
}

macro_rules! asset {
    ($name:literal, $content_type:literal) => {
        Asset::new($name, $content_type, include_bytes!(concat!("../static/", $name)))
    };
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        asset!("app.css", "text/css; charset=utf-8"),
        asset!("app.js", "text/javascript; charset=utf-8"),
        asset!("favicon.svg", "image/svg+xml"),
        asset!("favicon.ico", "image/x-icon"),
    ]
});

static BY_FILE: LazyLock<HashMap<&'static str, &'static Asset>> =
    LazyLock::new(|| ASSETS.iter().map(|asset| (asset.file.as_str(), asset)).collect());

impl Asset {
    fn new(name: &'static str, content_type: &'static str, content: &'static [u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let (stem, extension) = name.rsplit_once('.').expect("assets have an extension");
        let file = format!("{stem}.{:016x}.{extension}", hasher.finish());
        let url = format!("/static/{file}");
        Self { name, content_type, content, file, url }
    }

    fn response(&self, cache_control: &'static str) -> Response {
        let headers =
            [(header::CONTENT_TYPE, self.content_type), (header::CACHE_CONTROL, cache_control)];
        (headers, self.content).into_response()
    }
}

fn named(name: &str) -> &'static Asset {
    ASSETS.iter().find(|asset| asset.name == name).expect("templates name assets that exist")
}

/// The address of an asset, for templates.
pub(crate) fn url(name: &str) -> &'static str {
    &named(name).url
}

/// `GET /static/{file}`
pub(crate) async fn serve(file: Result<Path<String>, PathRejection>) -> Result<Response, Error> {
    let Path(file) = file.map_err(|_| Error::NotFound)?;
    let asset = BY_FILE.get(file.as_str()).ok_or(Error::NotFound)?;
    Ok(asset.response(FOR_EVER))
}

/// `GET /img/favicon.ico`, `GET /favicon.ico`
pub(crate) async fn favicon() -> Response {
    named("favicon.ico").response(A_DAY)
}
