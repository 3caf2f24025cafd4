//! The methods of the voting service, as a table built from the ballot.

use std::{collections::HashMap, sync::LazyLock};

use http::uri::PathAndQuery;

use crate::Shortcode;

/// The full name of the service.
pub const SERVICE_NAME: &str = "emojivoto.v1.VotingService";

/// A method that the voting service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// One of the hundred `Vote…(VoteRequest) -> VoteResponse`.
    Vote(Shortcode),
    /// `Results(ResultsRequest) -> ResultsResponse`.
    Results,
}

struct Paths {
    votes: Vec<PathAndQuery>,
    results: PathAndQuery,
    methods: HashMap<String, Method>,
}

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    let path = |method: Method| {
        PathAndQuery::try_from(format!("/{SERVICE_NAME}/{}", method.name()))
            .expect("method names are path segments")
    };
    Paths {
        votes: Shortcode::all().map(|emoji| path(Method::Vote(emoji))).collect(),
        results: path(Method::Results),
        methods: Method::all().map(|method| (path(method).to_string(), method)).collect(),
    }
});

impl Method {
    /// Every method, `Results` last.
    pub fn all() -> impl Iterator<Item = Self> {
        Shortcode::all().map(Self::Vote).chain([Self::Results])
    }

    /// The method that a request path (`/emojivoto.v1.VotingService/VoteJoy`) names, if there is one.
    pub fn from_path(path: &str) -> Option<Self> {
        PATHS.methods.get(path).copied()
    }

    /// The request path.
    pub fn path(self) -> &'static PathAndQuery {
        match self {
            Self::Vote(emoji) => &PATHS.votes[emoji.index()],
            Self::Results => &PATHS.results,
        }
    }

    /// The name without the service: `VoteJoy`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vote(emoji) => emoji.rpc(),
            Self::Results => "Results",
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::voting::DESCRIPTORS;

    /// Source of the contract check: the `.proto` file itself.
    #[test]
    fn methods_are_those_of_the_descriptor() {
        let files = prost_types::FileDescriptorSet::decode(DESCRIPTORS).expect("a descriptor set");
        let service = files.file.iter().flat_map(|file| &file.service).next().expect("a service");
        let mut declared: Vec<&str> =
            service.method.iter().map(prost_types::MethodDescriptorProto::name).collect();
        let mut ours: Vec<&str> = Method::all().map(Method::name).collect();
        assert_eq!(declared.len(), 101);
        declared.sort_unstable();
        ours.sort_unstable();
        assert_eq!(ours, declared);
        assert_eq!(service.name(), SERVICE_NAME.rsplit('.').next().expect("a name"));
        for method in &service.method {
            let (input, output) = match method.name() {
                "Results" => ("ResultsRequest", "ResultsResponse"),
                _ => ("VoteRequest", "VoteResponse"),
            };
            assert_eq!(method.input_type(), format!(".emojivoto.v1.{input}"), "{}", method.name());
            assert_eq!(
                method.output_type(),
                format!(".emojivoto.v1.{output}"),
                "{}",
                method.name()
            );
            assert!(!method.client_streaming() && !method.server_streaming(), "{}", method.name());
        }
    }

    #[test]
    fn paths_lead_back_to_their_methods() {
        for method in Method::all() {
            assert_eq!(Method::from_path(method.path().as_str()), Some(method));
        }
        for path in [
            "",
            "/",
            "/emojivoto.v1.VotingService",
            "/emojivoto.v1.VotingService/",
            "VoteJoy",
            "/emojivoto.v1.VotingService/VoteNothing",
            "/emojivoto.v1.VotingService/VoteJoy/",
        ] {
            assert_eq!(Method::from_path(path), None, "{path}");
        }
    }
}
