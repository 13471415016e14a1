//! The targets: each takes any bytes, comes to exactly one verdict, and panics where that verdict
//! breaks a promise. Also built into `tests/fuzz`, so it knows nothing of this crate.

use std::path::{Component, Path};

use recording::{
    AccountId, Announced, Delivery, Incoming, StagingPath, UnsafePath, extension, parse,
    safe_media_type,
};

/// A target.
pub type Target = fn(&[u8]) -> &'static str;

/// Every target by its name, which is also its corpus's. What is returned is the kind of verdict.
pub const TARGETS: &[(&str, Target)] = &[
    ("event", event),
    ("staging_path", staging_path),
    ("answer", storage::fuzzing::answer),
];

/// Divides the properties of a message from its body, where an input has any.
const SEPARATOR: u8 = 0x1e;

/// The reader of events. Before a separator, if there is one, are the content type and, after a
/// line feed, the content encoding.
#[must_use]
pub fn event(input: &[u8]) -> &'static str {
    let mut parts = input.splitn(2, |byte| *byte == SEPARATOR);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let mut delivery = Delivery::default();
    match second {
        None => delivery.body = first.to_vec().into(),
        Some(body) => {
            let properties = String::from_utf8_lossy(first);
            let (kind, encoding) = match properties.split_once('\n') {
                Some((kind, encoding)) => (kind, Some(encoding.to_owned())),
                None => (&*properties, None),
            };
            delivery.content_type = Some(kind.to_owned());
            delivery.content_encoding = encoding;
            delivery.body = body.to_vec().into();
        }
    }
    let verdict = parse(&delivery);
    assert_eq!(verdict, parse(&delivery), "the same bytes, two verdicts");
    match verdict {
        Ok(Incoming::Completed(announced, _)) => {
            assert_sound(&announced);
            "completed"
        }
        Ok(Incoming::Stored(_)) => "stored",
        Ok(Incoming::TransferDue(_)) => "transfer_due",
        Ok(Incoming::CleanupDue(_)) => "cleanup_due",
        Err(refusal) => {
            let detail = &refusal.detail;
            assert!(!detail.is_empty() && detail.len() <= 400, "{detail}");
            // A detail is our own words: what was sent is never in it.
            let ours = |letter: char| letter.is_ascii_graphic() || letter == ' ';
            assert!(detail.chars().all(ours), "{detail:?}");
            refusal.reason.as_str()
        }
    }
}

fn assert_sound(announced: &Announced) {
    let key = &announced.key;
    let account: Result<AccountId, _> = key.account_id.as_str().parse();
    assert_eq!(account.as_ref(), Ok(&key.account_id));
    assert_plain(&key.account_id, &announced.original.path);
    assert!(announced.original.size_bytes <= 1 << 53);
    assert!(announced.started_at <= announced.completed_at);
    let extension = extension(&announced.original.path);
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    assert!(
        (1..=8).contains(&extension.len()) && extension.bytes().all(plain),
        "{extension}"
    );
    let kind = safe_media_type(&announced.media_type);
    let header = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    assert!(kind.len() <= 127 && kind.bytes().all(header), "{kind:?}");
    let texts = announced.attributes.iter();
    let bytes: usize = texts
        .clone()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    assert!(bytes <= 2048, "{bytes}");
    for (name, value) in texts {
        assert!(!name.chars().chain(value.chars()).any(char::is_control));
    }
}

/// The words of a path: an account and, after a line feed, a path.
#[must_use]
pub fn staging_path(input: &[u8]) -> &'static str {
    let Ok(text) = std::str::from_utf8(input) else {
        return "not text";
    };
    let (account, path) = text.split_once('\n').unwrap_or(("acme", text));
    let Ok(account) = account.parse::<AccountId>() else {
        return "no account";
    };
    match StagingPath::new(&account, path) {
        Ok(path) => {
            assert_plain(&account, &path);
            "plain"
        }
        Err(UnsafePath::OutsideAccount) => "outside",
        Err(UnsafePath::Malformed) => "malformed",
        Err(UnsafePath::TooLong) => "too long",
    }
}

/// Judged by the standard library's own idea of a path, not by ours.
fn assert_plain(account: &AccountId, path: &StagingPath) {
    let text = path.as_str();
    let odd =
        |letter: char| letter.is_control() || matches!(letter, '\\' | '\u{202e}' | '\u{200b}');
    assert!(text.len() <= 1024 && !text.chars().any(odd), "{text:?}");
    assert!(
        text.split('/').all(|component| component.len() <= 255),
        "{text:?}"
    );
    let components: Vec<_> = Path::new(text).components().collect();
    let normal = |component: &Component<'_>| matches!(component, Component::Normal(_));
    assert!(
        components.len() >= 2 && components.iter().all(normal),
        "{text:?}"
    );
    // Nothing was silently dropped: no empty component, no `.`.
    assert_eq!(components.len(), text.split('/').count(), "{text:?}");
    assert_eq!(text.split('/').next(), Some(account.as_str()));
    assert_eq!(format!("{account}/{}", path.below_account()), text);
    assert!(!path.file_name().is_empty() && text.ends_with(path.file_name()));
    assert!(!text.contains("/.callferry") && !text.starts_with(".callferry"));
}
