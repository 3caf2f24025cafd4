//! The pages, as a browser without scripts sees them.

use emojivoto_testkit::{
    Service,
    http::{self, Answer, post},
    web_with,
};

use crate::Suite;

const FORM: &str = "application/x-www-form-urlencoded";

/// What every answer carries, page or not.
fn assert_headers(answer: &Answer) {
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("referrer-policy"), "no-referrer");
}

fn assert_page(answer: &Answer, status: u16, parts: &[&str]) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_headers(answer);
    for part in parts {
        assert!(answer.body.contains(part), "{part:?} is not in {}", answer.body);
    }
    assert!(!answer.body.contains(" style=") && !answer.body.contains("://"), "{}", answer.body);
}

#[tokio::test]
async fn the_ballot_is_a_form_of_a_hundred_buttons() {
    let suite = Suite::start().await;
    let answer = suite.get("/").await;
    assert_page(
        &answer,
        200,
        &[r#"method="post" action="/vote""#, r#"value=":joy:""#, "😂", "Vote for joy"],
    );
    assert_eq!(answer.body.matches(r#"name="choice""#).count(), 100);
}

#[tokio::test]
async fn a_vote_by_form_leads_to_a_page_that_says_what_was_picked() {
    let suite = Suite::start().await;
    let answer = post(&suite.web.url("/vote"), FORM, "choice=%3Ajoy%3A").await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/picked?choice=:joy:"));
    assert_page(&suite.get(answer.header("location")).await, 200, &["😂", ":joy:", "/leaderboard"]);
    assert_eq!(suite.votes().await, 1);
}

#[tokio::test]
async fn the_leaderboard_shows_who_has_votes_and_who_waits() {
    let suite = Suite::start().await;
    assert_page(&suite.get("/leaderboard").await, 200, &["No votes yet"]);
    for _ in 0..3 {
        suite.get("/api/vote?choice=:ghost:").await;
    }
    suite.get("/api/vote?choice=:joy:").await;
    let answer = suite.get("/leaderboard").await;
    assert_page(&answer, 200, &["👻", ":ghost:", "😂"]);
    let [ghost, joy] =
        [":ghost:", ":joy:"].map(|e| answer.body.find(&format!(r#"data-key="{e}""#)));
    assert!(ghost.expect("the leader") < joy.expect("the second"));
    assert_eq!(answer.body.matches("data-key=").count(), 100, "everybody is somewhere");
}

#[tokio::test]
async fn error_pages_say_what_happened_with_its_true_status() {
    let suite = Suite::start().await;
    for path in ["/nope", "/static/app.css", "/static/../Cargo.toml", "/leaderboard/"] {
        assert_page(&suite.get(path).await, 404, &["HTTP 404", "Nothing here"]);
    }
    let vote = suite.web.url("/vote");
    assert_page(
        &post(&vote, FORM, "choice=:doughnut:").await,
        500,
        &["HTTP 500", "on purpose", "mesh"],
    );
    assert_page(&post(&vote, FORM, "").await, 400, &["HTTP 400", "choice is missing"]);
    assert_page(&post(&vote, FORM, "choice=%3Cb%3E").await, 400, &["HTTP 400", "&#60;b&#62;"]);
    assert_page(&post(&vote, "text/plain", "x").await, 415, &["HTTP 415"]);
    assert_page(&post(&vote, FORM, &"x".repeat(5_000)).await, 413, &["HTTP 413"]);
    assert_page(&suite.get("/picked?choice=:nope:").await, 400, &["HTTP 400", ":nope:"]);
    let answer = suite.get("/vote").await;
    assert_page(&answer, 405, &["HTTP 405"]);
    assert_eq!(answer.header("allow"), "POST");
    assert_page(&post(&suite.web.url("/leaderboard"), FORM, "").await, 405, &["HTTP 405"]);
}

#[tokio::test]
async fn the_message_of_the_day_is_shown_and_escaped() {
    let suite = Suite::start().await;
    let with = async |message: Option<&str>| -> Service {
        let message = message.map(ToOwned::to_owned);
        let (emoji, voting) = (suite.emoji.address(), suite.voting.address());
        web_with(emoji, voting, |settings| settings.message_of_the_day = message)
            .await
            .ready()
            .await
    };
    let web = with(Some("<script>alert('hi')</script> & more")).await;
    for path in ["/", "/leaderboard", "/picked?choice=:joy:", "/nope"] {
        let body = http::get(&web.url(path)).await.body;
        assert!(
            body.contains("&#60;script&#62;alert(&#39;hi&#39;)&#60;/script&#62; &#38; more"),
            "{body}"
        );
        assert!(!body.contains("<script>"), "{body}");
    }
    let (none, blank) = (with(None).await, with(Some("  ")).await);
    let bodies = [http::get(&none.url("/")).await.body, http::get(&blank.url("/")).await.body];
    assert_eq!(bodies[0], bodies[1], "a blank message is none");
}

#[tokio::test]
async fn assets_are_embedded_and_kept_for_ever() {
    let suite = Suite::start().await;
    let page = suite.get("/").await.body;
    let assets: Vec<_> = page
        .split('"')
        .filter(|text| text.starts_with("/static/"))
        .map(|url| url.split('#').next().expect("an address"))
        .collect();
    for (stem, extension, content_type) in [
        ("app", ".css", "text/css; charset=utf-8"),
        ("app", ".js", "text/javascript; charset=utf-8"),
        ("favicon", ".svg", "image/svg+xml"),
        ("favicon", ".ico", "image/x-icon"),
    ] {
        let url = assets.iter().find(|url| url.contains(stem) && url.ends_with(extension));
        let answer =
            suite.get(url.unwrap_or_else(|| panic!("{stem}{extension} in {assets:?}"))).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, content_type));
        assert_eq!(answer.header("cache-control"), "public, max-age=31536000, immutable");
        assert_headers(&answer);
    }
    for path in ["/img/favicon.ico", "/favicon.ico"] {
        let icon = suite.get(path).await;
        assert_eq!((icon.status.as_u16(), icon.header("content-type")), (200, "image/x-icon"));
    }
}

#[tokio::test]
async fn what_is_large_is_compressed_for_those_who_accept_it() {
    let suite = Suite::start().await;
    for encoding in ["gzip", "br"] {
        for path in ["/", "/leaderboard", "/api/list"] {
            let plain = suite.get(path).await.length;
            let request =
                ::http::Request::get(suite.web.url(path)).header("accept-encoding", encoding);
            let answer = http::send(request, "").await.expect("an answer");
            assert_eq!(answer.header("content-encoding"), encoding, "{path}");
            assert!(answer.header("vary").contains("accept-encoding"), "{path}");
            assert!(answer.length * 4 < plain * 3, "{path}: {} of {plain}", answer.length);
        }
    }
}
