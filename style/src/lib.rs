//! What the pages of web and of the admin port have in common: how they look, and how they are sent.
//!
//! Everything that a page needs is embedded in the binary and comes from where the page came from.

mod asset;
mod event;
mod grouped;

pub use asset::{Asset, Assets};
pub use event::event;
pub use grouped::grouped;

/// The beginning of every page's head: what it is written in, and the colors around it, which are those of [`BASE_CSS`].
pub const HEAD: &str = include_str!("../static/head.html");

/// The beginning of every stylesheet: colors, type, header, footer and the sheet.
pub const BASE_CSS: &str = include_str!("../static/base.css");

/// The beginning of the script of every page that is live: the function `follow`.
pub const LIVE_JS: &str = include_str!("../static/live.js");

/// The value of the header by which browsers load nothing from elsewhere, and nothing that is inline.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// `favicon.svg`
pub fn favicon_svg() -> Asset {
    Asset::new("favicon.svg", include_bytes!("../static/favicon.svg").as_slice())
}

/// `favicon.ico`, for browsers that know no other.
pub fn favicon_ico() -> Asset {
    Asset::new("favicon.ico", include_bytes!("../static/favicon.ico").as_slice())
}
