//! Types that cannot be printed: what holds a secret has no text of its own.

use std::fs;

use anyhow::Result;
use callferry_tests::environment::repository;
use catalog::KeyRing;
use recording::{AzureIdentity, Secret};

/// Does not compile if the type implements the trait: both implementations would fit then.
macro_rules! never {
    ($($type:ty: $trait:path;)+) => {
        $(const _: fn() = || {
            trait Fits<Why> {
                fn fits() {}
            }
            impl<T: ?Sized> Fits<()> for T {}
            struct BecauseOfTheTrait;
            impl<T: ?Sized + $trait> Fits<BecauseOfTheTrait> for T {}
            let _: fn() = <$type as Fits<_>>::fits;
        };)+
    };
}

never! {
    Secret: std::fmt::Display;
    Secret: serde::Serialize;
    Secret: AsRef<str>;
    Secret: std::ops::Deref<Target = str>;
    KeyRing: std::fmt::Display;
    KeyRing: serde::Serialize;
    catalog::Settings: std::fmt::Display;
    catalog::Settings: serde::Serialize;
    storage::BaseIdentity: std::fmt::Display;
    storage::BaseIdentity: serde::Serialize;
    storage::StoreSettings: std::fmt::Display;
    storage::StoreSettings: serde::Serialize;
    broker::BrokerUrl: serde::Serialize;
    broker::ManagementUrl: std::fmt::Display;
    broker::ManagementUrl: serde::Serialize;
}

#[test]
fn what_has_a_debug_text_shows_nothing_of_its_secret() {
    const WORD: &str = "canary-2c7e1f";
    let url = |scheme: &str| format!("{scheme}://u:{WORD}@h:1/v?password={WORD}");
    let broker: broker::BrokerUrl = format!("amqp://u:{WORD}@h:1/v").parse().unwrap();
    let management: broker::ManagementUrl = url("http").parse().unwrap();
    let secret = || Secret::new(WORD.to_owned());
    let shown = [
        format!("{:?} {:#?}", secret(), secret()),
        format!("{:?}", Some(secret()).ok_or(())),
        format!(
            "{:?}",
            AzureIdentity::AccessKey {
                access_key: secret()
            }
        ),
        format!(
            "{:?}",
            AzureIdentity::Sas {
                sas_token: secret()
            }
        ),
        format!("{:?}", storage::BaseIdentity::fixed("id", WORD)),
        format!("{:?}", catalog::Settings::new(url("postgres"))),
        format!("{broker:?} {broker} {management:?}"),
        // As a panic would show it.
        std::panic::catch_unwind(|| panic!("{:?}", Secret::new(WORD.to_owned())))
            .err()
            .and_then(|panicked| panicked.downcast_ref::<String>().cloned())
            .unwrap(),
        format!("{:?}", "not a url".parse::<broker::BrokerUrl>()),
        format!("{:?}", format!("amqp:{WORD}").parse::<broker::BrokerUrl>()),
        format!("{:?}", format!("{WORD}@").parse::<broker::ManagementUrl>()),
    ];
    for text in shown {
        assert!(!text.contains(WORD), "{text}");
    }
}

/// Words in a field's name that say that it is a secret.
const SECRET_NAMES: [&str; 9] = [
    "secret",
    "password",
    "passphrase",
    "token",
    "access_key",
    "sas",
    "signature",
    "credential",
    "authorization",
];
/// Types that anybody can print.
const PLAIN_TYPES: [&str; 8] = [
    "String",
    "Option<String>",
    "Vec<u8>",
    "Bytes",
    "Url",
    "Option<Url>",
    "Uri",
    "&'a str",
];
/// Fields that only sound like a secret.
const HARMLESS: [&str; 4] = [
    "secret_id",
    "secret_key_id",
    "access_key_id",
    "secret_access_key_id",
];

/// A field such as `pub(crate) sas_token: String,` that can be printed and should not be.
fn is_printable_secret(line: &str) -> bool {
    let line = line.trim().trim_end_matches(',');
    let declared = line.rsplit_once(')').filter(|_| line.starts_with("pub("));
    let declared = declared.map_or(line, |(_, rest)| rest).trim();
    let declared = declared.strip_prefix("pub ").unwrap_or(declared);
    let Some((name, kind)) = declared.split_once(": ") else {
        return false;
    };
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let secret = SECRET_NAMES.iter().any(|word| {
        let mut parts = name.split('_');
        name == *word || parts.any(|part| part == *word) || name.ends_with(word)
    });
    is_name && secret && !HARMLESS.contains(&name) && PLAIN_TYPES.contains(&kind)
}

#[test]
fn no_type_that_can_be_printed_has_a_field_for_a_plain_secret() -> Result<()> {
    assert!(is_printable_secret("    pub(crate) sas_token: String,"));
    assert!(is_printable_secret("    password: Option<String>,"));
    assert!(!is_printable_secret("    pub sas_token: Secret,"));
    assert!(!is_printable_secret("    access_key_id: String,"));
    let (mut files, mut found) = (0, Vec::new());
    let mut folders = vec![repository().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                files += 1;
                let text = fs::read_to_string(&path)?;
                found.extend(offences(&text).map(|line| format!("{}: {line}", path.display())));
            }
        }
    }
    assert!(files > 100, "the crates were not found");
    assert_eq!(
        found,
        Vec::<String>::new(),
        "use recording::Secret, or derive no Debug"
    );
    Ok(())
}

/// Fields of structs and variants whose derived traits would print them.
fn offences(text: &str) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut printable = false;
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.starts_with("#[derive(") {
            printable = trimmed.contains("Debug") || trimmed.contains("Serialize");
        }
        // The end of an item at any depth ends what was derived for it.
        if trimmed == "}" && !line.starts_with("        ") {
            printable = false;
        }
        if printable && !trimmed.starts_with("//") && is_printable_secret(line) {
            found.push(trimmed.to_owned());
        }
    }
    found.into_iter()
}
