//! Who looks, and what they are shown.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use emojivoto_style::event;
use emojivoto_telemetry::prometheus::metrics::counter::Counter;
use futures_util::stream;
use tokio::{
    sync::{Notify, Semaphore, watch},
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use crate::{
    page,
    report::Report,
    sources::{Known, Sources},
};

/// How old what viewers see may get.
const INTERVAL: Duration = Duration::from_secs(1);

/// So many may watch at a time: the admin port is for scrapers and probes as well.
const MAX_VIEWERS: usize = 8;

/// The page of a process.
pub struct Zpages {
    known: Arc<Known>,
    /// How often it was worked out what there is to say.
    worked: Counter,
    watched: Notify,
    viewers: Arc<Semaphore>,
    /// The event of the moment.
    news: watch::Sender<Bytes>,
}

impl Zpages {
    /// Of a process that has just begun.
    pub fn new(sources: Sources) -> Arc<Self> {
        let worked = Counter::default();
        let help = "How often the live page was worked out, which it is only while somebody looks";
        sources.observability.register(|registry| {
            registry.register("emojivoto_zpages_reports", help, worked.clone());
        });
        let viewers = Arc::new(Semaphore::new(MAX_VIEWERS));
        let known = Arc::new(Known::new(sources));
        let (watched, news) = Default::default();
        Arc::new(Self { known, worked, watched, viewers, news })
    }

    /// What there is to say now, to somebody who looks once. None if it cannot be told.
    pub(crate) async fn report(&self) -> Option<Report> {
        self.worked.inc();
        let known = Arc::clone(&self.known);
        // It takes milliseconds, for which no request should have to wait.
        spawn_blocking(move || known.report()).await.ok()
    }

    /// What somebody is told who watches: the page, every second. None, if there are too many of them.
    pub(crate) fn watch(&self) -> Option<Body> {
        let place = Arc::clone(&self.viewers).try_acquire_owned().ok()?;
        self.watched.notify_one();
        // Who is slow gets the newest one. The place is free again with the end of the connection.
        let next = async |(mut news, place): (watch::Receiver<Bytes>, _)| {
            loop {
                news.changed().await.ok()?;
                let event = news.borrow_and_update().clone();
                if !event.is_empty() {
                    return Some((Ok::<_, Infallible>(event), (news, place)));
                }
            }
        };
        Some(Body::from_stream(stream::unfold((self.news.subscribe(), place), next)))
    }

    /// Keeps those who watch informed; never returns.
    pub async fn run(&self) -> Infallible {
        loop {
            self.watched.notified().await;
            while self.viewers() > 0 {
                let next = Instant::now() + INTERVAL;
                if let Some(report) = self.report().await
                    && let Ok(html) = page::live(&report)
                {
                    self.news.send_replace(event("page", &html));
                }
                sleep_until(next).await;
            }
            // By the time somebody watches again, it is no longer true.
            self.news.send_replace(Bytes::new());
        }
    }

    fn viewers(&self) -> usize {
        MAX_VIEWERS - self.viewers.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant as StdInstant;

    use emojivoto_faults::{InForce, Place};
    use emojivoto_telemetry::Observability;
    use http_body_util::BodyExt as _;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::{Faults, Success};

    struct None;

    impl Faults for None {
        fn in_force(&self) -> Vec<InForce> {
            Vec::new()
        }

        fn unchanged_since(&self) -> Option<(StdInstant, Duration)> {
            Option::None
        }

        fn success(&self, calls: &[(Place, u32)], _: Option<StdInstant>) -> Vec<Option<Success>> {
            calls.iter().map(|_| Option::None).collect()
        }
    }

    fn zpages() -> Arc<Zpages> {
        let observability = Observability::new(|_| Option::None).expect("nothing to fail");
        Zpages::new(Sources {
            name: "test",
            observability: Arc::new(observability),
            services: Box::new(Vec::new),
            faults: Box::new(None),
        })
    }

    /// Keeps running in the background.
    fn running() -> Arc<Zpages> {
        let zpages = zpages();
        let runs = Arc::clone(&zpages);
        tokio::spawn(async move { runs.run().await });
        zpages
    }

    #[tokio::test(start_paused = true)]
    async fn while_nobody_looks_nothing_is_done() {
        let zpages = running();
        sleep(Duration::from_hours(24)).await;
        assert_eq!(zpages.worked.get(), 0);

        zpages.report().await.expect("a report");
        sleep(Duration::from_hours(24)).await;
        assert_eq!(zpages.worked.get(), 1, "a look is a look");

        let viewer = zpages.watch().expect("a place");
        sleep(Duration::from_mins(10)).await;
        drop(viewer);
        sleep(Duration::from_hours(24)).await;
        let of_a_viewer = zpages.worked.get() - 1;
        assert!((600..=602).contains(&of_a_viewer), "{of_a_viewer}");
    }

    #[tokio::test(start_paused = true)]
    async fn viewers_get_the_newest_page_and_are_no_more_than_there_is_room_for() {
        let zpages = running();
        let mut viewers: Vec<_> = (0..MAX_VIEWERS).filter_map(|_| zpages.watch()).collect();
        assert_eq!(viewers.len(), MAX_VIEWERS);
        assert!(zpages.watch().is_none());
        let mut viewer = viewers.pop().expect("viewers");
        drop(viewers);
        assert!(zpages.watch().is_some(), "their places are free again");
        let between_two = INTERVAL / 2;
        sleep(between_two).await;
        for _ in 0..3 {
            sleep(10 * INTERVAL).await;
            let event = viewer.frame().await.expect("no end").expect("infallible");
            let event = event.into_data().expect("data");
            assert!(event.starts_with(b"event: page\ndata: "), "{event:?}");
            assert!(timeout(Duration::ZERO, viewer.frame()).await.is_err(), "one event, not ten");
        }
    }
}
