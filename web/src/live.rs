//! The live leaderboard: one poll of the backends for all who watch, and none while nobody does.
//!
//! An event is made once, and all viewers are sent the same bytes. A viewer has no timer of its own and waits for nothing
//! but to be woken: what is left of its cost is that of its connection.

use std::{
    convert::Infallible,
    future::{self, Future as _},
    pin::Pin,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use askama::Template as _;
use axum::body::Bytes;
use emojivoto_runtime::{Budget, Lifecycle, Permit};
use emojivoto_style::event;
use emojivoto_telemetry::{
    Telemetry,
    prometheus::{
        collector::Collector,
        encoding::{DescriptorEncoder, EncodeMetric as _},
        metrics::{MetricType, gauge::ConstGauge},
    },
};
use http_body::{Body, Frame};
use pin_project_lite::pin_project;
use tokio::{
    sync::{Notify, futures::OwnedNotified},
    time::{Instant, sleep, sleep_until},
};

use crate::{error::Error, leaderboard::Leaderboard, upstream::Upstreams};

/// How old what viewers see may get.
const INTERVAL: Duration = Duration::from_secs(1);
/// After this long without news viewers get a comment, so that nothing on the way takes their connections for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// The comment.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");
/// How many parts viewers are woken in, at most, with time for other work between two of them.
const PARTS: usize = 32;
/// So many are woken at once before it is worth a part more: some two milliseconds of work.
const PART: usize = 100;

/// What viewers were told last.
#[derive(Debug, Default)]
struct News {
    /// The event, as it is sent; nothing while nobody asked yet.
    event: Option<Bytes>,
    /// Another one for each event. 0 is none.
    number: u64,
    /// There will be no more.
    over: bool,
}

/// What the viewers have in common.
#[derive(Debug)]
pub(crate) struct Live {
    news: RwLock<News>,
    /// Wakes the viewers of each part.
    parts: [Arc<Notify>; PARTS],
    next_part: AtomicUsize,
    places: Arc<Budget>,
    first_viewer: Notify,
    lifecycle: Lifecycle,
}

impl Live {
    pub(crate) fn new(
        max_viewers: usize,
        telemetry: &Telemetry,
        lifecycle: Lifecycle,
    ) -> Arc<Self> {
        let live = Arc::new(Self {
            news: RwLock::default(),
            parts: Default::default(),
            next_part: AtomicUsize::new(0),
            places: lifecycle.budget("viewers", max_viewers, "MAX_VIEWERS"),
            first_viewer: Notify::new(),
            lifecycle,
        });
        let viewers = Box::new(Viewers(Arc::clone(&live)));
        telemetry.register(|registry| registry.register_collector(viewers));
        live
    }

    /// What one more viewer is sent: the event `board` with the HTML of the board, now and whenever it has changed, and
    /// `unavailable` with a reason. It ends when web drains, so that the browser looks for another one and nobody waits for this one.
    pub(crate) fn watch(self: &Arc<Self>) -> Result<Events, Error> {
        let place = self.places.try_take().ok_or(Error::TooManyViewers)?;
        let part = self.next_part.fetch_add(1, Relaxed) % PARTS;
        self.first_viewer.notify_one();
        let woken = Arc::clone(&self.parts[part]).notified_owned();
        Ok(Events { live: Arc::clone(self), part, seen: 0, woken, _place: place })
    }

    fn viewers(&self) -> usize {
        self.places.taken()
    }

    /// Changes what viewers are told, if they were told something else before.
    fn tell(&self, event: &Bytes) -> bool {
        let mut news = self.news.write().unwrap_or_else(PoisonError::into_inner);
        let changed = news.event.as_ref() != Some(event);
        if changed {
            news.event = Some(event.clone());
            news.number += 1;
        }
        changed
    }

    fn forget(&self) {
        self.news.write().unwrap_or_else(PoisonError::into_inner).event = None;
    }

    fn end(&self) {
        self.news.write().unwrap_or_else(PoisonError::into_inner).over = true;
    }

    /// Wakes all viewers. A crowd gets it in parts, over most of the time until the next poll, so that votes never wait
    /// for all of them.
    async fn wake(&self) {
        let at_once = PARTS.div_ceil((self.viewers() / PART).clamp(1, PARTS));
        for (turn, parts) in self.parts.chunks(at_once).enumerate() {
            if turn > 0 {
                sleep(INTERVAL / u32::try_from(PARTS).expect("few")).await;
            }
            for part in parts {
                part.notify_waiters();
            }
        }
    }
}

pin_project! {
    /// What a viewer is sent. Its place is free again when it is dropped, however the connection ended.
    ///
    /// A viewer who is slow is asked for nothing, and gets the newest event once it has taken the one before.
    pub(crate) struct Events {
        live: Arc<Live>,
        part: usize,
        seen: u64,
        #[pin]
        woken: OwnedNotified,
        _place: Permit,
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut this = self.project();
        let mut woken = false;
        loop {
            // In this order: what is told after the look at the news wakes.
            if let Some(answer) = this.live.news_for(this.seen) {
                return Poll::Ready(answer.map(|event| Ok(Frame::data(event))));
            }
            // To be woken for nothing means that there was nothing to tell for long.
            if woken {
                return Poll::Ready(Some(Ok(Frame::data(COMMENT))));
            }
            ready!(this.woken.as_mut().poll(cx));
            this.woken.set(Arc::clone(&this.live.parts[*this.part]).notified_owned());
            woken = true;
        }
    }
}

impl Live {
    /// What there is to tell to one who has seen the events up to this one; `Some(None)` is the end.
    #[expect(clippy::option_option, reason = "as a stream answers")]
    fn news_for(&self, seen: &mut u64) -> Option<Option<Bytes>> {
        let news = self.news.read().unwrap_or_else(PoisonError::into_inner);
        if news.over {
            return Some(None);
        }
        let event = news.event.as_ref().filter(|_| news.number != *seen)?;
        *seen = news.number;
        Some(Some(event.clone()))
    }
}

/// `emojivoto_leaderboard_viewers`.
#[derive(Debug)]
struct Viewers(Arc<Live>);

impl Collector for Viewers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let (name, help) = ("emojivoto_leaderboard_viewers", "Who watches the live leaderboard");
        let described = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let viewers = i64::try_from(self.0.viewers()).unwrap_or(i64::MAX);
        ConstGauge::new(viewers).encode(described)
    }
}

/// Keeps the viewers informed; never returns.
pub(crate) async fn poll(live: &Live, upstreams: &Upstreams) -> Infallible {
    let drained = async {
        live.lifecycle.draining().await;
        live.end();
        live.wake().await;
        future::pending().await
    };
    let informed = async {
        loop {
            live.first_viewer.notified().await;
            let mut told = Instant::now();
            while live.viewers() > 0 {
                let event = ask(upstreams).await;
                let now = Instant::now();
                if live.tell(&event) || told + KEEP_ALIVE <= now {
                    live.wake().await;
                    told = now;
                }
                sleep_until(now + INTERVAL).await;
            }
            // By the time somebody watches again, it is no longer true.
            live.forget();
        }
    };
    tokio::select! {
        never = drained => never,
        never = informed => never,
    }
}

async fn ask(upstreams: &Upstreams) -> Bytes {
    let board = async {
        let leaderboard = Leaderboard::fetch(upstreams).await?;
        Ok::<_, Error>(leaderboard.board().render()?)
    };
    match board.await {
        Ok(html) => event("board", &html),
        Err(error) => event("unavailable", &error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        task::{Wake, Waker},
    };

    use futures_util::{FutureExt as _, poll};
    use http_body_util::BodyExt as _;

    use super::*;

    fn live(max_viewers: usize) -> Arc<Live> {
        Live::new(max_viewers, &Telemetry::off(), Lifecycle::new().0)
    }

    /// What there is for a viewer now; nothing when it has to wait.
    fn next(viewer: &mut Pin<Box<Events>>) -> Option<Bytes> {
        let frame = viewer.frame().now_or_never()?.expect("no end").expect("infallible");
        Some(frame.into_data().expect("data"))
    }

    fn viewer(live: &Arc<Live>) -> Pin<Box<Events>> {
        Box::pin(live.watch().expect("a place"))
    }

    #[test]
    fn all_viewers_are_sent_the_same_bytes() {
        let live = live(2);
        let mut viewers = [viewer(&live), viewer(&live)];
        live.tell(&event("board", "1"));
        let [one, other] = viewers.each_mut().map(next);
        assert_eq!(one, Some(event("board", "1")));
        assert_eq!(one.map(|event| event.as_ptr()), other.map(|event| event.as_ptr()));
    }

    #[test]
    fn a_slow_viewer_gets_the_newest_event_and_keeps_nobody_waiting() {
        let live = live(2);
        let (mut slow, mut quick) = (viewer(&live), viewer(&live));
        for number in ["1", "2", "3"] {
            live.tell(&event("board", number));
            assert_eq!(next(&mut quick), Some(event("board", number)));
        }
        assert_eq!(next(&mut slow), Some(event("board", "3")));
        assert_eq!(next(&mut slow), None);
    }

    #[tokio::test]
    async fn without_news_there_is_a_comment() {
        let live = live(1);
        let mut viewer = viewer(&live);
        assert_eq!(next(&mut viewer), None);
        live.wake().await;
        assert_eq!(next(&mut viewer), Some(COMMENT));
        assert_eq!(next(&mut viewer), None);
    }

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// How many of so many viewers are woken at once.
    async fn woken_at_once(viewers: usize) -> usize {
        let live = live(viewers);
        let mut crowd: Vec<_> = (0..viewers).map(|_| viewer(&live)).collect();
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        for viewer in &mut crowd {
            assert!(viewer.as_mut().poll_frame(&mut cx).is_pending());
        }
        let mut waking = std::pin::pin!(live.wake());
        let all = poll!(&mut waking).is_ready();
        let at_once = woken.0.load(SeqCst);
        if !all {
            waking.await;
        }
        assert_eq!(woken.0.load(SeqCst), viewers);
        at_once
    }

    #[tokio::test]
    async fn a_crowd_is_woken_in_parts_and_a_few_are_not() {
        assert_eq!(woken_at_once(PART).await, PART);
        assert_eq!(woken_at_once(10 * PARTS * PART).await, 10 * PART);
    }
}
