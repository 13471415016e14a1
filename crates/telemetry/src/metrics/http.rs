//! What the HTTP side counts: requests by route and outcome, tokens that were refused, and the
//! keys that tokens are verified with.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::Metrics;
use super::family::{ANSWER, Builder, Family, Series};
use super::words::words;

words! {
    /// One operation of the HTTP interface. The word is the operation's id in its OpenAPI document.
    pub HttpRoute: "route", "an operation of the HTTP interface, by its id in the contract" {
        /// `GET /v1/openapi.json`.
        ShowContract "show_contract",
        /// `GET /v1/receipt-keys`.
        ListReceiptKeys "list_receipt_keys",
        /// `GET /v1/accounts`.
        ListAccounts "list_accounts",
        /// `POST /v1/accounts`.
        CreateAccount "create_account",
        /// `GET /v1/accounts/{account_id}`.
        ShowAccount "show_account",
        /// `GET /v1/accounts/{account_id}/destinations`.
        ListDestinations "list_destinations",
        /// `GET /v1/accounts/{account_id}/destination`.
        ShowDestination "show_destination",
        /// `PUT /v1/accounts/{account_id}/destination`.
        SetDestination "set_destination",
        /// `POST /v1/accounts/{account_id}/destination/check`.
        CheckDestination "check_destination",
        /// `GET /v1/default-destinations`.
        ListDefaultDestinations "list_default_destinations",
        /// `GET /v1/default-destination`.
        ShowDefaultDestination "show_default_destination",
        /// `PUT /v1/default-destination`.
        SetDefaultDestination "set_default_destination",
        /// `POST /v1/default-destination/check`.
        CheckDefaultDestination "check_default_destination",
        /// `GET /v1/accounts/{account_id}/recordings`.
        ListRecordings "list_recordings",
        /// `GET /v1/accounts/{account_id}/recordings/{recording_id}`.
        ShowRecording "show_recording",
        /// `GET /v1/recordings`.
        FindRecordings "find_recordings",
        /// `GET /v1/recordings/{recording_id}`.
        FindRecording "find_recording",
        /// `GET /v1/recordings/{recording_id}/playback`.
        PlayRecording "play_recording",
        /// `GET /play/{recording_id}`.
        ShowPlayer "show_player",
        /// `POST /play/{recording_id}`.
        OpenPlayer "open_player",
        /// `GET /v1/parked`.
        ListParked "list_parked",
        /// `POST /v1/parked/retry`.
        RetryParked "retry_parked",
        /// `GET /v1/quarantine`.
        ListQuarantine "list_quarantine",
        /// `GET /v1/quarantine/{message_id}`.
        ShowQuarantine "show_quarantine",
        /// `POST /v1/quarantine/{message_id}/requeue`.
        RequeueQuarantine "requeue_quarantine",
        /// `DELETE /v1/quarantine/{message_id}`.
        DropQuarantine "drop_quarantine",
        /// `POST /v1/accounts/{account_id}/recordings/{recording_id}/erase`.
        EraseRecording "erase_recording",
        /// `GET /v1/accounts/{account_id}/holds`.
        ListHolds "list_holds",
        /// `POST /v1/accounts/{account_id}/holds`.
        PlaceHold "place_hold",
        /// `GET /v1/accounts/{account_id}/holds/{hold_id}`.
        ShowHold "show_hold",
        /// `POST /v1/accounts/{account_id}/holds/{hold_id}/release`.
        ReleaseHold "release_hold",
        /// `GET /v1/holds`.
        FindHolds "find_holds",
        /// `GET /v1/accounts/{account_id}/retention`.
        ShowRetention "show_retention",
        /// `PUT /v1/accounts/{account_id}/retention`.
        SetRetention "set_retention",
        /// `GET /v1/accounts/{account_id}/retention/preview`.
        PreviewRetention "preview_retention",
        /// `POST /v1/accounts/{account_id}/retention/confirm`.
        ConfirmRetention "confirm_retention",
        /// `GET /v1/retention/stops`.
        ListRetentionStops "list_retention_stops",
        /// `POST /v1/retention/confirm`.
        ConfirmAllRetention "confirm_all_retention",
        /// `GET /v1/status`.
        ShowStatus "show_status",
        /// `GET /v1/audit`.
        ListAudit "list_audit",
        /// No route of ours.
        Unmatched "unmatched",
    }
}

words! {
    /// The class of an HTTP status.
    pub StatusClass: "class", "the class of an HTTP status" {
        /// Done.
        Success "2xx",
        /// It is elsewhere.
        Redirect "3xx",
        /// The caller must do something else.
        Client "4xx",
        /// We could not.
        Server "5xx",
    }
}

impl StatusClass {
    /// The class of a status code. What is none of the four is our own mistake.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            100..=299 => Self::Success,
            300..=399 => Self::Redirect,
            400..=499 => Self::Client,
            _ => Self::Server,
        }
    }
}

words! {
    /// Why a request was taken to be nobody's. The caller is not told which.
    pub TokenRefusal: "reason", "why a request was taken to be nobody's" {
        /// No token, or not by one `Authorization: Bearer`.
        Missing "missing",
        /// It is too long, or no JWT at all.
        Malformed "malformed",
        /// Its algorithm is not one we allow, or it asks for what we do not know (`crit`).
        Algorithm "algorithm",
        /// No key of ours is the one it names.
        Key "key",
        /// Its signature is not that key's.
        Signature "signature",
        /// A claim is missing or has the wrong type.
        Claims "claims",
        /// It is somebody else's token: issuer.
        Issuer "issuer",
        /// It is a token for somebody else: audience.
        Audience "audience",
        /// It is no longer good.
        Expired "expired",
        /// It is not good yet.
        NotYet "not_yet",
    }
}

words! {
    /// What somebody with a good token was refused.
    pub HttpDenial: "reason", "what somebody with a good token was refused" {
        /// The token's scopes do not allow it.
        Scope "scope",
        /// It is another account's, or the platform's.
        Foreign "foreign",
        /// The subject asks too often.
        SubjectRate "subject_rate",
        /// The account asks too often.
        AccountRate "account_rate",
    }
}

words! {
    /// What became of a request to listen.
    pub PlaybackOutcome: "outcome", "what became of a request to listen" {
        /// A URL was given out.
        Granted "granted",
        /// The player page was told of it.
        Opened "opened",
        /// The account has no such recording.
        NotFound "not_found",
        /// The token is bound to another account.
        Foreign "foreign",
        /// Its retention is over.
        Expired "expired",
        /// There is no proven copy yet.
        NotStored "not_stored",
        /// The destination has only a SAS.
        NeedsSigningCredential "needs_signing_credential",
        /// What signs cannot be had now: STS, Entra or the customer refuses or is down.
        CannotSign "cannot_sign",
        /// The token does not allow listening.
        Scope "scope",
        /// The subject, or its account, asks too often.
        Rate "rate",
        /// The ledger does not answer: it is not known, or could not be written down.
        Ledger "ledger",
    }
}

words! {
    /// How reading the keys of tokens ended.
    pub KeyReading: "result", "how reading the keys of tokens ended" {
        /// They are there.
        Ok "ok",
        /// They could not be read; the last good ones stay.
        Failed "failed",
    }
}

/// The families.
#[derive(Debug)]
pub(crate) struct Http {
    requests: Series<(HttpRoute, StatusClass), IntCounter>,
    seconds: Series<HttpRoute, Histogram>,
    in_flight: IntGauge,
    connections: IntGauge,
    refused: Series<TokenRefusal, IntCounter>,
    denied: Series<HttpDenial, IntCounter>,
    keys: Series<KeyReading, IntCounter>,
    playback: Series<PlaybackOutcome, IntCounter>,
    signing: Histogram,
}

impl Http {
    pub(crate) fn new(build: &mut Builder) -> prometheus::Result<Self> {
        build.part("Playback: the HTTP interface");
        Ok(Self {
            requests: build.counters(Family::new(
                "http_requests_total",
                "requests",
                "Requests answered, by operation and class of the status.",
            ))?,
            seconds: build.histograms(
                ANSWER,
                Family::new(
                    "http_request_seconds",
                    "seconds",
                    "From a request's last header line to its answer's first.",
                ),
            )?,
            in_flight: build.gauge(Family::new(
                "http_requests_in_flight",
                "requests",
                "Requests being answered now.",
            ))?,
            connections: build.gauge(Family::new(
                "http_connections",
                "connections",
                "Connections that are open now, idle ones included.",
            ))?,
            refused: build.counters(Family::new(
                "http_tokens_refused_total",
                "requests",
                "Requests without a token that could be believed, by what was wrong with it.",
            ))?,
            denied: build.counters(Family::new(
                "http_denied_total",
                "requests",
                "Requests with a good token that were denied, by why.",
            ))?,
            keys: build.counters(Family::new(
                "http_key_readings_total",
                "readings",
                "Readings of the keys that tokens are verified with, by how they ended.",
            ))?,
            playback: build.counters(Family::new(
                "playback_requests_total",
                "requests",
                "Requests to listen to a recording, by what became of them.",
            ))?,
            signing: build.histogram(
                ANSWER,
                Family::new(
                    "playback_sign_seconds",
                    "seconds",
                    "How long a URL took to be signed, with the session it needed first.",
                ),
            )?,
        })
    }
}

impl Metrics {
    /// A request came.
    pub fn http_begun(&self) {
        self.http.in_flight.inc();
    }

    /// A request ended, answered or given up.
    pub fn http_ended(&self) {
        self.http.in_flight.dec();
    }

    /// A request was answered.
    pub fn http_answered(&self, route: HttpRoute, status: u16, took: Duration) {
        self.http.requests.one((route, StatusClass::of(status)));
        self.http.seconds.observe(route, took);
    }

    /// This many connections are open.
    pub fn http_connections(&self, open: usize) {
        self.http
            .connections
            .set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A token was not believed.
    pub fn http_token_refused(&self, why: TokenRefusal) {
        self.http.refused.one(why);
    }

    /// Somebody with a good token was denied something.
    pub fn http_denied(&self, why: HttpDenial) {
        self.http.denied.one(why);
    }

    /// The keys of tokens were read, or could not be.
    pub fn http_keys_read(&self, result: KeyReading) {
        self.http.keys.one(result);
    }

    /// Somebody asked to listen.
    pub fn playback(&self, outcome: PlaybackOutcome) {
        self.http.playback.one(outcome);
    }

    /// A URL was signed, or could not be.
    pub fn playback_signed(&self, took: Duration) {
        self.http.signing.observe(took.as_secs_f64());
    }
}
