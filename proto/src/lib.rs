//! The contract of the suite: the ballot, messages, clients and servers of the two gRPC services
//! (`Emoji.proto`, `Voting.proto`), and the addresses of web.
//!
//! A method that the voting service does not have cannot be called from here: a [`Shortcode`] is
//! an entry of the ballot, and every entry has its RPC.

mod ballot;
mod codec;
pub mod emoji;
mod idempotency;
mod routes;
mod shared;
pub mod voting;

pub use ballot::{Shortcode, UnknownShortcode};
pub use idempotency::{IdempotencyKey, InvalidIdempotencyKey};
pub use routes::{ROUTES, VOTE_API, VOTE_PAGE};
pub use shared::Shared;

/// Requests of both services are a shortcode or nothing; unknown fields are allowed, megabytes of
/// them not.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use prost_types::{
        FileDescriptorSet,
        field_descriptor_proto::{Label, Type},
    };

    use super::*;

    /// Every field of a descriptor set, as `Message.field = number: type`.
    fn fields(descriptors: &[u8]) -> Vec<String> {
        let files = FileDescriptorSet::decode(descriptors).expect("a descriptor set").file;
        assert!(files.iter().all(|file| file.package() == "emojivoto.v1"));
        let messages = files.iter().flat_map(|file| &file.message_type);
        messages
            .flat_map(|message| {
                message.field.iter().map(|field| {
                    let label = if field.label() == Label::Repeated { "repeated " } else { "" };
                    let kind = match field.r#type() {
                        Type::Message => field.type_name().to_owned(),
                        Type::String => "string".to_owned(),
                        Type::Int32 => "int32".to_owned(),
                        other => format!("{other:?}"),
                    };
                    format!(
                        "{}.{} = {}: {label}{kind}",
                        message.name(),
                        field.name(),
                        field.number()
                    )
                })
            })
            .collect()
    }

    #[test]
    fn messages_are_those_that_others_rely_on() {
        let emoji = [
            "Emoji.unicode = 1: string",
            "Emoji.shortcode = 2: string",
            "ListAllEmojiResponse.list = 1: repeated .emojivoto.v1.Emoji",
            "FindByShortcodeRequest.Shortcode = 1: string",
            "FindByShortcodeResponse.Emoji = 1: .emojivoto.v1.Emoji",
        ];
        assert_eq!(fields(emoji::DESCRIPTORS), emoji);
        let voting = [
            "VotingResult.Shortcode = 1: string",
            "VotingResult.Votes = 2: int32",
            "ResultsResponse.results = 1: repeated .emojivoto.v1.VotingResult",
        ];
        assert_eq!(fields(voting::DESCRIPTORS), voting);
    }

    #[test]
    fn clients_in_go_can_be_generated() {
        for descriptors in [emoji::DESCRIPTORS, voting::DESCRIPTORS] {
            let [file] =
                &FileDescriptorSet::decode(descriptors).expect("a descriptor set").file[..]
            else {
                panic!("one file")
            };
            let options = file.options.clone().unwrap_or_default();
            assert_eq!(options.go_package(), "github.com/buoyantio/emojivoto/proto");
        }
    }

    /// The one message that is written by hand.
    #[test]
    fn a_list_of_emoji_is_encoded_as_its_descriptor_says() {
        let joy = emoji::Emoji { unicode: "U".to_owned(), shortcode: "S".to_owned() };
        let list: emoji::ListAllEmojiResponse = emoji::EmojiList { list: vec![joy] }.into();
        assert_eq!(list.encode_to_vec(), b"\x0a\x06\x0a\x01U\x12\x01S");
        let decoded = emoji::ListAllEmojiResponse::decode(&b"\x0a\x06\x0a\x01U\x12\x01S"[..]);
        assert_eq!(decoded, Ok(list));
    }
}
