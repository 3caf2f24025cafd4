//! A message that is built once and sent often.

use std::sync::Arc;

use prost::{
    DecodeError, Message,
    bytes::{Buf, BufMut},
    encoding::{DecodeContext, WireType},
};

/// A message whose clones share one value: answering with it copies nothing but a pointer.
///
/// On the wire it is the message itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shared<M>(Arc<M>);

impl<M> From<M> for Shared<M> {
    fn from(message: M) -> Self {
        Self(Arc::new(message))
    }
}

impl<M> std::ops::Deref for Shared<M> {
    type Target = M;

    fn deref(&self) -> &M {
        &self.0
    }
}

impl<M: Message + Clone + Default> Message for Shared<M> {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.0.encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        Arc::make_mut(&mut self.0).merge_field(tag, wire_type, buf, ctx)
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
