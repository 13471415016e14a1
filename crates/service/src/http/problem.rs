//! What is wrong, as RFC 9457 has it: `application/problem+json`.

use std::borrow::Cow;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use catalog::AdminFault;
use recording::LedgerFault;
use serde::Serialize;
use serde_json::Value;

use super::token::Scope;
use crate::administration::words;

/// How long to wait where we cannot say better, in seconds.
const RETRY_AFTER_S: u64 = 5;

/// One field of a request that is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldFault {
    /// Which: a path parameter, a query parameter, or a field of the body, with dots.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// A request that was not answered as asked. Small, since every result carries room for one.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(crate) struct Problem(Box<Told>);

/// What is told of it.
#[derive(Debug, Clone, Serialize)]
struct Told {
    /// A name for programs; a closed set, listed in the OpenAPI document.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    #[serde(serialize_with = "number")]
    status: StatusCode,
    detail: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<Cow<'static, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldFault>,
    /// What a check found, where that is why.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<Value>,
    #[serde(skip)]
    retry_after_s: Option<u64>,
}

fn number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident $status:ident $word:literal $title:literal;)+) => {
        impl Problem {
            $($(#[$doc])*
            pub(crate) fn $name(detail: impl Into<Cow<'static, str>>) -> Self {
                Self(Box::new(Told {
                    kind: concat!("urn:callferry:problem:", $word),
                    title: $title,
                    status: StatusCode::$status,
                    detail: detail.into(),
                    hint: None,
                    fields: Vec::new(),
                    check: None,
                    retry_after_s: None,
                }))
            })+
        }

        /// The `type` of every problem.
        #[cfg(test)]
        pub(super) const KINDS: &[&str] = &[$(concat!("urn:callferry:problem:", $word),)+];
    };
}

kinds! {
    /// The request itself is malformed: an id, a query parameter, JSON.
    malformed BAD_REQUEST "malformed" "The request is malformed";
    /// Nobody is known to ask.
    nobody UNAUTHORIZED "unauthenticated" "The request is nobody's";
    /// The token does not allow it.
    forbidden FORBIDDEN "forbidden" "The token does not allow this";
    /// There is no such thing, or it is not the caller's to see.
    nothing NOT_FOUND "not_found" "There is no such thing";
    /// Not with this method.
    no_method METHOD_NOT_ALLOWED "method_not_allowed" "Not by this method";
    /// It is there already.
    exists CONFLICT "exists" "It exists already";
    /// It must not be done as things are.
    refused CONFLICT "refused" "It must not be done";
    /// It has no proven copy yet.
    not_stored CONFLICT "not_stored" "It is not stored yet";
    /// Only a credential that cannot sign is known.
    needs_signer CONFLICT "playback_needs_signing_credential" "Its credential cannot sign";
    /// It was there, and its time is over.
    expired GONE "expired" "It is gone";
    /// The body is too large.
    too_large PAYLOAD_TOO_LARGE "too_large" "The body is too large";
    /// The body is not JSON by its type.
    not_json UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body must be JSON";
    /// The body is JSON and says something impossible.
    impossible UNPROCESSABLE_ENTITY "impossible" "The request says something impossible";
    /// Too often.
    too_often TOO_MANY_REQUESTS "too_often" "Too many requests";
    /// We cannot now.
    unavailable SERVICE_UNAVAILABLE "unavailable" "Not now";
    /// We made a mistake.
    defect INTERNAL_SERVER_ERROR "defect" "Our own mistake";
}

impl Problem {
    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Names a field.
    pub(crate) fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.fields.push(FieldFault {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Says what a check found.
    pub(crate) fn found(mut self, check: Value) -> Self {
        self.0.check = Some(check);
        self
    }

    /// Says when to come again.
    pub(crate) fn again_in(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds.max(1));
        self
    }

    /// The same answer whatever was wrong with the token.
    pub(crate) fn unauthenticated() -> Self {
        Self::nobody("no token that can be believed came with it")
            .hint("send `Authorization: Bearer TOKEN`, signed by the configured issuer, for us")
    }

    /// The token lacks a scope.
    pub(crate) fn lacks(scope: Scope) -> Self {
        let scope = scope.as_str();
        Self::forbidden(format!("it lacks the scope `{scope}`"))
            .hint("ask the issuer for a token with this word in its `scope`")
    }

    /// The same answer for what is not there and for what is somebody else's.
    pub(crate) fn not_found() -> Self {
        Self::nothing("nothing is known by this name")
            .hint("a token that is bound to an account sees that account and nothing else")
    }

    /// No token can be judged.
    pub(crate) fn no_keys() -> Self {
        Self::unavailable("no token can be verified yet: the issuer's keys could not be read")
            .again_in(RETRY_AFTER_S)
    }

    /// It did not end in time; whether it was done is not known.
    pub(crate) fn late() -> Self {
        Self::unavailable("it did not end in time; whether it was done is not known")
            .hint("look before you repeat it")
            .again_in(RETRY_AFTER_S)
    }

    /// The status.
    pub(crate) fn status(&self) -> u16 {
        self.0.status.as_u16()
    }
}

/// What the ledger says, without what only its operators should read.
impl From<AdminFault> for Problem {
    fn from(fault: AdminFault) -> Self {
        match fault {
            AdminFault::NotFound { .. } => Self::not_found(),
            AdminFault::Exists { what, .. } => {
                Self::exists(format!("{what} exists already; nothing was changed"))
            }
            AdminFault::Refused { why, hint } => {
                Self::refused(words::fields(&why)).hint(words::fields(&hint))
            }
            // Not whose: a customer's token may have asked.
            AdminFault::Overlap {
                owner, location, ..
            } => Self::refused(format!(
                "keys of {owner} could lie among another owner's in {location}"
            ))
            .hint(words::fields(catalog::OVERLAP_HINT)),
            AdminFault::Ledger(LedgerFault::Unavailable(why)) => {
                tracing::warn!(error = why, "the ledger does not answer");
                Self::unavailable("the ledger does not answer").again_in(RETRY_AFTER_S)
            }
            AdminFault::Ledger(LedgerFault::Corrupt(why))
            | AdminFault::Misconfigured { why, .. } => {
                tracing::error!(error = why, "the ledger answers what cannot be understood");
                Self::defect("the ledger answers what cannot be understood")
                    .hint("tell the operators, with the answer's x-request-id")
            }
        }
    }
}

/// What the command line would say of the same words, with the names of fields for flags.
impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        let said = error.to_string();
        let hint = crate::failure::hint(&error).map(words::fields);
        if crate::failure::exit_code(&error) != 2 {
            tracing::error!(error = format!("{error:#}"), "a request failed");
            return Self::defect("it could not be done")
                .hint("tell the operators, with the answer's x-request-id");
        }
        let detail = words::fields(&said);
        let mut problem = Self::impossible(detail.clone());
        for field in words::named(&said) {
            problem = problem.field(field, detail.clone());
        }
        problem.0.hint = hint.map(Cow::Owned);
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // A struct of texts and a number: it can always be written.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let Told {
            status,
            retry_after_s,
            ..
        } = *self.0;
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"callferry\"");
            put(&mut response, header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(seconds) = retry_after_s {
            put(&mut response, header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

fn put(response: &mut Response, name: HeaderName, value: HeaderValue) {
    response.headers_mut().insert(name, value);
}
