//! One check for each word of an Azure destination.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::failure::Failure;

/// Words that Entra takes in a directory's place, and that name none.
const NO_DIRECTORY: [&str; 3] = ["common", "organizations", "consumers"];

fn refuse(message: &str, hint: &str) -> anyhow::Error {
    Failure::usage(message).hint(hint).into()
}

/// The name of a storage account. It becomes part of a host name, or of an emulator's path, whose
/// names are less strict.
pub(in crate::cli) fn storage_account(name: &str, emulated: bool) -> Result<()> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || (emulated && b == b'-');
    let plain_ends = !name.starts_with('-') && !name.ends_with('-');
    if (3..=24).contains(&name.len()) && name.bytes().all(plain) && plain_ends {
        return Ok(());
    }
    Err(refuse(
        "--storage-account is not the name of a storage account",
        "3 to 24 lower-case letters and digits, as in acmecalls; no URL",
    ))
}

/// The name of a container.
pub(in crate::cli) fn container(name: &str) -> Result<()> {
    if name == "$web" || name == "$root" || name == "$logs" {
        return Err(refuse(
            "--container is one that Azure uses itself",
            "recordings in $web are published to everybody; make a container of their own",
        ));
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let sound = (3..=63).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--");
    if sound {
        return Ok(());
    }
    Err(refuse(
        "--container is not the name of a container",
        "3 to 63 lower-case letters, digits and single hyphens, as in acme-calls; no URL",
    ))
}

/// Azure drops dots at the end of a folder's name, so that two prefixes could be one.
pub(in crate::cli) fn prefix(text: &str) -> Result<()> {
    if text.split('/').any(|folder| folder.ends_with('.')) {
        return Err(refuse(
            "--prefix has a folder that ends with a dot",
            "Azure drops such dots; name it without",
        ));
    }
    Ok(())
}

/// A directory: an id, or one of its domains. It becomes part of a URL.
pub(super) fn tenant(text: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'.';
    let domain = text.contains('.') && !text.contains("..") && !text.starts_with(['.', '-']);
    let sound = (3..=253).contains(&text.len()) && text.bytes().all(plain);
    if NO_DIRECTORY.contains(&text) {
        return Err(refuse(
            "--tenant-id must name one directory",
            "an application signs in to the customer's own directory: its id, as Entra shows it",
        ));
    }
    if sound && (domain || Uuid::try_parse(text).is_ok()) {
        return Ok(());
    }
    Err(refuse(
        "--tenant-id is not a directory",
        "its id, as in 72f988bf-86f1-41af-91ab-2d7cd011db47, or a domain of it",
    ))
}

/// An application's id.
pub(super) fn client(text: &str) -> Result<()> {
    // Only the usual form: with hyphens, without braces.
    if text.len() == 36 && Uuid::try_parse(text).is_ok() {
        return Ok(());
    }
    Err(refuse(
        "--client-id is not the id of an application",
        "the application (client) id, as in 00001111-aaaa-2222-bbbb-3333cccc4444; no object id, \
         no name",
    ))
}

/// A storage account's key.
pub(super) fn access_key(text: &str) -> Result<()> {
    if text.contains("AccountKey=") {
        return Err(refuse(
            "--access-key-file holds a connection string",
            "only what follows AccountKey= belongs there",
        ));
    }
    let decoded = BASE64_STANDARD.decode(text).map(Zeroizing::new);
    if decoded.is_ok_and(|key| key.len() >= 16) {
        return Ok(());
    }
    Err(refuse(
        "--access-key-file does not hold the key of a storage account",
        "the key is base64, 88 characters as Azure shows it (key1 or key2)",
    ))
}
