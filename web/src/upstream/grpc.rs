//! The messages of a unary call, as gRPC frames them
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use emojivoto_telemetry::grpc::code_of_http;
use http::{HeaderMap, StatusCode};
use prost::{
    Message,
    bytes::{Buf as _, BufMut as _, Bytes, BytesMut},
};
use tonic::Status;

/// What comes before a message: whether it is compressed, and its length in four bytes.
const HEAD: usize = 5;

/// A message as it is sent, not compressed.
pub(super) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let Some(length_on_wire) = u32::try_from(length).ok().filter(|length| *length > 0) else {
        return Bytes::from_static(&[0; HEAD]);
    };
    let mut frame = BytesMut::with_capacity(HEAD + length);
    frame.put_u8(0);
    frame.put_u32(length_on_wire);
    message.encode_raw(&mut frame);
    frame.freeze()
}

/// All that came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) data: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Answer {
    /// Whether it has a status, as every answer by gRPC does.
    pub(super) fn has_status(&self) -> bool {
        self.trailers.as_ref().unwrap_or(&self.headers).contains_key(Status::GRPC_STATUS)
    }

    /// The one message of it; or its status, if that is another one than `OK`.
    pub(super) fn message<M: Message + Default>(self) -> Result<M, Status> {
        self.succeeded()?;
        let mut data = self.data;
        if data.remaining() < HEAD {
            return Err(Status::internal("an answer without a message"));
        }
        let (compressed, length) = (data.get_u8(), data.get_u32());
        if compressed != 0 || usize::try_from(length).ok() != Some(data.remaining()) {
            return Err(Status::internal("an answer that is not one message, not compressed"));
        }
        M::decode(data).map_err(|error| Status::internal(format!("unreadable answer: {error}")))
    }

    fn succeeded(&self) -> Result<(), Status> {
        let trailers = self.trailers.as_ref().unwrap_or(&self.headers);
        // As nearly all do. A status copies all that came with it.
        if trailers.get(Status::GRPC_STATUS).is_some_and(|status| status == "0") {
            return Ok(());
        }
        match Status::from_header_map(trailers) {
            Some(status) if status.code() == tonic::Code::Ok => Ok(()),
            Some(status) => Err(status),
            None if self.status != StatusCode::OK => {
                let code = code_of_http(self.status);
                Err(Status::new(code, format!("answered with HTTP status {}", self.status)))
            }
            None => Err(Status::unknown("an answer without a status")),
        }
    }
}
