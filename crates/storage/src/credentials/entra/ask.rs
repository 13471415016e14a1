//! How a token is asked for: by the client credentials flow of OAuth 2.0 with a secret or with an
//! assertion, or of the machine's own token service.

use std::path::Path;

use bytes::Bytes;
use http::{HeaderValue, Method, Uri, header};
use object_store::client::{HttpRequest, HttpRequestBody};
use recording::{Fault, ParkReason, Secret};
use secrecy::ExposeSecret;
use tokio::io::AsyncReadExt;
use zeroize::Zeroizing;

use super::{Application, Tokens, passing};
use crate::exchange::encode;

const SCOPE: &str = "https://storage.azure.com/.default";
const RESOURCE: &str = "https://storage.azure.com/";
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// No token of a workload is longer, in bytes.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

impl Tokens {
    pub(super) async fn request(&self) -> Result<HttpRequest, Fault> {
        match &self.application {
            Application::Secret {
                tenant_id,
                client_id,
                client_secret,
            } => {
                let proof = secret_proof(client_secret)?;
                self.of_entra(tenant_id, client_id, &proof)
            }
            Application::Federated {
                tenant_id,
                client_id,
            } => {
                let file = self.entra.machine.token_file.as_deref();
                let proof = assertion(file).await?;
                self.of_entra(tenant_id, client_id, &proof)
            }
            Application::Managed { client_id } => self.of_machine(client_id.as_deref()),
        }
    }

    fn of_entra(
        &self,
        tenant_id: &str,
        client_id: &str,
        proof: &str,
    ) -> Result<HttpRequest, Fault> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
        let is_dots = tenant_id.bytes().all(|b| b == b'.');
        if is_dots || !tenant_id.bytes().all(plain) {
            let detail = "the tenant's id is none";
            return Err(Fault::new(ParkReason::CredentialRefused, detail));
        }
        let form = format!(
            "grant_type=client_credentials&client_id={}&scope={}&{proof}",
            encode(client_id),
            encode(SCOPE),
        );
        let url = format!("{}/{tenant_id}/oauth2/v2.0/token", self.entra.authority);
        let mut request = HttpRequest::new(HttpRequestBody::from(Bytes::from(form)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            Uri::try_from(url).map_err(|_| passing("the authority's endpoint is no URL"))?;
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(request)
    }

    /// The metadata service of a virtual machine, or the one of App Service and its like, which
    /// wants to be shown a header that only its own processes know.
    fn of_machine(&self, client_id: Option<&str>) -> Result<HttpRequest, Fault> {
        let machine = &self.entra.machine;
        let unusable = |what| move |_| passing(format!("the identity endpoint: {what}"));
        let (version, name, value) = match &machine.header {
            None => ("2018-02-01", "metadata", HeaderValue::from_static("true")),
            Some(header) => {
                let value = HeaderValue::from_str(header.expose_secret());
                let mut value = value.map_err(|_| passing("the identity header is none"))?;
                value.set_sensitive(true);
                ("2019-08-01", "x-identity-header", value)
            }
        };
        let mut url = format!(
            "{}?api-version={version}&resource={}",
            machine.endpoint,
            encode(RESOURCE)
        );
        if let Some(client_id) = client_id {
            url.push_str("&client_id=");
            url.push_str(&encode(client_id));
        }
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = Uri::try_from(url).map_err(unusable("is no URL"))?;
        request.headers_mut().insert(name, value);
        Ok(request)
    }
}

fn secret_proof(secret: &Secret) -> Result<Zeroizing<String>, Fault> {
    let secret = secret
        .reveal()
        .map_err(|locked| Fault::new(ParkReason::SecretLocked, locked.to_string()))?;
    Ok(Zeroizing::new(format!("client_secret={}", encode(secret))))
}

/// Our workload's token, as it is in its file now: whoever runs us replaces it there.
async fn assertion(file: Option<&Path>) -> Result<Zeroizing<String>, Fault> {
    let Some(file) = file else {
        return Err(passing(
            "token by federation: `azure_federated_token_file` is not configured",
        ));
    };
    let unreadable = |error: std::io::Error| {
        let file = file.display();
        passing(format!("token by federation: {file}: {error}"))
    };
    let opened = tokio::fs::File::open(file).await.map_err(unreadable)?;
    let mut token = Zeroizing::new(String::new());
    let mut opened = opened.take(TOKEN_BYTES_MAX);
    let read = opened.read_to_string(&mut token).await;
    read.map_err(unreadable)?;
    let token = token.trim();
    if token.is_empty() {
        let detail = format!("token by federation: {} is empty", file.display());
        return Err(passing(detail));
    }
    Ok(Zeroizing::new(format!(
        "client_assertion_type={}&client_assertion={}",
        encode(ASSERTION),
        encode(token)
    )))
}
