//! The gRPC face of the ballot.

use emojivoto_proto::{
    Shortcode,
    emoji::{
        EmojiList, FindByShortcodeRequest, FindByShortcodeResponse, ListAllEmojiRequest,
        ListAllEmojiResponse, emoji_service_server::EmojiService,
    },
};
use tonic::{Request, Response, Status};

/// The ballot, with the answers that never change made in advance.
#[derive(Debug)]
pub(crate) struct Ballot {
    list: ListAllEmojiResponse,
}

impl Ballot {
    pub(crate) fn new() -> Self {
        let list = Shortcode::all().map(Into::into).collect();
        Self { list: EmojiList { list }.into() }
    }
}

#[tonic::async_trait]
impl EmojiService for Ballot {
    async fn list_all(
        &self,
        _: Request<ListAllEmojiRequest>,
    ) -> Result<Response<ListAllEmojiResponse>, Status> {
        Ok(Response::new(self.list.clone()))
    }

    async fn find_by_shortcode(
        &self,
        request: Request<FindByShortcodeRequest>,
    ) -> Result<Response<FindByShortcodeResponse>, Status> {
        let emoji = request.get_ref().shortcode.parse::<Shortcode>().ok().map(Into::into);
        Ok(Response::new(FindByShortcodeResponse { emoji }))
    }
}
