//! What may lead every key of a destination, in either cloud.

use anyhow::Result;

use crate::failure::Failure;

/// The longest prefix, in bytes.
const PREFIX_BYTES_MAX: usize = 512;

/// A prefix leads keys *and* narrows session policies, where `*`, `?` and `${…}` have a meaning:
/// what is not on the short list of plain characters is refused.
pub(in crate::cli) fn check(text: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!-_.'()/=+,@&:".contains(&b);
    let components_sound = text
        .split('/')
        .all(|component| !matches!(component, "" | "." | ".."));
    let sound = text.len() <= PREFIX_BYTES_MAX && components_sound && text.bytes().all(plain);
    if text.is_empty() || sound {
        return Ok(());
    }
    Err(Failure::usage("--prefix cannot lead a key")
        .hint(
            "at most 512 letters, digits and !-_.'()/=+,@&: without a slash at either end, `.` or \
             `..`",
        )
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_can_neither_climb_nor_widen_a_session_policy() {
        for text in ["", "calls", "eu/calls", "a=b/c+d", "x.y"] {
            assert!(check(text).is_ok(), "{text}");
        }
        let long = "x".repeat(513);
        for text in [
            "/calls",
            "calls/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a/{b}",
            "a?",
            "a#",
            "a%2f",
            "a*",
            "${aws:username}",
            "a b",
            "a\\b",
            "ä",
            "a\n",
            "/",
            long.as_str(),
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }
}
