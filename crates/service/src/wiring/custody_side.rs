//! The keys of custody receipts.

use std::sync::Arc;

use anyhow::Result;
use custody::{KeyFault, ReceiptKeys};
use recording::{ReceiptSigner, Unsigned};

use crate::config::Config;
use crate::failure::Failure;

/// What is wrong with a file of keys, with what to do about it.
pub(crate) fn key_failure(fault: KeyFault) -> anyhow::Error {
    let failure = if fault.is_wrong {
        Failure::usage(fault.why)
    } else {
        Failure::failed(fault.why)
    };
    failure.hint(fault.hint).into()
}

/// The keys of receipts, where a file of them is configured.
///
/// # Errors
/// The file is wrong; or it holds public keys alone and the process `signs`.
pub(crate) fn receipt_keys(config: &Config, signs: bool) -> Result<Option<ReceiptKeys>> {
    let Some(path) = config.receipt_key_file.as_deref() else {
        return Ok(None);
    };
    let keys = ReceiptKeys::load(path).map_err(key_failure)?;
    if signs && keys.signing_id().is_none() {
        let why = "`receipt_key_file` holds public keys alone, and transfer and housekeeping sign \
                   receipts";
        return Err(Failure::usage(why)
            .hint(
                "name the file that `callferry receipt-key new` made, or none: then nothing is \
                 signed",
            )
            .into());
    }
    Ok(Some(keys))
}

/// What signs with these keys; without any, nothing is signed.
pub(crate) fn signer(keys: Option<&ReceiptKeys>) -> Arc<dyn ReceiptSigner> {
    match keys {
        Some(keys) => Arc::new(keys.clone()),
        None => Arc::new(Unsigned),
    }
}
