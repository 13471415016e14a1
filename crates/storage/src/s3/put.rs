//! Small originals: read once, hashed, sent in one PUT that creates or does nothing.

use http::{HeaderMap, HeaderValue, Method, header};
use recording::{Fault, Operation, Outbound, ParkReason, SendFault, SendOutcome};

use super::bucket::Bucket;
use super::classify::Meaning;
use super::exchange::{Ask, Repeat, Trouble};
use super::place::put as put_header;
use crate::budget::Budget;
use crate::deadline;
use crate::digest::to_base64;
use crate::exchange::unless_refused;
use crate::whole::Whole;

impl Bucket {
    /// Sends the whole original in one PUT.
    pub(crate) async fn send_whole(
        &self,
        outbound: &Outbound<'_>,
        budget: &Budget,
    ) -> Result<SendOutcome, SendFault> {
        let Whole {
            bytes,
            digests,
            share: _share,
        } = Whole::read(outbound, budget).await?;
        let mut ask = self.ask(Operation::Put, Method::PUT, Some(outbound.key.as_str()), "")?;
        self.describe_object(&mut ask.headers, outbound)?;
        let sha256 = digests.sha256.to_string();
        put_header(&mut ask.headers, "x-amz-meta-callferry-sha256", &sha256)?;
        let checksum = to_base64(digests.crc64nvme);
        put_header(&mut ask.headers, "x-amz-checksum-crc64nvme", &checksum)?;
        // S3 needs only the checksum itself; some stores keep none unless it is announced as well.
        put_header(
            &mut ask.headers,
            "x-amz-sdk-checksum-algorithm",
            "CRC64NVME",
        )?;
        ask.headers
            .insert(header::IF_NONE_MATCH, HeaderValue::from_static("*"));
        ask.body = bytes;
        ask.progress = Some(outbound.progress);
        ask.fence = Some(outbound.fence);
        ask.patience = deadline::moving(outbound.size_bytes, 1);
        ask.repeat = Repeat::Answered;
        match self.exchange(&ask).await {
            Ok(_) => {
                ask.progress = None;
                self.prove_creates_only(&ask).await?;
                Ok(SendOutcome::Sent(digests, None))
            }
            Err(trouble) => unless_refused(Operation::Put, trouble, digests),
        }
    }

    /// Some stores that speak S3 ignore `If-None-Match`, and there a late writer would replace a
    /// copy that is already proven. So the first object that a process puts through another
    /// endpoint than AWS's is put once more: the same bytes to the same key, which a store that
    /// honours the condition refuses, and which changes nothing in one that does not.
    async fn prove_creates_only(&self, first: &Ask<'_>) -> Result<(), SendFault> {
        let Some(_turn) = self.creates_only.turn().await else {
            return Ok(());
        };
        match self.exchange(first).await {
            Ok(_) => {
                let detail = "put: the store ignores If-None-Match, so copies could be overwritten";
                Err(Fault::new(ParkReason::DestinationRefused, detail).into())
            }
            Err(Trouble::Refused(refusal)) if refusal.meaning() == Meaning::Taken => {
                self.creates_only.shown();
                Ok(())
            }
            // Not known yet: the next object is put twice again.
            Err(Trouble::Refused(_) | Trouble::Never(_) | Trouble::Lost(_)) => Ok(()),
            Err(Trouble::Fenced(lost)) => Err(lost.into()),
        }
    }

    /// The headers that say what the object is.
    pub(super) fn describe_object(
        &self,
        headers: &mut HeaderMap,
        outbound: &Outbound<'_>,
    ) -> Result<(), Fault> {
        for (name, value) in &self.place.creating {
            headers.insert(name, value.clone());
        }
        put_header(headers, "content-type", outbound.media_type)?;
        for (name, value) in &outbound.metadata {
            put_header(headers, &format!("x-amz-meta-{name}"), value)?;
        }
        Ok(())
    }
}
