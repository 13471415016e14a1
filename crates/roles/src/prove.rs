//! One look at a copy, turned into proof or into the reason why there is none. Transfer and
//! cleanup both come through here, so that both judge by the same table.

use recording::{
    AccountId, Announced, Destination, Expected, Fault, Look, Lookers, Mismatch, ObjectKey,
    Verified,
};

/// What a look showed.
#[derive(Debug)]
pub(crate) enum Sight {
    /// The copy is the recording.
    Proven(Box<Verified>),
    /// Provably nothing is at the key.
    Absent,
    /// Something else is at the key.
    Other(Mismatch),
}

/// The copy to look at.
pub(crate) struct Copy<'a> {
    pub(crate) announced: &'a Announced,
    pub(crate) destination: &'a Destination,
    pub(crate) key: &'a ObjectKey,
}

/// Looks at a copy anew, reading it back where the destination reports too little.
///
/// # Errors
/// It could not be seen: neither present nor absent.
pub(crate) async fn look(
    lookers: &dyn Lookers,
    copy: &Copy<'_>,
    expected: &Expected,
) -> Result<Sight, Fault> {
    let account: &AccountId = &copy.announced.key.account_id;
    let observed = match lookers.look(copy.destination, account, copy.key).await? {
        Look::Present(observed) => observed,
        Look::Absent => return Ok(Sight::Absent),
    };
    let first = expected.verify(copy.announced, observed.clone());
    let verdict = if first == Err(Mismatch::NeedsReadBack) {
        let read = lookers
            .read_back(copy.destination, account, copy.key, observed)
            .await?;
        expected.verify(copy.announced, read)
    } else {
        first
    };
    Ok(match verdict {
        Ok(proof) => Sight::Proven(Box::new(proof)),
        Err(mismatch) => Sight::Other(mismatch),
    })
}
