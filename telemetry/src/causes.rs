//! Errors, with what caused them.

use std::error::Error;

/// An error and its causes, in one line.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.ends_with(&message) {
            text.extend([": ", &message]);
        }
        source = error.source();
    }
    text
}
