//! gzip, for collectors and scrapers.

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

/// Compresses what is all there.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.expect("writing to memory cannot fail")
}
