//! `emojivoto.v1.EmojiService`: the generated messages, client and server of `Emoji.proto`.

#![allow(missing_docs, clippy::pedantic)] // generated code

use crate::{Shared, Shortcode};

tonic::include_proto!("Emoji/emojivoto.v1");

/// The full name of the service.
pub const SERVICE_NAME: &str = emoji_service_server::SERVICE_NAME;

/// The encoded descriptor of `Emoji.proto`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/Emoji/descriptors.bin"));

/// The fields of `ListAllEmojiResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct EmojiList {
    /// Every emoji of the ballot, in display order.
    #[prost(message, repeated, tag = "1")]
    pub list: Vec<Emoji>,
}

/// The reply of `ListAll`. The ballot never changes, so a server builds it once and shares it.
pub type ListAllEmojiResponse = Shared<EmojiList>;

impl From<Shortcode> for Emoji {
    fn from(emoji: Shortcode) -> Self {
        Self { unicode: emoji.unicode().to_owned(), shortcode: emoji.as_str().to_owned() }
    }
}
