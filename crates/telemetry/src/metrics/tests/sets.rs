//! The closed sets: all of each is there, and nothing else ever.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus::proto;
use recording::{
    Cloud, Meter, Method, Operation, ParkReason, RefusalReason, RequestResult, StoreCode,
};

use super::super::Metrics;
use super::super::closed::{Closed, Driven, Open, RefusedRequest, Request};
use super::super::family::{Kind, number};
use super::super::http::{HttpDenial, HttpRoute, KeyReading, StatusClass, TokenRefusal};
use super::super::outcome::Outcome;
use super::super::statement::{STATEMENTS, Statement};
use super::super::words::{
    Confirm, Connections, CredentialResult, Divergence, LedgerFailure, Side, Stage, Suspicion,
    TokenService,
};
use super::scrape;

/// Asserts that every series of a closed set is there, at zero.
fn whole<K: Closed>(scrape: &BTreeMap<String, f64>, family: &str) {
    for key in K::every() {
        let pairs = K::labels().into_iter().zip(key.values());
        let mut pairs: Vec<_> = pairs
            .map(|(label, value)| format!("{}=\"{value}\"", label.name))
            .collect();
        pairs.sort();
        let series = format!("callferry_{family}{{{}}}", pairs.join(","));
        assert_eq!(scrape.get(&series), Some(&0.0), "{series}");
    }
}

/// Everything that can be told, once, with words that nobody declared where words are taken.
fn tell_everything(metrics: &Metrics) {
    for outcome in Outcome::every() {
        metrics.outcome(outcome);
    }
    metrics.statement("select * from secrets", Duration::ZERO);
    for cloud in Cloud::ALL {
        for operation in Operation::ALL {
            for result in RequestResult::ALL {
                metrics.store_request(cloud, operation, result, Duration::ZERO);
            }
            for code in [
                None,
                Some("SlowDown"),
                Some("ServerBusy"),
                Some("free text"),
            ] {
                let code = StoreCode::named(cloud, code);
                metrics.store_refused(cloud, operation, code);
            }
        }
    }
    for reason in ParkReason::ALL {
        metrics.parked(*reason);
        metrics.release_refused(*reason);
        metrics.retried(*reason);
    }
    for reason in RefusalReason::ALL {
        metrics.refused(*reason);
    }
    for route in HttpRoute::ALL {
        for status in [200, 302, 404, 503, 999] {
            metrics.http_answered(*route, status, Duration::ZERO);
        }
    }
    for why in TokenRefusal::ALL {
        metrics.http_token_refused(*why);
    }
    for why in HttpDenial::ALL {
        metrics.http_denied(*why);
    }
    metrics.http_keys_read(KeyReading::Failed);
    metrics.ledger_failed(true);
    metrics.stored(1, Method::ReadBack);
}

#[test]
fn every_closed_set_is_scraped_whole_and_at_zero_from_the_first_moment() {
    let first = scrape(&Metrics::new().unwrap());
    whole::<Outcome>(&first, "outcomes_total");
    whole::<Stage>(&first, "stage_seconds_count");
    whole::<ParkReason>(&first, "transfer_parked_total");
    whole::<ParkReason>(&first, "transfer_retries_total");
    whole::<ParkReason>(&first, "cleanup_refused_total");
    whole::<RefusalReason>(&first, "refused_messages_total");
    whole::<Suspicion>(&first, "suspicious_total");
    whole::<Divergence>(&first, "divergence_total");
    whole::<Method>(&first, "transfer_proofs_total");
    whole::<Driven>(&first, "housekeeping_driven_total");
    whole::<(HttpRoute, StatusClass)>(&first, "http_requests_total");
    whole::<HttpRoute>(&first, "http_request_seconds_count");
    whole::<TokenRefusal>(&first, "http_tokens_refused_total");
    whole::<HttpDenial>(&first, "http_denied_total");
    whole::<KeyReading>(&first, "http_key_readings_total");
    whole::<Open>(&first, "recordings");
    whole::<Open>(&first, "oldest_seconds");
    whole::<ParkReason>(&first, "parked");
    whole::<ParkReason>(&first, "parked_oldest_seconds");
    whole::<ParkReason>(&first, "release_refused");
    whole::<ParkReason>(&first, "release_refused_oldest_seconds");
    whole::<RefusalReason>(&first, "quarantined");
    whole::<RefusalReason>(&first, "quarantined_oldest_seconds");
    whole::<Driven>(&first, "due");
    whole::<(Request, RequestResult)>(&first, "store_requests_total");
    whole::<RefusedRequest>(&first, "store_refusals_total");
    whole::<Request>(&first, "store_request_seconds_count");
    whole::<(TokenService, CredentialResult)>(&first, "credentials_total");
    whole::<Side>(&first, "broker_sessions");
    whole::<Side>(&first, "broker_sessions_opened_total");
    whole::<Confirm>(&first, "broker_confirms_total");
    whole::<Connections>(&first, "ledger_connections");
    whole::<Statement>(&first, "ledger_statement_seconds_count");
    whole::<LedgerFailure>(&first, "ledger_failures_total");
    for queue in ["transfer", "cleanup", "quarantine"] {
        let series = format!("callferry_queue_ready{{queue=\"{queue}\"}}");
        assert_eq!(first.get(&series), Some(&-1.0));
    }
}

#[test]
fn the_scrape_has_every_declared_family_and_no_other() {
    let metrics = Metrics::new().unwrap();
    let gathered = metrics.registry.gather();
    let scraped: BTreeSet<_> = gathered.iter().map(|f| f.name().to_owned()).collect();
    let declared = metrics.declared.iter();
    let declared: BTreeSet<_> = declared
        .map(|declared| format!("callferry_{}", declared.family.name))
        // An account has a series only while it has something open, a part once it is there.
        .filter(|name| !["callferry_account_open", "callferry_part_ready"].contains(&&**name))
        .collect();
    assert_eq!(scraped, declared);
    for family in gathered {
        let name = family.name().trim_start_matches("callferry_").to_owned();
        let declared = metrics.declared.iter().find(|d| d.family.name == name);
        let kind = match declared.unwrap().kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
            Kind::Histogram(_) => proto::MetricType::HISTOGRAM,
        };
        assert_eq!(family.get_field_type(), kind, "{name}");
    }
}

#[test]
fn names_end_as_prometheus_expects_and_each_family_is_explained() {
    for declared in &Metrics::new().unwrap().declared {
        let (name, help) = (declared.family.name, declared.family.help);
        let is_counter = declared.kind == Kind::Counter;
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        if let Kind::Histogram(_) = declared.kind {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        assert!(help.ends_with('.') && help.len() > 10, "{name}: {help}");
        assert!(!declared.part.is_empty() && !declared.family.unit.is_empty());
    }
}

#[test]
fn no_label_value_is_ever_free_text() {
    let metrics = Metrics::new().unwrap();
    let count = |metrics: &Metrics| metrics.text().unwrap().lines().count();
    let before = count(&metrics);
    tell_everything(&metrics);
    assert_eq!(count(&metrics), before, "a series appeared");
    let declared = metrics.declared.iter();
    let known: BTreeMap<_, _> = declared
        .map(|declared| (declared.family.name, &declared.labels))
        .collect();
    for family in metrics.registry.gather() {
        let name = family.name().trim_start_matches("callferry_");
        let labels = known.get(name).unwrap();
        for pair in family
            .get_metric()
            .iter()
            .flat_map(proto::Metric::get_label)
        {
            let label = labels.iter().find(|label| label.name == pair.name());
            let values = &label.unwrap().values;
            let is_version = name == "build_info" && pair.value() == env!("CARGO_PKG_VERSION");
            assert!(
                is_version || values.contains(&pair.value()),
                "{name}: {}={}",
                pair.name(),
                pair.value()
            );
        }
    }
}

#[test]
fn every_label_value_is_a_plain_word() {
    for declared in &Metrics::new().unwrap().declared {
        for value in declared.labels.iter().flat_map(|label| &label.values) {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(value.chars().all(plain) && !value.is_empty(), "{value}");
        }
    }
}

#[test]
fn counts_beyond_four_thousand_millions_stay_exact() {
    for count in [0, 1, u64::from(u32::MAX), 1 << 32, (1 << 53) - 1] {
        assert_eq!(format!("{}", number(count)), count.to_string());
    }
}

#[test]
fn statements_are_named_once_and_in_order() {
    assert!(
        STATEMENTS.is_sorted(),
        "sorted, so that two additions do not collide"
    );
    let distinct: BTreeSet<_> = STATEMENTS.iter().collect();
    assert_eq!(distinct.len(), STATEMENTS.len());
}
