//! What the tests do to Azurite behind the service's back: as the customer, or as somebody else,
//! with the account's key.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use reqwest::{Method, Response, StatusCode};

use super::{Azurite, shared_key};

/// One request.
struct Call<'a> {
    method: Method,
    /// Below the storage account, with its query.
    path: String,
    headers: &'a [(&'a str, &'a str)],
    body: Vec<u8>,
}

impl Call<'_> {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            headers: &[],
            body: Vec::new(),
        }
    }
}

impl Azurite {
    /// Makes a container.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn create_container(&self, account: &str, container: &str) -> Result<()> {
        let path = format!("{container}?restype=container");
        self.call(account, Call::new(Method::PUT, path)).await?;
        Ok(())
    }

    /// What is really stored, or `None`.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn read(&self, account: &str, container: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let path = format!("{container}/{key}");
        let answer = self.ask(account, Call::new(Method::GET, path)).await?;
        match answer.status() {
            StatusCode::OK => Ok(Some(answer.bytes().await?.to_vec())),
            StatusCode::NOT_FOUND => Ok(None),
            status => bail!("azurite answered {status} to a read of {container}/{key}"),
        }
    }

    /// The headers of a blob, by lower-case names.
    ///
    /// # Errors
    /// When there is none.
    pub async fn headers(
        &self,
        account: &str,
        container: &str,
        key: &str,
    ) -> Result<BTreeMap<String, String>> {
        let path = format!("{container}/{key}");
        let answer = self.call(account, Call::new(Method::HEAD, path)).await?;
        let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        };
        Ok(answer.headers().iter().map(text).collect())
    }

    /// The keys of all blobs of a container, as XML writes them.
    ///
    /// # Errors
    /// When it does not say.
    pub async fn list(&self, account: &str, container: &str) -> Result<Vec<String>> {
        let mut keys = Vec::new();
        let mut marker = String::new();
        loop {
            let path = format!("{container}?comp=list&restype=container{marker}");
            let answer = self.call(account, Call::new(Method::GET, path)).await?;
            let text = answer.text().await?;
            keys.extend(elements(&text, "Name"));
            match elements(&text, "NextMarker").pop() {
                Some(next) if !next.is_empty() => marker = format!("&marker={next}"),
                Some(_) | None => return Ok(keys),
            }
        }
    }

    /// Puts a blob as somebody else would, over whatever is there.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn overwrite(
        &self,
        account: &str,
        container: &str,
        key: &str,
        bytes: &[u8],
    ) -> Result<()> {
        let call = Call {
            headers: &[("x-ms-blob-type", "BlockBlob")],
            body: bytes.to_vec(),
            ..Call::new(Method::PUT, format!("{container}/{key}"))
        };
        self.call(account, call).await?;
        Ok(())
    }

    /// Commits a blob of no blocks as somebody else would, which drops those that others sent.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn commit_nothing(&self, account: &str, container: &str, key: &str) -> Result<()> {
        let path = format!("{container}/{key}?comp=blocklist");
        let call = Call {
            body: b"<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList></BlockList>".to_vec(),
            ..Call::new(Method::PUT, path)
        };
        self.call(account, call).await?;
        Ok(())
    }

    /// Deletes a blob as somebody else would.
    ///
    /// # Errors
    /// When it refuses.
    pub async fn delete(&self, account: &str, container: &str, key: &str) -> Result<()> {
        let path = format!("{container}/{key}");
        self.call(account, Call::new(Method::DELETE, path)).await?;
        Ok(())
    }

    async fn ask(&self, account: &str, call: Call<'_>) -> Result<Response> {
        let url = format!("{}/{}", self.endpoint(account), call.path);
        let mut request = self.client.request(call.method, url);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(call.body).build()?;
        shared_key::sign(&mut request, account, self.key(account))?;
        Ok(self.client.execute(request).await?)
    }

    async fn call(&self, account: &str, call: Call<'_>) -> Result<Response> {
        let what = format!("{} {}", call.method, call.path);
        let answer = self.ask(account, call).await?;
        if !answer.status().is_success() {
            let (status, text) = (answer.status(), answer.text().await?);
            bail!("azurite answered {status} to {what}: {text}");
        }
        Ok(answer)
    }
}

/// The texts of all elements of this name.
fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let pieces = xml.split(&open).skip(1);
    let texts = pieces.filter_map(|piece| piece.split_once(&close));
    texts.map(|(text, _)| text.to_owned()).collect()
}
