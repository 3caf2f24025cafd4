//! One of the services behind the front end, and a call to it.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use emojivoto_proto::IdempotencyKey;
use emojivoto_telemetry::{
    Operation, Telemetry, causes,
    grpc::{Call, CalledRpc, Calls},
};
use http::{
    HeaderMap, HeaderValue, Uri,
    header::{CONTENT_TYPE, TE, USER_AGENT},
    uri::{Authority, PathAndQuery},
};
use prost::{Message, bytes::Bytes};
use tokio::time::timeout;
use tonic::Code;

use super::{
    CallError,
    connection::Failed,
    grpc::{Answer, frame},
    pick_first::PickFirst,
    replicas::Replicas,
};

/// Proxies and logs may go by it.
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("emojivoto-web/", env!("CARGO_PKG_VERSION")));

/// So much longer than a backend is told a call is waited for. One that ends it in time is the only one that knows which
/// fault held it up, and would not be heard otherwise.
const GRACE: Duration = Duration::from_millis(100);

/// A call that nobody has looked at is sent again, over another connection, but not for ever: a backend that takes none
/// has too much to do already.
const MAX_TRIES: u32 = 3;

/// How the connection is found that a call goes over.
#[derive(Debug)]
pub(super) enum Way {
    PickFirst(PickFirst),
    LeastRequest(Replicas),
}

/// An RPC of a backend, with all that is the same in each call of it.
#[derive(Debug)]
pub(super) struct Rpc {
    /// By the names that the backend has.
    uris: Vec<Uri>,
    observed: CalledRpc,
}

/// A backend.
#[derive(Debug)]
pub(super) struct Backend {
    service: &'static str,
    names: Vec<Authority>,
    way: Way,
    calls: Calls,
    timeout: Duration,
    /// Those of every call.
    headers: HeaderMap,
}

impl Backend {
    /// One that is called `service` where people read it, and has these names on the way. A call may take `timeout`,
    /// which it is told, too.
    pub(super) fn new(
        service: &'static str,
        names: Vec<Authority>,
        way: Way,
        descriptors: &[u8],
        timeout: Duration,
        telemetry: &Telemetry,
    ) -> Self {
        let [name, ..] = &names[..] else { panic!("a backend has a name") };
        let calls = Calls::new(telemetry, descriptors, name);
        let mut request = tonic::Request::new(());
        request.set_timeout(timeout);
        let mut headers = request.into_parts().0.into_headers();
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(USER_AGENT, AGENT);
        Self { service, names, way, calls, timeout, headers }
    }

    /// How long it may take to answer a call.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// An RPC, by its path.
    pub(super) fn rpc(&self, path: &PathAndQuery) -> Rpc {
        let uri = |name: &Authority| {
            let uri = Uri::builder().scheme("http").authority(name.clone());
            uri.path_and_query(path.clone()).build().expect("a name and a path make a URI")
        };
        let uris = self.names.iter().map(uri).collect();
        Rpc { uris, observed: self.calls.rpc(path.as_str()) }
    }

    /// Calls: one message there, one message back.
    pub(super) async fn call<M: Message + Default>(
        &self,
        rpc: &Rpc,
        message: &impl Message,
        key: Option<&IdempotencyKey>,
    ) -> Result<M, CallError> {
        let mut headers = self.headers.clone();
        if let Some(key) = key {
            key.add_to(&mut headers);
        }
        let mut call = self.calls.start(rpc.observed, &mut headers, self.timeout);
        let message = frame(message);
        let (mut fault, began) = (None, Instant::now());
        let exchange = self.exchange(rpc, headers, message, &mut fault);
        let error = match timeout(self.timeout + GRACE, exchange).await {
            Ok(Ok(answer)) => return self.answered(call, answer),
            Ok(Err(error)) => error,
            Err(elapsed) => elapsed.into(),
        };
        let late = began.elapsed() >= self.timeout;
        let code = if late { Code::DeadlineExceeded } else { Code::Unavailable };
        Err(self.failed(&mut call, code, error, fault))
    }

    /// Asks, and keeps the fault that the head of an answer names, should no more of it come.
    async fn exchange(
        &self,
        rpc: &Rpc,
        headers: HeaderMap,
        message: Bytes,
        fault: &mut Option<HeaderValue>,
    ) -> Result<Answer, Box<dyn Error + Send + Sync>> {
        for left in (0..MAX_TRIES).rev() {
            let connection = match &self.way {
                Way::PickFirst(one) => one.pick().await?,
                Way::LeastRequest(replicas) => replicas.pick().await?,
            };
            // Under the name that it was found by, which meshes and servers go by.
            let uri = &rpc.uris[connection.name];
            match connection.call(uri, headers.clone(), message.clone(), fault).await {
                // The end of a connection is no reason for it to fail.
                Err(Failed::NeverArrived(_)) if left > 0 => {}
                // It may have arrived, and a vote must not be counted twice.
                answer => return Ok(answer?),
            }
        }
        unreachable!("the last one returns")
    }

    fn answered<M: Message + Default>(
        &self,
        mut call: Operation<Call>,
        answer: Answer,
    ) -> Result<M, CallError> {
        if !answer.data.is_empty() {
            call.observed.received();
        }
        let by_status = answer.has_status();
        let message = answer.message().map_err(|status| {
            let cause = status.message().to_owned();
            let error = CallError { by_status, ..CallError::new(self.service, status) };
            call.observed.failed(error.code, cause, error.fault());
            error
        })?;
        call.observed.succeeded();
        Ok(message)
    }

    /// It did not get there, or no answer came back, or half of one: this is where that is known first.
    fn failed(
        &self,
        call: &mut Operation<Call>,
        code: Code,
        source: Box<dyn Error + Send + Sync>,
        fault: Option<HeaderValue>,
    ) -> CallError {
        call.record_error(&*source);
        let error = CallError { service: self.service, code, source, by_status: false, fault };
        call.observed.failed(code, causes(&*error.source), error.fault());
        error
    }
}
