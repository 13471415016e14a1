//! What each method counts.

use std::time::Duration;

use recording::{
    Cloud, Meter, Method, Operation, ParkReason, Queue, RefusalReason, RequestResult, StoreCode,
};

use super::super::Metrics;
use super::super::http::{HttpDenial, HttpRoute, KeyReading, TokenRefusal};
use super::super::outcome::{CleanupOutcome, TransferOutcome};
use super::super::words::Suspicion;
use super::{assert_series, scrape};

#[test]
fn reasons_that_are_signs_of_something_count_as_such() {
    let metrics = Metrics::new().unwrap();
    metrics.parked(ParkReason::NotAPlainFile);
    metrics.parked(ParkReason::ForeignObject);
    metrics.release_refused(ParkReason::CopyLost);
    metrics.release_refused(ParkReason::Throttled);
    for reason in RefusalReason::ALL {
        metrics.refused(*reason);
        let is_a_sign = Suspicion::of_refusal(*reason).is_some();
        assert_eq!(is_a_sign, reason.is_suspicious(), "{reason}");
    }
    let now = scrape(&metrics);
    for kind in [
        "unsafe_path",
        "conflict",
        "receipt_unknown",
        "not_a_plain_file",
    ] {
        let series = format!("callferry_suspicious_total{{kind=\"{kind}\"}}");
        assert_eq!(now.get(&series), Some(&1.0), "{series}");
    }
    let diverged = |kind: &str| {
        let series = format!("callferry_divergence_total{{kind=\"{kind}\"}}");
        now.get(&series).copied()
    };
    assert_eq!(diverged("copy_lost"), Some(1.0));
    assert_eq!(diverged("foreign_object"), Some(1.0));
    assert_eq!(diverged("copy_differs"), Some(0.0));
}

#[test]
fn outcomes_are_counted_under_the_role_that_they_belong_to() {
    let metrics = Metrics::new().unwrap();
    metrics.outcome(TransferOutcome::Stored);
    metrics.outcome(TransferOutcome::Refused);
    metrics.outcome(CleanupOutcome::Refused);
    metrics.outcome(CleanupOutcome::Refused);
    metrics.outcome(RefusalReason::Conflict);
    let now = scrape(&metrics);
    let of = |role: &str, outcome: &str| {
        let series = format!("callferry_outcomes_total{{outcome=\"{outcome}\",role=\"{role}\"}}");
        now.get(&series).copied()
    };
    assert_eq!(of("transfer", "stored"), Some(1.0));
    assert_eq!(of("transfer", "refused"), Some(1.0));
    assert_eq!(of("cleanup", "refused"), Some(2.0));
    assert_eq!(of("intake", "conflict"), Some(1.0));
    assert_eq!(of("cleanup", "stored"), None);
}

#[test]
fn transfers_in_flight_are_counted_with_their_bytes_while_they_last() {
    let metrics = Metrics::new().unwrap();
    let flight = |metrics: &Metrics| {
        let now = scrape(metrics);
        let of = |name: &str| now.get(&format!("callferry_{name}")).copied();
        (of("transfers_in_flight"), of("transfer_in_flight_bytes"))
    };
    let one = metrics.in_flight(1000);
    let two = metrics.in_flight(24);
    assert_eq!(flight(&metrics), (Some(2.0), Some(1024.0)));
    drop(one);
    assert_eq!(flight(&metrics), (Some(1.0), Some(24.0)));
    drop(two);
    assert_eq!(flight(&metrics), (Some(0.0), Some(0.0)));
}

#[test]
fn requests_to_token_services_are_counted_as_credentials_too() {
    let metrics = Metrics::new().unwrap();
    let took = Duration::from_millis(3);
    metrics.store_request(Cloud::S3, Operation::Put, RequestResult::Taken, took);
    let taken = StoreCode::named(Cloud::S3, Some("PreconditionFailed"));
    metrics.store_refused(Cloud::S3, Operation::Put, taken);
    metrics.store_refused(Cloud::S3, Operation::Put, StoreCode::named(Cloud::S3, None));
    metrics.store_request(Cloud::Sts, Operation::Token, RequestResult::Ok, took);
    metrics.store_request(Cloud::Entra, Operation::Token, RequestResult::Lost, took);
    metrics.store_request(Cloud::Entra, Operation::Token, RequestResult::Denied, took);
    metrics.statement("claim", took);
    metrics.statement("list_accounts", took);
    let now = scrape(&metrics);
    assert_series(
        &now,
        &[
            (
                "store_requests_total{cloud=\"s3\",operation=\"put\",result=\"taken\"}",
                1.0,
            ),
            (
                "store_request_seconds_count{cloud=\"s3\",operation=\"put\"}",
                1.0,
            ),
            ("credentials_total{cloud=\"sts\",result=\"ok\"}", 1.0),
            (
                "credentials_total{cloud=\"entra\",result=\"unreachable\"}",
                1.0,
            ),
            ("credentials_total{cloud=\"entra\",result=\"refused\"}", 1.0),
            ("ledger_statement_seconds_count{statement=\"claim\"}", 1.0),
            ("ledger_statement_seconds_count{statement=\"other\"}", 1.0),
            (
                "ledger_statement_seconds_bucket{statement=\"claim\",le=\"0.0025\"}",
                0.0,
            ),
            (
                "ledger_statement_seconds_bucket{statement=\"claim\",le=\"0.005\"}",
                1.0,
            ),
        ],
    );
}

#[test]
fn stages_and_journeys_have_the_buckets_that_their_length_asks_for() {
    let metrics = Metrics::new().unwrap();
    metrics.queue_wait(Duration::from_secs(20));
    metrics.read(Duration::from_millis(2));
    metrics.event_to_acknowledgment(Duration::from_secs(3600));
    metrics.acknowledgment_to_release(Duration::from_secs(90));
    let now = scrape(&metrics);
    assert_series(
        &now,
        &[
            ("stage_seconds_bucket{stage=\"queue_wait\",le=\"30\"}", 1.0),
            ("stage_seconds_sum{stage=\"queue_wait\"}", 20.0),
            ("stage_seconds_bucket{stage=\"read\",le=\"0.0025\"}", 1.0),
            ("event_to_acknowledgment_seconds_bucket{le=\"1800\"}", 0.0),
            ("event_to_acknowledgment_seconds_bucket{le=\"14400\"}", 1.0),
            ("acknowledgment_to_release_seconds_bucket{le=\"120\"}", 1.0),
        ],
    );
}

#[test]
fn the_rest_of_the_path_is_counted_one_by_one() {
    let metrics = Metrics::new().unwrap();
    metrics.stored(480_000, Method::BlockList);
    metrics.sent(500_000);
    metrics.resumed(1 << 24);
    metrics.handed_off();
    metrics.isolated();
    metrics.child_died();
    metrics.lease_lost();
    metrics.lease_ran_out();
    metrics.unconfirmed();
    metrics.unknown_outcome();
    metrics.driven(Queue::Cleanup, 5);
    metrics.uploads_aborted(2);
    metrics.quarantine_purged(3);
    metrics.quarantine_returned();
    metrics.queue_ready(Queue::Transfer, Some(12));
    metrics.queue_ready(Queue::Cleanup, None);
    let now = scrape(&metrics);
    assert_series(
        &now,
        &[
            ("transfer_stored_bytes_total", 480_000.0),
            ("transfer_proofs_total{method=\"block_list\"}", 1.0),
            ("transfer_sent_bytes_total", 500_000.0),
            ("transfer_resumed_total", 1.0),
            ("transfer_resumed_bytes_total", 16_777_216.0),
            ("transfer_handed_off_total", 1.0),
            ("transfer_isolated_total", 1.0),
            ("transfer_child_deaths_total", 1.0),
            ("lease_lost_total", 1.0),
            ("leases_ran_out_total", 1.0),
            ("unconfirmed_events_total", 1.0),
            ("transfer_unknown_outcomes_total", 1.0),
            ("housekeeping_driven_total{queue=\"cleanup\"}", 5.0),
            ("housekeeping_uploads_aborted_total", 2.0),
            ("quarantine_purged_total", 3.0),
            ("quarantine_returned_total", 1.0),
            ("queue_ready{queue=\"transfer\"}", 12.0),
            ("queue_ready{queue=\"cleanup\"}", -1.0),
        ],
    );
}

#[test]
fn requests_count_by_operation_and_class_and_refusals_by_their_reason() {
    let metrics = Metrics::new().unwrap();
    metrics.http_begun();
    metrics.http_begun();
    metrics.http_ended();
    metrics.http_connections(3);
    metrics.http_answered(HttpRoute::ShowRecording, 200, Duration::from_millis(3));
    metrics.http_answered(HttpRoute::ShowRecording, 404, Duration::from_millis(3));
    metrics.http_answered(HttpRoute::Unmatched, 302, Duration::ZERO);
    metrics.http_token_refused(TokenRefusal::Expired);
    metrics.http_denied(HttpDenial::Foreign);
    metrics.http_keys_read(KeyReading::Ok);
    assert_series(
        &scrape(&metrics),
        &[
            ("http_requests_in_flight", 1.0),
            ("http_connections", 3.0),
            (
                "http_requests_total{class=\"2xx\",route=\"show_recording\"}",
                1.0,
            ),
            (
                "http_requests_total{class=\"4xx\",route=\"show_recording\"}",
                1.0,
            ),
            (
                "http_requests_total{class=\"3xx\",route=\"unmatched\"}",
                1.0,
            ),
            ("http_request_seconds_count{route=\"show_recording\"}", 2.0),
            ("http_tokens_refused_total{reason=\"expired\"}", 1.0),
            ("http_denied_total{reason=\"foreign\"}", 1.0),
            ("http_key_readings_total{result=\"ok\"}", 1.0),
        ],
    );
}
