//! Keeps what is logged from doing things to a terminal, and to one line.

use std::fmt::{self, Write};

/// Writes text with its control characters escaped as JSON does it (`\u001b`), inside of whose strings
/// they may stand: those of ASCII, and U+0080 to U+009F, which terminals obey as well.
pub(super) struct Escape<W>(pub(super) W);

impl<W: Write> Write for Escape<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Self(writer) = self;
        let mut rest = text;
        while let Some((start, control)) = rest.char_indices().find(|(_, c)| c.is_control()) {
            writer.write_str(&rest[..start])?;
            write!(writer, "\\u{:04x}", u32::from(control))?;
            rest = &rest[start + control.len_utf8()..];
        }
        writer.write_str(rest)
    }
}
