//! The search: each canary in every spelling that a program might give it, by `grep`, which shares
//! no code with us; and the proof that the search finds what is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// A secret, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub(crate) what: String,
    pub(crate) bytes: Vec<u8>,
}

impl Canary {
    pub(crate) fn new(what: &str, text: impl AsRef<[u8]>) -> Self {
        Self {
            what: what.to_owned(),
            bytes: text.as_ref().to_vec(),
        }
    }
}

/// Words that only stand beside a secret: a signature, an authorization, a password in a form.
const SIGNS: [&str; 8] = [
    "sig=",
    "AWS4-HMAC-SHA256",
    "x-amz-security-token",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "client_secret=",
    "Bearer ey",
    "SharedKey ",
];

/// Base64 of some bytes wherever they begin in what is encoded: at each of the three places that
/// they can have within four letters, without the letters that their neighbours share.
fn in_base64(bytes: &[u8], found: &mut Vec<Vec<u8>>) {
    for ahead in 0..3 {
        let mut padded = vec![0; ahead];
        padded.extend_from_slice(bytes);
        padded.extend_from_slice(&[0; 3]);
        let skip = (ahead * 8).div_ceil(6);
        let sure = ((ahead + bytes.len()) * 8) / 6;
        for text in [
            BASE64_STANDARD_NO_PAD.encode(&padded),
            BASE64_URL_SAFE_NO_PAD.encode(&padded),
        ] {
            found.push(text.as_bytes()[skip..sure].to_vec());
        }
    }
}

/// Every spelling of a canary.
fn spellings(canary: &Canary) -> Vec<Vec<u8>> {
    let bytes = &canary.bytes;
    let mut found = Vec::new();
    if bytes.iter().all(u8::is_ascii_graphic) {
        found.push(bytes.clone());
        // As it would stand in a query or a form, and within JSON.
        let text = String::from_utf8_lossy(bytes);
        found.push(
            percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
                .into_bytes(),
        );
        found.push(bytes.iter().rev().copied().collect());
    }
    found.push(hex::encode(bytes).into_bytes());
    found.push(hex::encode_upper(bytes).into_bytes());
    // As Rust prints a list of bytes.
    let listed: Vec<_> = bytes.iter().map(u8::to_string).collect();
    found.push(listed.join(", ").into_bytes());
    in_base64(bytes, &mut found);
    found.sort();
    found.dedup();
    found
}

/// What was searched and found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Bytes by kind: the folders beneath the searched one.
    pub(crate) bytes: BTreeMap<String, u64>,
    pub(crate) spellings: usize,
    pub(crate) findings: Vec<String>,
}

fn size(path: &Path) -> Result<u64> {
    if path.is_file() {
        return Ok(fs::metadata(path)?.len());
    }
    let mut all = 0;
    for entry in fs::read_dir(path)? {
        all += size(&entry?.path())?;
    }
    Ok(all)
}

/// Searches every file beneath `folder`.
pub(crate) fn search(folder: &Path, needles: &Path, canaries: &[Canary]) -> Result<Report> {
    let mut report = Report::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_name().to_string_lossy().into_owned();
        report.bytes.insert(kind, size(&entry.path())?);
    }
    let mut whose: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for canary in canaries {
        ensure!(canary.bytes.len() >= 12, "{} is too short", canary.what);
        for spelling in spellings(canary) {
            whose.insert(spelling, canary.what.clone());
        }
    }
    report.spellings = whose.len();
    for sign in SIGNS {
        whose.insert(sign.as_bytes().to_vec(), format!("the sign {sign}"));
    }
    let lines: Vec<_> = whose.keys().map(Vec::as_slice).collect();
    fs::write(needles, lines.join(&b'\n'))?;
    let found = Command::new("grep")
        .args(["-r", "-a", "-o", "-b", "-F", "-f"])
        .args([needles, folder])
        .env("LC_ALL", "C")
        .output()
        .context("running grep")?;
    ensure!(
        found.status.code().is_some_and(|code| code < 2),
        "grep: {}",
        String::from_utf8_lossy(&found.stderr)
    );
    for line in found
        .stdout
        .split(|b| *b == b'\n')
        .filter(|it| !it.is_empty())
    {
        // path:offset:match; the match itself is not repeated.
        let text = String::from_utf8_lossy(line);
        let mut parts = text.splitn(3, ':');
        let (path, offset) = (parts.next().unwrap_or_default(), parts.next());
        let matched = parts.next().unwrap_or_default();
        let what = whose.get(matched.as_bytes());
        let what = what.map_or("?", String::as_str);
        let offset = offset.unwrap_or_default();
        report
            .findings
            .push(format!("{what} in {path} at {offset}"));
    }
    Ok(report)
}

#[test]
fn the_search_finds_each_spelling_wherever_it_stands() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (searched, needles) = (
        folder.path().join("all/kind"),
        folder.path().join("needles"),
    );
    fs::create_dir_all(&searched)?;
    let word = Canary::new("the word", "canary/4f1d0b7a9c+=");
    let raw = Canary::new("the key", [0xF0_u8; 16]);
    let text = String::from_utf8(word.bytes.clone())?;
    let plants = [
        format!("password={text};"),
        format!(
            "password={}",
            text.replace('/', "%2F")
                .replace('+', "%2B")
                .replace('=', "%3D")
        ),
        BASE64_STANDARD_NO_PAD.encode(format!("u:{text}")),
        BASE64_STANDARD_NO_PAD.encode(format!("us:{text} and more")),
        BASE64_URL_SAFE_NO_PAD.encode(format!("use:{text}")),
        hex::encode(&text),
        hex::encode_upper(format!("x{text}x")),
        format!("{:?}", text.as_bytes()),
        format!("{:?}", [0xF0_u8; 16]),
        hex::encode([0xF0_u8; 16]),
    ];
    for (number, plant) in plants.iter().enumerate() {
        let file = searched.join(number.to_string());
        fs::write(&file, format!("begin {plant} end"))?;
        let report = search(
            &folder.path().join("all"),
            &needles,
            &[word.clone(), raw.clone()],
        )?;
        assert!(!report.findings.is_empty(), "not found: {plant}");
        fs::remove_file(&file)?;
    }
    fs::write(searched.join("none"), "nothing of it")?;
    let report = search(&folder.path().join("all"), &needles, &[word, raw])?;
    assert_eq!(report.findings, Vec::<String>::new());
    Ok(())
}
