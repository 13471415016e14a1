//! Reading a whole copy back, for stores that report no checksum.

use futures::StreamExt;
use http::{Method, header};
use recording::{Digests, Fault, Observed, ParkReason};
use tokio::time::timeout;

use super::bucket::Bucket;
use super::exchange::Trouble;
use super::place::put as put_header;
use crate::deadline;
use crate::digest::Hashing;

const OPERATION: &str = "read back";

impl Bucket {
    /// Reads the copy under the observed entity tag and hashes it.
    pub(crate) async fn read_back(&self, key: &str, observed: &Observed) -> Result<Digests, Fault> {
        let mut ask = self.ask(OPERATION, Method::GET, Some(key), "")?;
        put_header(&mut ask.headers, header::IF_MATCH.as_str(), &observed.etag)?;
        ask.streams = true;
        ask.patience = deadline::moving(observed.size_bytes, 1);
        let patience = ask.patience;
        let reading = async {
            let answer = self
                .exchange(&ask)
                .await
                .map_err(|trouble| match &trouble {
                    Trouble::Refused(refusal) if refusal.status == 412 => changed(),
                    Trouble::Refused(_)
                    | Trouble::Never(_)
                    | Trouble::Lost(_)
                    | Trouble::Fenced(_) => trouble.fault(OPERATION),
                })?;
            let mut hashing = Hashing::new();
            let mut left = observed.size_bytes;
            if let Some(body) = answer.stream {
                let mut chunks = body.bytes_stream();
                while let Some(chunk) = chunks.next().await {
                    let chunk = chunk.map_err(|_| broke_off())?;
                    let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                    left = left.checked_sub(len).ok_or_else(changed)?;
                    hashing.update(&chunk);
                }
            }
            if left == 0 {
                Ok(hashing.finish())
            } else {
                Err(broke_off())
            }
        };
        match timeout(patience, reading).await {
            Ok(done) => done,
            Err(_) => Err(Fault::new(
                ParkReason::DestinationUnreachable,
                "read back: did not end in time",
            )),
        }
    }
}

fn changed() -> Fault {
    let detail = "read back: the object changed since the look";
    Fault::new(ParkReason::OutcomeUnknown, detail)
}

fn broke_off() -> Fault {
    let detail = "read back: the answer broke off";
    Fault::new(ParkReason::DestinationUnreachable, detail)
}
