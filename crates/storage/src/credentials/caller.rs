//! Who we are to AWS, asked of STS: a customer's role must trust exactly this identity.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use object_store::aws::AwsAuthorizer;
use object_store::client::{HttpRequest, HttpRequestBody};
use recording::{Fault, Operation, ParkReason, RequestResult};
use serde::Deserialize;

use super::{Sts, service};
use crate::s3::{error_code, parse};

const OPERATION: &str = "get caller identity";
const FORM: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// Who signs our requests to STS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The caller's ARN as STS says it: of a user, or of a role's session
    /// (`arn:aws:sts::123456789012:assumed-role/NAME/SESSION`).
    pub arn: String,
}

/// `<GetCallerIdentityResponse>`.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(rename = "GetCallerIdentityResult")]
    result: Caller,
}

#[derive(Debug, Deserialize)]
struct Caller {
    #[serde(rename = "Arn")]
    arn: String,
}

impl Sts {
    /// Asks once: a process that wants to know this has only just got its identity.
    pub(crate) async fn caller_identity(&self, region: &str) -> Result<CallerIdentity, Fault> {
        let request = self.who_am_i(region).await?;
        let counted = self.line.counted(Operation::Token);
        let asked = self.told(request).await;
        counted.ended(match &asked {
            Ok(_) => RequestResult::Ok,
            Err(_) => RequestResult::Unreachable,
        });
        asked
    }

    async fn who_am_i(&self, region: &str) -> Result<HttpRequest, Fault> {
        let base = self.base().issued().await?;
        let mut request =
            HttpRequest::new(HttpRequestBody::from(Bytes::from_static(FORM.as_bytes())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri(region)?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        AwsAuthorizer::new(&base.credential, "sts", region)
            .try_authorize(&mut request, None)
            .map_err(|_| unknown("the request cannot be signed"))?;
        Ok(request)
    }

    async fn told(&self, request: HttpRequest) -> Result<CallerIdentity, Fault> {
        let told = service::ask(&self.line, OPERATION, request).await?;
        read(told.status, &told.body)
    }
}

fn read(status: StatusCode, body: &[u8]) -> Result<CallerIdentity, Fault> {
    if !status.is_success() {
        let code = error_code(body).unwrap_or_default();
        return Err(unknown(&format!("{} {code}", status.as_u16())));
    }
    let answer: Option<Answer> = parse(body);
    let arn = answer.map(|answer| answer.result.arn);
    match arn.filter(|arn| arn.starts_with("arn:")) {
        Some(arn) => Ok(CallerIdentity { arn }),
        None => Err(unknown("the answer cannot be understood")),
    }
}

/// Nobody's fault but ours, or of the moment.
fn unknown(why: &str) -> Fault {
    let detail = format!("{OPERATION}: {why}");
    Fault::new(ParkReason::DestinationUnreachable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_read_from_the_answer_and_nothing_else_is_taken_for_one() {
        let body =
            br#"<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
            <GetCallerIdentityResult><Arn>arn:aws:sts::1:assumed-role/callferry/i-1</Arn>
            <UserId>AROA:i-1</UserId><Account>1</Account></GetCallerIdentityResult>
            <ResponseMetadata><RequestId>x</RequestId></ResponseMetadata>
            </GetCallerIdentityResponse>"#;
        let caller = read(StatusCode::OK, body).unwrap();
        assert_eq!(caller.arn, "arn:aws:sts::1:assumed-role/callferry/i-1");
        let denied =
            b"<ErrorResponse><Error><Code>InvalidClientTokenId</Code></Error></ErrorResponse>";
        let fault = read(StatusCode::FORBIDDEN, denied).unwrap_err();
        assert!(
            fault.detail.contains("403 InvalidClientTokenId"),
            "{fault:?}"
        );
        for body in [&b""[..], b"<html/>", b"<GetCallerIdentityResponse/>"] {
            assert!(read(StatusCode::OK, body).is_err());
        }
    }
}
