//! Styles, scripts and icons, embedded in the binary.

use std::sync::LazyLock;

use axum::{
    extract::{Path, rejection::PathRejection},
    response::Response,
};
use emojivoto_style::{Asset, Assets, BASE_CSS, LIVE_JS, favicon_ico, favicon_svg};

use crate::error::Error;

static ASSETS: LazyLock<Assets> = LazyLock::new(|| {
    Assets::new([
        Asset::new("app.css", [BASE_CSS, include_str!("../static/app.css")].concat()),
        Asset::new("app.js", [LIVE_JS, include_str!("../static/app.js")].concat()),
        favicon_svg(),
        favicon_ico(),
    ])
});

/// The address of an asset, for templates.
pub(crate) fn url(name: &str) -> &'static str {
    ASSETS.named(name).url()
}

/// `GET /static/{file}`
pub(crate) async fn serve(file: Result<Path<String>, PathRejection>) -> Result<Response, Error> {
    let Path(file) = file.map_err(|_| Error::NotFound)?;
    Ok(ASSETS.at(&file).ok_or(Error::NotFound)?.response())
}

/// `GET /img/favicon.ico`, `GET /favicon.ico`
pub(crate) async fn favicon() -> Response {
    ASSETS.named("favicon.ico").response_for_a_day()
}
