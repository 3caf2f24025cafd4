//! Server-sent events, by which a page stays live.

use axum::body::Bytes;

/// A server-sent event, as it is sent.
pub fn event(name: &str, data: &str) -> Bytes {
    // A carriage return is the one character that the data of an event cannot carry.
    let data = data.replace('\r', "").replace('\n', "\ndata: ");
    format!("event: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_a_field_for_each_line() {
        assert_eq!(
            event("board", "<p>\r\n\n</p>"),
            "event: board\ndata: <p>\ndata: \ndata: </p>\n\n"
        );
    }
}
