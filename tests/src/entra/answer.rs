//! What is answered: tokens for whom they belong to, and refusals in Microsoft's words.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{METADATA, Mood, Name, Proof, State, now};

/// What may be asked for.
const SCOPE: &str = "https://storage.azure.com/.default";
const RESOURCE: &str = "https://storage.azure.com/";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The directory of the machine's own identities.
const OUR_TENANT: &str = "directory-of-the-platform";

/// The answer to one request.
pub(super) fn decide(head: &Parts, form: &[u8], state: &mut State) -> (StatusCode, Value) {
    state.asked += 1;
    match state.mood {
        Mood::Throttling => return (StatusCode::TOO_MANY_REQUESTS, json!({})),
        Mood::Broken => {
            let error = refusal("temporarily_unavailable", 90_033);
            return (StatusCode::SERVICE_UNAVAILABLE, error);
        }
        Mood::Well | Mood::Stale => {}
    }
    if head.uri.path() == METADATA {
        return of_machine(head, state);
    }
    of_entra(head.uri.path(), form, state)
}

fn pairs(text: &[u8]) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

fn of_entra(path: &str, form: &[u8], state: &mut State) -> (StatusCode, Value) {
    let fields = pairs(form);
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let tenant = path
        .strip_prefix('/')
        .and_then(|rest| rest.strip_suffix("/oauth2/v2.0/token"));
    let Some(tenant) = tenant else {
        return (StatusCode::NOT_FOUND, json!({}));
    };
    if field("grant_type") != "client_credentials" || field("scope") != SCOPE {
        return (StatusCode::BAD_REQUEST, refusal("invalid_scope", 70_011));
    }
    let name = (tenant.to_owned(), field("client_id").to_owned());
    let Some(proof) = state.applications.get(&name) else {
        let error = refusal("unauthorized_client", 700_016);
        return (StatusCode::BAD_REQUEST, error);
    };
    let wrong = match proof {
        Proof::Secret(secret) => (secret != field("client_secret")).then_some(7_000_215),
        Proof::Expired(secret) if secret == field("client_secret") => Some(7_000_222),
        Proof::Expired(_) => Some(7_000_215),
        Proof::Assertion(assertion) => {
            let shown = field("client_assertion_type") == ASSERTION
                && assertion == field("client_assertion");
            (!shown).then_some(70_021)
        }
    };
    if let Some(code) = wrong {
        return (StatusCode::UNAUTHORIZED, refusal("invalid_client", code));
    }
    let seconds = state.life.as_secs();
    let granted = json!({
        "token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds,
        "access_token": token(&name, state),
    });
    (StatusCode::OK, granted)
}

/// The service of a virtual machine says how long; the other kind says until when.
fn of_machine(head: &Parts, state: &mut State) -> (StatusCode, Value) {
    let query = pairs(head.uri.query().unwrap_or_default().as_bytes());
    let word = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    let header = |name: &str| head.headers.get(name).and_then(|it| it.to_str().ok());
    let version = match &state.header {
        None if header("metadata") == Some("true") => "2018-02-01",
        Some(wanted) if header("x-identity-header") == Some(wanted) => "2019-08-01",
        None | Some(_) => return (StatusCode::UNAUTHORIZED, json!({"error": "unauthorized"})),
    };
    let asked_well = head.method == Method::GET
        && word("api-version") == version
        && word("resource") == RESOURCE;
    let has = |name: &&String| word("client_id").is_empty() || **name == word("client_id");
    let Some(identity) = state.managed.iter().find(has).filter(|_| asked_well) else {
        let prose = "prose-canary: Identity not found";
        let error = json!({"error": "invalid_request", "error_description": prose});
        return (StatusCode::BAD_REQUEST, error);
    };
    let name = (OUR_TENANT.to_owned(), identity.clone());
    let mut granted = json!({
        "token_type": "Bearer", "resource": RESOURCE, "access_token": token(&name, state),
    });
    let seconds = state.life.as_secs();
    let end = now().timestamp().unsigned_abs().saturating_add(seconds);
    granted["expires_on"] = json!(end.to_string());
    if state.header.is_none() {
        granted["expires_in"] = json!(seconds.to_string());
    }
    (StatusCode::OK, granted)
}

/// The prose is what must get into no log.
fn refusal(error: &str, code: u32) -> Value {
    let prose = format!("AADSTS{code}: prose-canary of the directory");
    json!({"error": error, "error_description": prose, "error_codes": [code]})
}

/// Unsigned: Azurite reads the claims and does not check a signature.
fn token((tenant, client): &Name, state: &mut State) -> String {
    state.issued += 1;
    let now = now().timestamp();
    let life = i64::try_from(state.life.as_secs()).unwrap_or(i64::MAX);
    let end = match state.mood {
        Mood::Stale => now.saturating_sub(1),
        Mood::Well | Mood::Throttling | Mood::Broken => now.saturating_add(life),
    };
    let begin = now.saturating_sub(300);
    let header = json!({"alg": "none", "typ": "JWT"});
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": format!("https://sts.windows.net/{tenant}/"),
        "iat": begin, "nbf": begin, "exp": end, "appid": client, "tid": tenant,
        "oid": format!("object-of-{client}"), "jti": state.issued,
    });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&header), part(&claims))
}
