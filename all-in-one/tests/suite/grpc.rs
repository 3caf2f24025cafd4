//! The two gRPC services, as a mesh or a gRPC client sees them.

use std::time::Duration;

use emojivoto_proto::{
    Shortcode,
    emoji::{
        FindByShortcodeRequest, ListAllEmojiRequest, emoji_service_client::EmojiServiceClient,
    },
    voting::{ResultsRequest, VoteRequest, VotingClient},
};
use emojivoto_testkit::{channel, emoji, voting, within};
use futures_util::StreamExt as _;
use prost::Message as _;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::BALLOT;

/// The next message of a stream.
async fn next<M>(stream: &mut Streaming<M>) -> Result<Option<M>, Status> {
    within("a message of the stream, or its end", stream.message()).await
}

#[tokio::test]
async fn the_ballot_is_listed_in_order_and_found_by_shortcode() {
    let emoji = emoji().await;
    let mut client = EmojiServiceClient::new(channel(emoji.address()));
    let list = client.list_all(ListAllEmojiRequest {}).await.expect("a list").into_inner();
    let listed: Vec<_> =
        list.list.iter().map(|e| (e.shortcode.as_str(), e.unicode.as_str())).collect();
    let expected: Vec<_> = BALLOT
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|columns| (columns[0], columns[1]))
        .collect();
    assert_eq!(listed, expected);

    for (shortcode, unicode) in expected {
        let request = FindByShortcodeRequest { shortcode: shortcode.to_owned() };
        let found = client.find_by_shortcode(request).await.expect("an answer").into_inner().emoji;
        assert_eq!(found.map(|e| e.unicode), Some(unicode.to_owned()), "{shortcode}");
    }
    for shortcode in ["", "joy", ":nope:", ":joy:\u{0}"] {
        let request = FindByShortcodeRequest { shortcode: shortcode.to_owned() };
        let found = client.find_by_shortcode(request).await.expect("status OK").into_inner();
        assert_eq!(found.emoji, None, "{shortcode:?}");
    }
}

#[tokio::test]
async fn all_hundred_votes_are_counted_but_the_doughnuts() {
    let (voting, _) = voting(Duration::ZERO).await;
    let mut client = VotingClient::new(channel(voting.address()));
    for emoji in Shortcode::all() {
        let vote = client.vote(emoji, VoteRequest {}).await;
        if emoji == Shortcode::doughnut() {
            let status = vote.expect_err("the doughnut fails");
            assert_eq!((status.code(), status.message()), (Code::Unknown, "ERROR"));
        } else {
            vote.unwrap_or_else(|status| panic!("{emoji}: {status}"));
        }
    }
    client.vote(":relaxed:".parse().expect("an emoji"), VoteRequest {}).await.expect("a vote");
    let results = client.results(ResultsRequest {}).await.expect("results").into_inner().results;
    let shortcodes: Vec<_> = results.iter().map(|result| result.shortcode.as_str()).collect();
    let ballot =
        Shortcode::all().filter(|emoji| *emoji != Shortcode::doughnut()).map(Shortcode::as_str);
    // The last of the ballot has two votes, everything else one: most first, ties in ballot order.
    let expected: Vec<_> = [":relaxed:"].into_iter().chain(ballot.take(98)).collect();
    assert_eq!(shortcodes, expected);
    assert_eq!(results.iter().map(|result| result.votes).collect::<Vec<_>>()[..3], [2, 1, 1]);
}

#[tokio::test]
async fn health_is_served_until_the_service_drains() {
    let (voting, _) = voting(Duration::ZERO).await;
    let mut health = HealthClient::new(channel(voting.address()));
    for (service, status) in [("", 1), ("emojivoto.v1.VotingService", 1)] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = health.check(request).await.expect("a status").into_inner();
        assert_eq!(answer.status, status, "{service:?} is SERVING");
    }
    let request = HealthCheckRequest { service: "nothing".to_owned() };
    assert_eq!(health.check(request).await.expect_err("unknown").code(), Code::NotFound);

    let request = HealthCheckRequest { service: "emojivoto.v1.VotingService".to_owned() };
    let mut watch = health.watch(request).await.expect("a watch").into_inner();
    assert_eq!(next(&mut watch).await.expect("a status").map(|s| s.status), Some(1));
    voting.stop().drain();
    assert_eq!(next(&mut watch).await.expect("a status").map(|s| s.status), Some(2), "NOT_SERVING");
    // Whoever watches does not hold up the end.
    voting.drained().await;
    assert!(!matches!(next(&mut watch).await, Ok(Some(_))), "the watch has ended");
}

/// Tools such as grpcui keep their stream open.
#[tokio::test]
async fn whoever_keeps_asking_for_reflection_does_not_hold_up_the_end() {
    let (voting, _) = voting(Duration::ZERO).await;
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let questions = futures_util::stream::iter([question]).chain(futures_util::stream::pending());
    let mut client = ServerReflectionClient::new(channel(voting.address()));
    let answers = client.server_reflection_info(questions).await.expect("reflection");
    let mut answers = answers.into_inner();
    next(&mut answers).await.expect("an answer").expect("an answer");
    voting.drained().await;
    assert_eq!(next(&mut answers).await.expect("an end that is no error"), None);
}

/// What `grpcurl … list` and `grpcurl … describe` ask.
#[tokio::test]
async fn reflection_lists_the_services_and_describes_their_methods() {
    let (emoji, (voting, _)) = (emoji().await, voting(Duration::ZERO).await);
    for (address, service, methods) in [
        (emoji.address(), "emojivoto.v1.EmojiService", 2),
        (voting.address(), "emojivoto.v1.VotingService", 101),
    ] {
        let ask = |question| async move {
            let request =
                ServerReflectionRequest { host: String::new(), message_request: Some(question) };
            let requests = futures_util::stream::iter([request]);
            let mut client = ServerReflectionClient::new(channel(address));
            let answers = client.server_reflection_info(requests).await.expect("reflection");
            let answer =
                next(&mut answers.into_inner()).await.expect("an answer").expect("an answer");
            answer.message_response.expect("a message")
        };
        let MessageResponse::ListServicesResponse(list) =
            ask(MessageRequest::ListServices(String::new())).await
        else {
            panic!("a list of services");
        };
        let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        assert!(names.iter().any(|name| name == service), "{names:?}");
        assert!(names.iter().any(|name| name == "grpc.health.v1.Health"), "{names:?}");

        let question = MessageRequest::FileContainingSymbol(service.to_owned());
        let MessageResponse::FileDescriptorResponse(files) = ask(question).await else {
            panic!("a file");
        };
        let file =
            prost_types::FileDescriptorProto::decode(files.file_descriptor_proto[0].as_slice());
        assert_eq!(file.expect("a descriptor").service[0].method.len(), methods);
    }
}
