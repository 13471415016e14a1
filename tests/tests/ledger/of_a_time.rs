//! Recordings of a time are listed in its order, page by page, and no others are read for it.

use catalog::{RecordingFilter, RecordingView};
use recording::State;

use super::scale::counted;
use super::world::{World, at};

/// One a minute; the later, the smaller its id; two begin at the same time.
const ROWS: &str = "insert into recordings (account_id, recording_id, state, interaction_id, kind, \
      media_type, started_at, completed_at, path, size_bytes, attributes, destination_revision, \
      created_by, due_at, due_queue) \
    select 'acme', 'rec-' || 100000 - n, 'staged', 'i', 'call', 'audio/wav', \
      '2026-01-01'::timestamptz + n / 2 * interval '2 min', now(), 'acme/bulk/' || n, 1, '{}', 1, \
      gen_random_uuid(), now() + '1 day', 'transfer' from generate_series(1, 40000) n";

#[tokio::test]
async fn recordings_of_a_time_are_read_in_its_order_and_no_others() {
    let world = World::settled().await;
    world.sql(ROWS).await;
    world.sql("vacuum analyze recordings").await;
    let acme = "acme".parse().unwrap();
    let filter = RecordingFilter {
        state: Some(State::Staged),
        since: Some(at("2026-01-20T00:00:00Z")),
        until: Some(at("2026-01-20T00:20:00Z")),
        ..RecordingFilter::default()
    };
    assert!(filter.is_of_a_time() && !RecordingFilter::default().is_of_a_time());
    let rows = "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables \
         where relname = 'recordings'";
    let read = counted(&world, rows, async |catalog| {
        let mut listed: Vec<RecordingView> = Vec::new();
        loop {
            let last = listed.last();
            let last = last.map(|it| (it.started_at, it.recording_id.clone()));
            let page = catalog.find_recordings_of_a_time(&acme, &filter, 7, last.as_ref());
            let page = page.await.unwrap();
            if page.is_empty() {
                break;
            }
            listed.extend(page);
        }
        assert_eq!(listed.len(), 20, "{listed:#?}");
        let place = |it: &RecordingView| (it.started_at, it.recording_id.as_str().to_owned());
        assert!(listed.iter().map(place).is_sorted());
        assert!(
            listed[0].recording_id > listed[19].recording_id,
            "not by id"
        );
        // Without an end, and with nothing else asked for.
        let open = RecordingFilter {
            since: filter.since,
            ..RecordingFilter::default()
        };
        let page = catalog.find_recordings_of_a_time(&acme, &open, 7, None);
        assert_eq!(page.await.unwrap().len(), 7);
    })
    .await;
    assert!(read <= 40, "{read} rows were read for 27");
}
