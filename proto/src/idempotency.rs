//! The name of one vote, by which it is known again when it arrives twice.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The value of `Idempotency-Key`, a header of HTTP and metadata of gRPC: a vote is counted once, however often it
/// arrives under the same key. What it holds means nothing to anybody but the one who made it up.
///
/// The header is that of the IETF's draft "The Idempotency-Key HTTP Header Field"
/// (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>), but for its quotation marks: as
/// most who use the header do, they are taken for a part of the key, and need not be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(HeaderValue);

/// What was sent is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Idempotency-Key cannot be read: expected it once, with 1 to 128 visible characters of ASCII"
)]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The name of the header, and of the metadata.
    pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

    /// No key is longer.
    const MAX_BYTES: usize = 128;

    /// A new one: 96 random bits, in as few characters as they fit in, since each is written and read in web and in
    /// voting-svc. Among the last 100,000 votes, one vote in 10^24 has the key of another by chance.
    pub fn random() -> Self {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let text = rand::random::<[u8; 16]>().map(|byte| DIGITS[usize::from(byte % 64)]);
        Self(HeaderValue::from_bytes(&text).expect("digits can stand in a header"))
    }

    /// The key that a request has, if it has one.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, InvalidIdempotencyKey> {
        let mut values = headers.get_all(Self::HEADER).iter();
        let Some(value) = values.next() else { return Ok(None) };
        let bytes = value.as_bytes();
        let is_key = (1..=Self::MAX_BYTES).contains(&bytes.len())
            && bytes.iter().all(u8::is_ascii_graphic)
            && values.next().is_none();
        is_key.then(|| Some(Self(value.clone()))).ok_or(InvalidIdempotencyKey)
    }

    /// The value of the header.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Puts the key into the headers of a call.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        let mut value = self.header();
        // No secret, but HTTP/2 would remember it for the next calls, which have others, and forget what they share.
        value.set_sensitive(true);
        headers.insert(Self::HEADER, value);
    }

    /// The text of the key.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_visible_and_alone() {
        let of = |values: &[&[u8]]| {
            let value = |value: &&[u8]| HeaderValue::from_bytes(value).expect("a header");
            let headers = values.iter().map(|v| (IdempotencyKey::HEADER, value(v)));
            IdempotencyKey::of(&headers.collect())
        };
        assert_eq!(of(&[]), Ok(None));
        for good in [&b"x"[..], &[b'~'; 128], b"\"8e03978e-40d5-43dd-bc93-6894a57f9324\""] {
            let key = of(&[good]).expect("a key").expect("one");
            let mut headers = HeaderMap::new();
            key.add_to(&mut headers);
            assert_eq!(
                (key.as_bytes(), IdempotencyKey::of(&headers)),
                (good, Ok(Some(key.clone())))
            );
            assert_eq!(of(&[key.header().as_bytes()]), Ok(Some(key)));
        }
        for bad in [&[&b""[..]][..], &[&[b'x'; 129]], &[b"a b"], &[b"\xc3\xa4"], &[b"a", b"a"]] {
            assert_eq!(of(bad), Err(InvalidIdempotencyKey), "{bad:?}");
        }
    }

    #[test]
    fn random_keys_differ() {
        let (one, other) = (IdempotencyKey::random(), IdempotencyKey::random());
        assert_ne!(one, other);
        assert_eq!(one.as_bytes().len(), 16);
    }
}
