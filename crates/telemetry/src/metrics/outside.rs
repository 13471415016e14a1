//! Requests to stores and token services and statements to the ledger, as the adapters report
//! them through [`recording::Meter`].

use std::time::Duration;

use prometheus::{Histogram, IntCounter};
use recording::{Cloud, Meter, Operation, RequestResult};

use super::Metrics;
use super::closed::{Request, gives_tokens};
use super::family::{ANSWER, Builder, Family, Series};
use super::statement::Statement;
use super::words::{CredentialResult, LedgerFailure, TokenService};

/// The families.
#[derive(Debug)]
pub(crate) struct Outside {
    requests: Series<(Request, RequestResult), IntCounter>,
    request_seconds: Series<Request, Histogram>,
    credentials: Series<(TokenService, CredentialResult), IntCounter>,
    statements: Series<Statement, Histogram>,
    ledger_failures: Series<LedgerFailure, IntCounter>,
}

impl Outside {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Outside, as each process asks it");
        Ok(Self {
            requests: build.counters(Family::new(
                "store_requests_total",
                "requests",
                "Requests to stores and token services, by how they ended; each repetition is one.",
            ))?,
            request_seconds: build.histograms(
                ANSWER,
                Family::new(
                    "store_request_seconds",
                    "seconds",
                    "How long a request to a store or token service took, its body included.",
                ),
            )?,
            credentials: build.counters(Family::new(
                "credentials_total",
                "requests",
                "Sessions and tokens asked for (AssumeRole, Entra), by how it ended.",
            ))?,
            statements: build.histograms(
                ANSWER,
                Family::new(
                    "ledger_statement_seconds",
                    "seconds",
                    "How long a statement to the ledger took, without waiting for a connection.",
                ),
            )?,
            ledger_failures: build.counters(Family::new(
                "ledger_failures_total",
                "statements",
                "Statements to the ledger that failed: weather, or a defect.",
            ))?,
        })
    }
}

/// The token service, if it is one.
fn token_service(cloud: Cloud) -> Option<TokenService> {
    match cloud {
        Cloud::Sts => Some(TokenService::Sts),
        Cloud::Entra => Some(TokenService::Entra),
        Cloud::S3 | Cloud::Azure | Cloud::Staging => None,
    }
}

/// What the end of a request says about the credential that was asked for.
fn credential(result: RequestResult) -> CredentialResult {
    match result {
        RequestResult::Ok => CredentialResult::Ok,
        RequestResult::Denied
        | RequestResult::Refused
        | RequestResult::Taken
        | RequestResult::Absent => CredentialResult::Refused,
        RequestResult::Throttled | RequestResult::Unreachable | RequestResult::Lost => {
            CredentialResult::Unreachable
        }
    }
}

impl Meter for Metrics {
    fn store_request(
        &self,
        cloud: Cloud,
        operation: Operation,
        result: RequestResult,
        took: Duration,
    ) {
        // A token service does nothing else, whatever the caller calls it.
        let operation = if gives_tokens(cloud) {
            Operation::Token
        } else {
            operation
        };
        let request = Request(cloud, operation);
        self.outside.requests.one((request, result));
        self.outside.request_seconds.observe(request, took);
        if let Some(service) = token_service(cloud) {
            let end = (service, credential(result));
            self.outside.credentials.one(end);
        }
    }

    fn statement(&self, name: &'static str, took: Duration) {
        self.outside
            .statements
            .observe(Statement::named(name), took);
    }

    fn ledger_failed(&self, corrupt: bool) {
        self.outside.ledger_failures.one(if corrupt {
            LedgerFailure::Corrupt
        } else {
            LedgerFailure::Unavailable
        });
    }
}
