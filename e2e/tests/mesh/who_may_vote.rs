//! `docs/drills/who-may-vote.md`: identity, and who may call what.

use emojivoto_proto::{
    Shortcode,
    voting::{ResultsRequest, VoteRequest, VotingClient},
};
use emojivoto_testkit::{channel, emoji, eventually, http, web, within};
use serde_json::Value;
use tonic::{Code, Request};

use crate::{
    drill::give,
    envoy::Envoy,
    identity::identity,
    suite::{Voting, proxies, variant, vote},
    translation::{Mesh, Pods},
};

const DRILL: &str = "who-may-vote.md";

/// Who calls voting-svc: web, who may, and two others of the same mesh.
const CALLS: [(&str, &str); 3] =
    [("web", "voting-svc"), ("vote-bot", "voting-svc"), ("emoji", "voting-svc")];

/// How a call of a client ends: a vote, and the results.
async fn calls(envoy: &Envoy, client: &str) -> [Code; 2] {
    let address = envoy.address(&format!("{client} to voting-svc"));
    let mut voting = VotingClient::new(channel(address));
    let joy: Shortcode = ":joy:".parse().expect("an emoji");
    let voted = within("a vote", voting.vote(joy, Request::new(VoteRequest {}))).await;
    let results = within("results", voting.results(ResultsRequest {})).await;
    let code = |status: tonic::Status| status.code();
    [voted.err().map_or(Code::Ok, code), results.err().map_or(Code::Ok, code)]
}

const ALLOWED: [Code; 2] = [Code::Ok; 2];
const REFUSED: [Code; 2] = [Code::PermissionDenied; 2];

#[tokio::test(flavor = "multi_thread")]
async fn linkerd_audits_then_denies() {
    let voting = Voting::start().await;
    let pods = Pods::from([("voting", vec![voting.address()])]);
    let mut objects = variant("linkerd-policy");

    let envoy = proxies(Mesh::Linkerd, &objects, &pods, &CALLS).await;
    for (client, _) in CALLS {
        assert_eq!(calls(&envoy, client).await, ALLOWED, "{client}");
    }
    // Each is known by its certificate, and what would have been refused is counted.
    for (account, audit) in [("web", "allowed"), ("vote-bot", "denied"), ("emoji", "denied")] {
        let peer = identity(account);
        eventually(&format!("{account} is {audit}"), async || {
            let labels = [("pod", "voting-0"), ("peer", &peer), ("audit", audit)];
            (envoy.requests(&labels).await == 2).then_some(())
        })
        .await;
    }

    give(DRILL, "kubectl -n emojivoto patch server voting-grpc", &mut objects);
    let envoy = proxies(Mesh::Linkerd, &objects, &pods, &CALLS).await;
    for (client, expected) in [("web", ALLOWED), ("vote-bot", REFUSED), ("emoji", REFUSED)] {
        assert_eq!(calls(&envoy, client).await, expected, "{client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn istio_denies_by_service_account_and_rpc() {
    let voting = Voting::start().await;
    let pods = Pods::from([("voting", vec![voting.address()])]);
    let objects = variant("istio-policy");
    let envoy = proxies(Mesh::Istio, &objects, &pods, &CALLS).await;
    for (client, expected) in [("web", ALLOWED), ("vote-bot", REFUSED), ("emoji", REFUSED)] {
        assert_eq!(calls(&envoy, client).await, expected, "{client}");
    }
    // Not even web may call what no rule names.
    let url = format!("http://{}/grpc.health.v1.Health/Check", envoy.address("web to voting-svc"));
    let health = http::post_h2(&url, "application/grpc", &[0; 5]).await;
    assert_eq!(health.header("grpc-status"), "7");
}

/// The drill's intruder: a web with another ServiceAccount, here the bot's. What it answers to a vote.
async fn intruder(objects: &[Value], voting: &Voting) -> u16 {
    let emoji = emoji().await;
    let pods = Pods::from([("emoji", vec![emoji.address()]), ("voting", vec![voting.address()])]);
    let calls = [("vote-bot", "emoji-svc"), ("vote-bot", "voting-svc")];
    let envoy = proxies(Mesh::Linkerd, objects, &pods, &calls).await;
    let [emoji_svc, voting_svc] =
        calls.map(|(client, service)| envoy.address(&format!("{client} to {service}")));
    let web = web(emoji_svc, voting_svc).await;
    vote(web.address(), ":poop:").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_of_somebody_else_answers_with_500() {
    let voting = Voting::start().await;
    assert_eq!(intruder(&variant("linkerd-policy"), &voting).await, 200);
    // One door is enough, whichever it is.
    for server in ["voting-grpc", "emoji-grpc"] {
        let mut objects = variant("linkerd-policy");
        give(DRILL, &format!("kubectl -n emojivoto patch server {server}"), &mut objects);
        assert_eq!(intruder(&objects, &voting).await, 500);
    }
    assert_eq!(voting.votes().await, 1);
}
