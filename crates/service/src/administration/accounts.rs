//! Making accounts.

use anyhow::Result;
use recording::AccountId;

use crate::failure::Failure;

/// The longest name, in characters.
const NAME_MAX: usize = 256;

/// Refuses what cannot be an account's id or name.
pub(crate) fn check(account: &AccountId, name: Option<&str>) -> Result<()> {
    if account.as_str() == "default" {
        let why = "an account cannot be called `default`: that word means the platform's own \
                   destination";
        return Err(Failure::usage(why)
            .hint("choose another id, as in acme")
            .into());
    }
    let name = name.unwrap_or_default();
    if name.chars().count() > NAME_MAX || name.contains(char::is_control) {
        return Err(Failure::usage("--name cannot be what people call it")
            .hint("at most 256 characters, on one line")
            .into());
    }
    Ok(())
}
