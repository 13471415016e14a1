//! What a token service's refusal means: about the application, about us, or about the moment.

use http::StatusCode;
use recording::{Fault, ParkReason};
use serde::Deserialize;

use super::Application;

/// The assertion is not valid now: our own token ran out in its file, or our clock is wrong.
const ASSERTION_OUT_OF_TIME: u32 = 700_024;

/// A refusal. Its prose names tenants and applications and stays unread.
#[derive(Deserialize)]
struct Denied {
    error: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// What it means.
pub(super) fn refusal(application: &Application, status: StatusCode, body: &[u8]) -> Fault {
    let denied: Option<Denied> = serde_json::from_slice(body).ok();
    let word = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        text.len() <= 64 && text.bytes().all(plain)
    };
    let denied = denied.filter(|denied| word(&denied.error));
    let mut detail = format!("{}: {}", application.what(), status.as_u16());
    let (mut error, mut number) = (String::new(), None);
    if let Some(denied) = denied {
        number = denied.error_codes.first().copied();
        error = denied.error;
        detail = format!("{detail} {error}");
    }
    if let Some(number) = number {
        detail = format!("{detail} AADSTS{number}");
    }
    let reason = match application {
        Application::Secret { .. } => of_entra(status, &error),
        Application::Federated { .. } if number == Some(ASSERTION_OUT_OF_TIME) => {
            ParkReason::DestinationUnreachable
        }
        Application::Federated { .. } => of_entra(status, &error),
        Application::Managed { .. } => of_machine(status),
    };
    if reason == ParkReason::CredentialRefused
        && let Application::Managed { .. } = application
    {
        detail.push_str(" (the machine must have this identity)");
    }
    Fault::new(reason, detail)
}

fn of_entra(status: StatusCode, error: &str) -> ParkReason {
    match (status.as_u16(), error) {
        (429, _) => ParkReason::Throttled,
        (
            400 | 401 | 403,
            "invalid_client"
            | "unauthorized_client"
            | "invalid_request"
            | "invalid_grant"
            | "invalid_scope"
            | "invalid_resource"
            | "access_denied"
            | "interaction_required",
        ) => ParkReason::CredentialRefused,
        // Entra is broken, or somebody else answered in its place.
        _ => ParkReason::DestinationUnreachable,
    }
}

/// The metadata service answers 404 and 410 while it is replaced, and refuses an identity that the
/// machine does not have with 400.
fn of_machine(status: StatusCode) -> ParkReason {
    match status.as_u16() {
        429 => ParkReason::Throttled,
        400 | 401 | 403 => ParkReason::CredentialRefused,
        _ => ParkReason::DestinationUnreachable,
    }
}

#[cfg(test)]
mod tests {
    use recording::Secret;

    use super::*;

    fn secret() -> Application {
        Application::Secret {
            tenant_id: "t".to_owned(),
            client_id: "c".to_owned(),
            client_secret: Secret::default(),
        }
    }

    #[test]
    fn refusals_tell_the_application_from_the_moment_and_repeat_no_prose() {
        use ParkReason::{CredentialRefused, DestinationUnreachable, Throttled};
        let federated = Application::Federated {
            tenant_id: "t".to_owned(),
            client_id: "c".to_owned(),
        };
        let managed = Application::Managed { client_id: None };
        let table = [
            (
                &secret(),
                401,
                "invalid_client",
                7_000_215,
                CredentialRefused,
            ),
            (&secret(), 400, "unauthorized_client", 1, CredentialRefused),
            (&secret(), 400, "invalid_request", 1, CredentialRefused),
            (
                &secret(),
                400,
                "temporarily_unavailable",
                1,
                DestinationUnreachable,
            ),
            (
                &secret(),
                503,
                "temporarily_unavailable",
                1,
                DestinationUnreachable,
            ),
            (&secret(), 429, "", 1, Throttled),
            (&secret(), 404, "", 1, DestinationUnreachable),
            (&federated, 401, "invalid_client", 70_021, CredentialRefused),
            // Ours: whoever runs us let the token run out in its file.
            (
                &federated,
                401,
                "invalid_client",
                700_024,
                DestinationUnreachable,
            ),
            (&managed, 400, "invalid_request", 1, CredentialRefused),
            (&managed, 404, "", 1, DestinationUnreachable),
            (&managed, 410, "", 1, DestinationUnreachable),
            (&managed, 429, "", 1, Throttled),
            (&managed, 500, "", 1, DestinationUnreachable),
        ];
        for (application, status, error, number, reason) in table {
            let body = format!(
                "{{\"error\":\"{error}\",\"error_description\":\"prose\",\
                 \"error_codes\":[{number}]}}"
            );
            let status = StatusCode::from_u16(status).unwrap();
            let fault = refusal(application, status, body.as_bytes());
            assert_eq!(fault.reason, reason, "{status} {error} {number}");
            assert!(!fault.detail.contains("prose"));
        }
        let fault = refusal(
            &secret(),
            StatusCode::UNAUTHORIZED,
            br#"{"error":"invalid_client","error_codes":[7000222]}"#,
        );
        assert_eq!(fault.detail, "token: 401 invalid_client AADSTS7000222");
        let html = refusal(&secret(), StatusCode::BAD_GATEWAY, b"<html>");
        assert_eq!(html.reason, DestinationUnreachable);
    }
}
