//! Styles, scripts and icons.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::{
    body::Bytes,
    response::{IntoResponse as _, Response},
};
use http::header;

/// Kept for a year, the longest that caches take for "for ever" (RFC 9111, 5.2.2.1).
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// What has a fixed address is seen within a day when it is a new one.
const A_DAY: &str = "public, max-age=86400";

/// A file that pages link to. Its address carries a hash of its content, so that it may be kept for ever.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    content: Bytes,
    /// The last part of its address: `app.0123456789abcdef.css`.
    file: String,
    url: String,
}

impl Asset {
    /// A file with this name, such as `app.css`, and content.
    pub fn new(name: &'static str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let mut hasher = DefaultHasher::new();
        content.hash(&mut hasher);
        let (stem, extension) = name.rsplit_once('.').expect("assets have an extension");
        let file = format!("{stem}.{:016x}.{extension}", hasher.finish());
        let url = format!("/static/{file}");
        Self { name, content, file, url }
    }

    /// Its address, `/static/app.0123456789abcdef.css`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Itself, at its address.
    pub fn response(&self) -> Response {
        self.kept(FOR_EVER)
    }

    /// Itself, at another address that has no hash.
    pub fn response_for_a_day(&self) -> Response {
        self.kept(A_DAY)
    }

    fn kept(&self, cache_control: &'static str) -> Response {
        let headers =
            [(header::CONTENT_TYPE, self.content_type()), (header::CACHE_CONTROL, cache_control)];
        (headers, self.content.clone()).into_response()
    }

    fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            Some((_, "ico")) => "image/x-icon",
            _ => "application/octet-stream",
        }
    }
}

/// All that the pages of a server link to.
#[derive(Debug)]
pub struct Assets(Box<[Asset]>);

impl Assets {
    /// These, each with another name.
    pub fn new(assets: impl Into<Box<[Asset]>>) -> Self {
        Self(assets.into())
    }

    /// The one with this name, `app.css`, which templates and routes know.
    pub fn named(&self, name: &str) -> &Asset {
        self.0.iter().find(|asset| asset.name == name).expect("templates name assets that exist")
    }

    /// The one whose address ends with this, `app.0123456789abcdef.css`.
    pub fn at(&self, file: &str) -> Option<&Asset> {
        self.0.iter().find(|asset| asset.file == file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(response: &Response, name: header::HeaderName) -> &str {
        response.headers()[name].to_str().expect("text")
    }

    #[test]
    fn an_address_changes_with_the_content_alone() {
        let [one, same, other] =
            ["a{}", "a{}", "b{}"].map(|content| Asset::new("app.css", content));
        assert_eq!(one.url(), same.url());
        assert_ne!(one.url(), other.url());
        let hash = one.url().strip_prefix("/static/app.").and_then(|url| url.strip_suffix(".css"));
        assert_eq!(hash.map(str::len), Some(16), "{}", one.url());
    }

    #[test]
    fn an_asset_is_found_by_its_address_and_kept_for_ever_there() {
        let assets = Assets::new([Asset::new("app.js", "1"), crate::favicon_ico()]);
        let url = assets.named("app.js").url();
        let file = url.strip_prefix("/static/").expect("where assets are");
        let response = assets.at(file).expect("it is there").response();
        assert_eq!(header(&response, header::CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert!(header(&response, header::CACHE_CONTROL).ends_with("immutable"));
        assert!(assets.at("app.js").is_none());
        let response = assets.named("favicon.ico").response_for_a_day();
        assert_eq!(header(&response, header::CONTENT_TYPE), "image/x-icon");
        assert_eq!(header(&response, header::CACHE_CONTROL), "public, max-age=86400");
    }
}
