//! Every operation there is: its place, its scope, and whose things it touches. The router is made
//! from this table and the OpenAPI document is held against it, so that neither knows of more.

use std::time::Duration;

use axum::routing::MethodFilter;
use telemetry::HttpRoute;

use super::token::Scope;

/// How an operation is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    Post,
    Put,
    Delete,
}

impl Verb {
    /// As axum has it; its GET answers HEAD as well.
    pub(super) fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// Whose things an operation touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nobody's: it is public.
    Nobodys,
    /// The account's in the path. A token that is bound to another one finds nothing there.
    Accounts,
    /// The caller's: everything for an administrator, the account's own for a bound token.
    Callers,
    /// The platform's. A bound token finds nothing there.
    Platforms,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Route {
    /// Which.
    pub(super) call: HttpRoute,
    /// How it is asked for.
    pub(super) verb: Verb,
    /// Where.
    pub(super) template: &'static str,
    /// What a token must allow; nothing where it is public.
    pub(super) scope: Option<Scope>,
    /// Whose things it touches.
    pub(super) whose: Whose,
    /// Its parameters behind the question mark.
    pub(super) query: &'static [&'static str],
    /// Whether it has a body.
    pub(super) has_body: bool,
    /// How long it may take.
    pub(super) patience: Duration,
}

impl Route {
    /// Whether it is for listening: what comes of it is in the access log.
    pub(super) fn listens(&self) -> bool {
        self.call == HttpRoute::PlayRecording || self.call == HttpRoute::OpenPlayer
    }
}

/// Statements to the ledger have 5 s each, and 5 s to get a connection.
const USUAL: Duration = Duration::from_secs(20);
/// Counting everything reads the whole table.
const COUNTING: Duration = Duration::from_secs(130);
/// A check tries every capability, one after the other, against a store that may be slow.
const CHECKING: Duration = Duration::from_secs(120);

const PAGED: &[&str] = &["limit", "after"];
const NONE: &[&str] = &[];

macro_rules! routes {
    ($($call:ident $verb:ident $template:literal $scope:expr, $whose:ident $query:expr,
       $has_body:literal $patience:ident;)+) => {
        /// Every operation.
        pub(super) const ROUTES: &[Route] = &[$(Route {
            call: HttpRoute::$call,
            verb: Verb::$verb,
            template: $template,
            scope: $scope,
            whose: Whose::$whose,
            query: $query,
            has_body: $has_body,
            patience: $patience,
        },)+];
    };
}

routes! {
    ShowContract Get "/v1/openapi.json"
        None, Nobodys NONE, false USUAL;
    ListReceiptKeys Get "/v1/receipt-keys"
        None, Nobodys NONE, false USUAL;
    ListAccounts Get "/v1/accounts"
        Some(Scope::AccountsRead), Callers PAGED, false USUAL;
    CreateAccount Post "/v1/accounts"
        Some(Scope::AccountsWrite), Platforms NONE, true USUAL;
    ShowAccount Get "/v1/accounts/{account_id}"
        Some(Scope::AccountsRead), Accounts NONE, false USUAL;
    ListDestinations Get "/v1/accounts/{account_id}/destinations"
        Some(Scope::DestinationsRead), Accounts NONE, false USUAL;
    ShowDestination Get "/v1/accounts/{account_id}/destination"
        Some(Scope::DestinationsRead), Accounts NONE, false USUAL;
    SetDestination Put "/v1/accounts/{account_id}/destination"
        Some(Scope::DestinationsWrite), Accounts NONE, true CHECKING;
    CheckDestination Post "/v1/accounts/{account_id}/destination/check"
        Some(Scope::DestinationsWrite), Accounts NONE, false CHECKING;
    ListDefaultDestinations Get "/v1/default-destinations"
        Some(Scope::DestinationsRead), Platforms NONE, false USUAL;
    ShowDefaultDestination Get "/v1/default-destination"
        Some(Scope::DestinationsRead), Platforms NONE, false USUAL;
    SetDefaultDestination Put "/v1/default-destination"
        Some(Scope::DestinationsWrite), Platforms NONE, true CHECKING;
    CheckDefaultDestination Post "/v1/default-destination/check"
        Some(Scope::DestinationsWrite), Platforms NONE, false CHECKING;
    ListRecordings Get "/v1/accounts/{account_id}/recordings"
        Some(Scope::RecordingsRead), Accounts
        &["limit", "after", "state", "kind", "interaction"], false USUAL;
    ShowRecording Get "/v1/accounts/{account_id}/recordings/{recording_id}"
        Some(Scope::RecordingsRead), Accounts NONE, false USUAL;
    FindRecordings Get "/v1/recordings"
        Some(Scope::RecordingsRead), Callers
        &["limit", "after", "account_id", "state", "kind", "interaction", "since", "until"],
        false USUAL;
    FindRecording Get "/v1/recordings/{recording_id}"
        Some(Scope::RecordingsRead), Callers &["account_id"], false USUAL;
    PlayRecording Get "/v1/recordings/{recording_id}/playback"
        Some(Scope::RecordingsPlay), Callers &["account_id", "format"], false USUAL;
    ShowPlayer Get "/play/{recording_id}"
        None, Nobodys NONE, false USUAL;
    OpenPlayer Post "/play/{recording_id}"
        Some(Scope::RecordingsPlay), Callers &["account_id", "again"], false USUAL;
    ListParked Get "/v1/parked"
        Some(Scope::ParkedRead), Callers
        &["limit", "after", "account_id", "reason"], false USUAL;
    RetryParked Post "/v1/parked/retry"
        Some(Scope::ParkedWrite), Callers NONE, true COUNTING;
    ListQuarantine Get "/v1/quarantine"
        Some(Scope::QuarantineRead), Platforms PAGED, false USUAL;
    ShowQuarantine Get "/v1/quarantine/{message_id}"
        Some(Scope::QuarantineRead), Platforms NONE, false USUAL;
    RequeueQuarantine Post "/v1/quarantine/{message_id}/requeue"
        Some(Scope::QuarantineWrite), Platforms NONE, false USUAL;
    DropQuarantine Delete "/v1/quarantine/{message_id}"
        Some(Scope::QuarantineWrite), Platforms NONE, false USUAL;
    EraseRecording Post "/v1/accounts/{account_id}/recordings/{recording_id}/erase"
        Some(Scope::RecordingsErase), Accounts NONE, true USUAL;
    ListHolds Get "/v1/accounts/{account_id}/holds"
        Some(Scope::HoldsRead), Accounts &["limit", "after", "all"], false USUAL;
    PlaceHold Post "/v1/accounts/{account_id}/holds"
        Some(Scope::HoldsWrite), Accounts NONE, true USUAL;
    ShowHold Get "/v1/accounts/{account_id}/holds/{hold_id}"
        Some(Scope::HoldsRead), Accounts NONE, false USUAL;
    ReleaseHold Post "/v1/accounts/{account_id}/holds/{hold_id}/release"
        Some(Scope::HoldsWrite), Accounts NONE, true USUAL;
    FindHolds Get "/v1/holds"
        Some(Scope::HoldsRead), Callers &["limit", "after", "all", "account_id"], false USUAL;
    ShowRetention Get "/v1/accounts/{account_id}/retention"
        Some(Scope::RetentionRead), Accounts NONE, false USUAL;
    SetRetention Put "/v1/accounts/{account_id}/retention"
        Some(Scope::RetentionWrite), Accounts NONE, true USUAL;
    PreviewRetention Get "/v1/accounts/{account_id}/retention/preview"
        Some(Scope::RetentionRead), Accounts &["until"], false COUNTING;
    ConfirmRetention Post "/v1/accounts/{account_id}/retention/confirm"
        Some(Scope::RetentionWrite), Accounts NONE, true USUAL;
    ListRetentionStops Get "/v1/retention/stops"
        Some(Scope::RetentionRead), Callers
        &["limit", "after", "all", "account_id"], false USUAL;
    ConfirmAllRetention Post "/v1/retention/confirm"
        Some(Scope::RetentionWrite), Platforms NONE, true USUAL;
    ShowStatus Get "/v1/status"
        Some(Scope::StatusRead), Platforms NONE, false COUNTING;
    ListAudit Get "/v1/audit"
        Some(Scope::AuditRead), Callers &["limit", "after", "account_id"], false USUAL;
}
