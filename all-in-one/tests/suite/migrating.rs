//! What the document for users of v11 says of this suite, row by row of its tables.

mod files;
mod http;
mod process;

use std::collections::BTreeSet;

const MIGRATING: &str = include_str!("../../../docs/migrating.md");

/// The rows that have not been checked yet, by what stands in their first column.
struct Rows(BTreeSet<&'static str>);

impl Rows {
    fn documented() -> Self {
        let rows =
            MIGRATING.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let rows: Vec<_> = rows.filter(|row| *row != "what").collect();
        let unchecked: BTreeSet<_> = rows.iter().copied().collect();
        assert_eq!(rows.len(), unchecked.len(), "rows have names of their own: {rows:#?}");
        Self(unchecked)
    }

    /// Takes a row off the list: its check follows.
    fn row(&mut self, what: &str) {
        assert!(self.0.remove(what), "no such row, or twice: {what}");
    }
}

/// Runs on several threads, since waiting for lines of a process holds up the one that does.
#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_as_written() {
    let mut rows = Rows::documented();
    http::requests(&mut rows).await;
    http::pages_and_ports(&mut rows).await;
    process::settings(&mut rows).await;
    process::metrics(&mut rows).await;
    process::logs_and_traces(&mut rows).await;
    files::images(&mut rows);
    files::manifests(&mut rows);
    files::compose(&mut rows);
    assert!(rows.0.is_empty(), "rows without a check: {:#?}", rows.0);
}
