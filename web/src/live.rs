//! The live leaderboard: one poll of the backends for all who watch, and none while nobody does.

use std::{convert::Infallible, time::Duration};

use askama::Template as _;
use axum::response::sse::Event;
use emojivoto_telemetry::{
    Telemetry,
    prometheus::{
        collector::Collector,
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{MetricType, gauge::ConstGauge},
    },
};
use futures_util::{Stream, StreamExt as _};
use tokio::sync::{Notify, watch};
use tokio_stream::wrappers::WatchStream;

use crate::{error::Error, leaderboard::Leaderboard, upstream::Upstreams};

/// How old what viewers see may get.
const INTERVAL: Duration = Duration::from_secs(1);

/// What viewers were told last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    /// The board, as HTML.
    Board(String),
    /// Why there is none at the moment.
    Unavailable(String),
}

/// What the viewers have in common.
#[derive(Debug)]
pub(crate) struct Live {
    news: watch::Sender<Option<News>>,
    first_viewer: Notify,
}

impl Live {
    pub(crate) fn new(telemetry: &Telemetry) -> Self {
        let news = watch::Sender::new(None);
        let viewers = Box::new(Viewers(news.clone()));
        telemetry.register(|registry| registry.register_collector(viewers));
        Self { news, first_viewer: Notify::new() }
    }

    /// The events of one viewer: `board` with the HTML of the board whenever it changed, and
    /// `unavailable` with a reason.
    pub(crate) fn events(&self) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
        let news = WatchStream::new(self.news.subscribe());
        self.first_viewer.notify_one();
        news.filter_map(async |news| news).map(|news| {
            Ok(match news {
                News::Board(html) => Event::default().event("board").data(html),
                News::Unavailable(reason) => Event::default().event("unavailable").data(reason),
            })
        })
    }
}

/// `emojivoto_leaderboard_viewers`.
#[derive(Debug)]
struct Viewers(watch::Sender<Option<News>>);

impl Collector for Viewers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (name, help) = ("emojivoto_leaderboard_viewers", "Who watches the live leaderboard");
        let described = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let viewers = i64::try_from(self.0.receiver_count()).unwrap_or(i64::MAX);
        ConstGauge::new(viewers).encode(described)
    }
}

/// Keeps the viewers informed; never returns.
pub(crate) async fn poll(live: &Live, upstreams: &Upstreams) -> Infallible {
    let Live { news, first_viewer } = live;
    loop {
        first_viewer.notified().await;
        while news.receiver_count() > 0 {
            let latest = Some(ask(upstreams).await);
            news.send_if_modified(|last| {
                let changed = *last != latest;
                if changed {
                    *last = latest;
                }
                changed
            });
            tokio::time::sleep(INTERVAL).await;
        }
        // By the time somebody watches again, it is no longer true.
        news.send_replace(None);
    }
}

async fn ask(upstreams: &Upstreams) -> News {
    let board = async {
        let leaderboard = Leaderboard::fetch(upstreams).await?;
        Ok::<_, Error>(leaderboard.board().render()?)
    };
    match board.await {
        // A carriage return is the one character that the data of an event cannot carry.
        Ok(html) => News::Board(html.replace('\r', "")),
        Err(error) => News::Unavailable(error.to_string()),
    }
}
