//! A secret out of a file or standard input, cleared from memory wherever it passes.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Result;
use recording::Secret;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::output::tell;

/// No secret of Azure's is longer, in bytes.
const BYTES_MAX: usize = 8 * 1024;

/// One word that must not be shown.
pub(crate) struct Word(Zeroizing<String>);

impl Word {
    /// It.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Word> for Secret {
    fn from(word: Word) -> Self {
        Self::new(word.as_str().to_owned())
    }
}

/// Reads the secret that `flag` names a file for; `-` is standard input.
pub(crate) fn read(flag: &str, file: &Path) -> Result<Word> {
    let read = if file == Path::new("-") {
        if io::stdin().is_terminal() {
            return Err(Failure::usage(format!("{flag} - reads no terminal"))
                .hint(format!(
                    "what is typed there can be read along; pipe it: … {flag} - < FILE"
                ))
                .into());
        }
        bounded(io::stdin().lock())
    } else {
        File::open(file).and_then(|opened| {
            warn_if_open_to_others(file);
            bounded(opened)
        })
    };
    let bytes = read.map_err(|error| {
        Failure::usage(format!("{flag} {}: {error}", file.display()))
            .hint("name a file that holds nothing but the secret, or `-` for standard input")
    })?;
    word(&bytes).ok_or_else(|| {
        Failure::usage(format!("{flag} {} is not one secret", file.display()))
            .hint("it must hold one word of plain characters, with or without a line's end")
            .into()
    })
}

fn bounded(from: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    // Whole from the start: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(BYTES_MAX.saturating_add(1)));
    let most = u64::try_from(BYTES_MAX).unwrap_or(u64::MAX);
    from.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn word(bytes: &[u8]) -> Option<Word> {
    let text = str::from_utf8(bytes).ok()?.trim_ascii();
    let sound = (1..=BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    sound.then(|| Word(Zeroizing::new(text.to_owned())))
}

/// A secret that everybody on the machine can read is hardly one, but whose file it is and why is
/// not ours to judge.
fn warn_if_open_to_others(file: &Path) {
    let Ok(found) = fs::metadata(file) else {
        return;
    };
    if found.is_file() && found.permissions().mode() & 0o077 != 0 {
        tell(&format!(
            "note: {} can be read by others on this machine",
            file.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_word_whatever_ends_its_line() {
        let read = |text: &str| word(text.as_bytes()).map(|word| word.as_str().to_owned());
        for text in ["abc+/=", "abc+/=\n", "abc+/=\r\n", "  abc+/=  \n\n"] {
            assert_eq!(read(text).as_deref(), Some("abc+/="), "{text:?}");
        }
        let long = "x".repeat(BYTES_MAX + 1);
        for text in ["", "\n", "a b", "a\nb", "a\u{1b}b", "ä", long.as_str()] {
            assert!(read(text).is_none(), "{text:?}");
        }
        assert!(word(&[0xff, 0xfe]).is_none());
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named_with_its_flag_and_no_content() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        let error = read("--access-key-file", &absent).err().unwrap();
        assert!(error.to_string().contains("--access-key-file"), "{error}");
        let file = folder.path().join("two-words");
        fs::write(&file, "canary canary").unwrap();
        let error = read("--access-key-file", &file).err().unwrap();
        assert!(!format!("{error:#}").contains("canary"), "{error:#}");
        assert!(crate::failure::hint(&error).is_some());
    }
}
