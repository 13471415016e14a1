//! STS: `AssumeRole`, on the same port as S3.
//!
//! The signature was checked by `s3s` before this code runs; its refusals are turned into STS's
//! form by [`translated`].

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::SecondsFormat;
use http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::BodyExt;
use quick_xml::escape::escape;
use s3s::route::S3Route;
use s3s::{Body, S3Request, S3Response, S3Result, s3_error};
use url::form_urlencoded;
use uuid::Uuid;

use super::identity::{Assumption, Issued};
use super::lab::Lab;
use super::policy::Policy;

/// A longer body cannot be an `AssumeRole` request.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024;
const POLICY_CHARS_MAX: usize = 2048;
const VERSION: &str = "2011-06-15";
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// The route that answers STS.
pub(crate) struct Sts {
    pub(crate) lab: Arc<Lab>,
}

/// A refusal in STS's form.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// Whether the request is for STS rather than for S3.
pub(crate) fn is_sts(method: &Method, uri: &Uri) -> bool {
    method == Method::POST && uri.path() == "/" && uri.query().is_none()
}

/// A parameter of a form body.
pub(crate) fn parameter(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

#[async_trait::async_trait]
impl S3Route for Sts {
    fn is_match(&self, method: &Method, uri: &Uri, _: &HeaderMap, _: &mut Extensions) -> bool {
        is_sts(method, uri)
    }

    async fn call(&self, req: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let Some(credentials) = req.credentials else {
            return Err(s3_error!(AccessDenied, "missing authentication token"));
        };
        if req.service.as_deref() != Some("sts") {
            let message = "Credential should be scoped to correct service: 'sts'.";
            return Err(s3_error!(SignatureDoesNotMatch, "{message}"));
        }
        let Ok(form) = req.input.collect().await else {
            return Err(s3_error!(InvalidRequest, "the body could not be read"));
        };
        let answer = read(&form.to_bytes()).and_then(|wish| {
            let arn = wish.role_arn.clone();
            let name = wish.session_name.clone();
            let longest = self.lab.directory.session_max(&arn);
            if longest.is_some_and(|longest| wish.lifetime > longest) {
                let message = "The requested DurationSeconds exceeds the MaxSessionDuration set \
                               for this role.";
                return Err(invalid(message.to_owned()));
            }
            match self.lab.directory.assume(&credentials.access_key, wish) {
                Some(issued) => Ok(success(&arn, &name, &issued)),
                None => Err(Refusal {
                    status: StatusCode::FORBIDDEN,
                    code: "AccessDenied",
                    message: format!(
                        "not authorized to perform: sts:AssumeRole on resource: {arn}"
                    ),
                }),
            }
        });
        let (status, body) = match answer {
            Ok(body) => (StatusCode::OK, body),
            Err(refusal) => (
                refusal.status,
                error_document(refusal.code, &refusal.message),
            ),
        };
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/xml"));
        let mut response = S3Response::with_headers(Body::from(body), headers);
        response.status = Some(status);
        Ok(response)
    }
}

/// Checks the form of every parameter.
fn read(form: &[u8]) -> Result<Assumption, Refusal> {
    let optional = |name: &str| parameter(form, name);
    let required = |name: &str| optional(name).ok_or_else(|| invalid(format!("{name} is missing")));
    if required("Version")? != VERSION || required("Action")? != "AssumeRole" {
        return Err(Refusal {
            status: StatusCode::BAD_REQUEST,
            code: "InvalidAction",
            message: "Could not find operation for this version".to_owned(),
        });
    }
    let role_arn = required("RoleArn")?;
    if !role_arn.starts_with("arn:aws:iam::") || !(20..=2048).contains(&role_arn.len()) {
        return Err(invalid(format!("{role_arn} is invalid")));
    }
    let session_name = required("RoleSessionName")?;
    if !(2..=64).contains(&session_name.len()) || !words(&session_name, "+=,.@-") {
        return Err(invalid("RoleSessionName is invalid".to_owned()));
    }
    let external_id = optional("ExternalId");
    if let Some(id) = &external_id
        && (!(2..=1224).contains(&id.len()) || !words(id, "+=,.@:/-"))
    {
        return Err(invalid("ExternalId is invalid".to_owned()));
    }
    let seconds = match optional("DurationSeconds") {
        Some(text) => text.parse().unwrap_or(0),
        None => 3600,
    };
    if !(900..=3600).contains(&seconds) {
        return Err(invalid(
            "DurationSeconds is not in 900 to 3600 (the role's MaxSessionDuration)".to_owned(),
        ));
    }
    let policy = match optional("Policy") {
        Some(json) => Some(session_policy(&json)?),
        None => None,
    };
    Ok(Assumption {
        role_arn,
        session_name,
        external_id,
        lifetime: Duration::from_secs(seconds),
        policy,
    })
}

fn session_policy(json: &str) -> Result<Policy, Refusal> {
    if json.chars().count() > POLICY_CHARS_MAX {
        return Err(invalid(format!(
            "Policy is longer than {POLICY_CHARS_MAX} characters"
        )));
    }
    Policy::parse(json).map_err(|error| Refusal {
        status: StatusCode::BAD_REQUEST,
        code: "MalformedPolicyDocument",
        message: error.to_string(),
    })
}

fn words(text: &str, also: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || also.contains(c))
}

fn invalid(message: String) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        code: "ValidationError",
        message,
    }
}

fn success(arn: &str, name: &str, issued: &Issued) -> String {
    let expiration = issued.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
    let account = arn.split(':').nth(4).unwrap_or_default();
    let role = arn.rsplit('/').next().unwrap_or_default();
    format!(
        "<AssumeRoleResponse xmlns=\"{NAMESPACE}\"><AssumeRoleResult><AssumedRoleUser>\
         <AssumedRoleId>AROALABORATORYROLE:{name}</AssumedRoleId>\
         <Arn>arn:aws:sts::{account}:assumed-role/{role}/{name}</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey>\
         <SessionToken>{}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         </AssumeRoleResult><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata>\
         </AssumeRoleResponse>",
        issued.access_key_id,
        issued.secret_access_key,
        issued.session_token,
        Uuid::new_v4()
    )
}

/// An error in STS's form.
pub(crate) fn error_document(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>Sender</Type><Code>{}</Code>\
         <Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
        escape(code),
        escape(message),
        Uuid::new_v4()
    )
}

/// S3's refusal of a signature in STS's words; none when the body already is STS's.
pub(crate) fn translated(status: StatusCode, body: &Bytes) -> Option<(StatusCode, String)> {
    let text = String::from_utf8_lossy(body);
    if text.contains("<ErrorResponse") {
        return None;
    }
    let code = element(&text, "Code")?;
    let message = element(&text, "Message").unwrap_or_default();
    let (status, code) = match code {
        "InvalidAccessKeyId" => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
        "SignatureDoesNotMatch" => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
        "RequestTimeTooSkewed" => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
        "AccessDenied" => (StatusCode::FORBIDDEN, "MissingAuthenticationToken"),
        other => (status, other),
    };
    Some((status, error_document(code, message)))
}

/// The text of the first element of this name; enough for the flat documents written here.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}
