//! Reading a whole copy back, for stores that report no checksum.

use http::{Method, header};
use recording::{Digests, Fault, Observed, Operation};

use super::bucket::Bucket;
use super::exchange::Trouble;
use super::place::put as put_header;
use crate::deadline;
use crate::exchange::{changed, digest_body};

impl Bucket {
    /// Reads the copy under the observed entity tag and hashes it.
    pub(crate) async fn read_back(&self, key: &str, observed: &Observed) -> Result<Digests, Fault> {
        let mut ask = self.ask(Operation::ReadBack, Method::GET, Some(key), "")?;
        put_header(&mut ask.headers, header::IF_MATCH.as_str(), &observed.etag)?;
        ask.streams = true;
        ask.patience = deadline::moving(observed.size_bytes, 1);
        let answer = self
            .exchange(&ask)
            .await
            .map_err(|trouble| match &trouble {
                // 412: another one is there; 404 of the key: none is any more.
                Trouble::Refused(refusal)
                    if refusal.status == 412 || refusal.code.as_deref() == Some("NoSuchKey") =>
                {
                    changed()
                }
                Trouble::Refused(_) | Trouble::Never(_) | Trouble::Lost(_) | Trouble::Fenced(_) => {
                    trouble.fault(Operation::ReadBack)
                }
            })?;
        digest_body(answer, observed.size_bytes).await
    }
}
