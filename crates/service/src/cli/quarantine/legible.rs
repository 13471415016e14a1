//! What strangers sent, as it may stand on a terminal: it can neither give the terminal orders nor
//! look like a line of ours, and a person still sees what it was.

/// The most of a body that is shown to a person, in characters; `--json` has all of it.
const SHOWN_MAX: usize = 4000;
/// What leads each line of a body, so that none can pass for ours.
const MARGIN: &str = "  | ";

/// JSON with every character outside ASCII, and DEL, as an escape. Outside of texts JSON has
/// neither, so it reads back as the same value.
pub(super) fn ascii_json(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut units = [0; 2];
    for letter in text.chars() {
        if letter.is_ascii() && letter != '\u{7f}' {
            safe.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut units) {
            safe.push_str(&format!("\\u{unit:04x}"));
        }
    }
    safe
}

/// A text on one line.
pub(super) fn line(text: &str) -> String {
    text.chars().fold(String::new(), |mut line, letter| {
        show(&mut line, letter);
        line
    })
}

/// A body with a margin, cut where it is long; bytes that are no text as their digits.
pub(super) fn body(text: Option<&str>, hex: Option<&str>) -> String {
    let Some(text) = text else {
        let hex = hex.unwrap_or_default();
        let lines = format!("{MARGIN}(no text; its bytes in hexadecimal)\n");
        return lines + &margined(hex, hex.len() / 2);
    };
    if text.is_empty() {
        return format!("{MARGIN}(empty)\n");
    }
    margined(text, text.len())
}

fn margined(text: &str, size_bytes: usize) -> String {
    let mut lines = String::from(MARGIN);
    for (count, letter) in text.chars().enumerate() {
        if count == SHOWN_MAX {
            lines.push_str(&format!(
                "\n{MARGIN}… cut here: {size_bytes} bytes in all; --json shows them"
            ));
            break;
        }
        if letter == '\n' {
            lines.push_str(&format!("\n{MARGIN}"));
        } else {
            show(&mut lines, letter);
        }
    }
    lines.push('\n');
    lines
}

/// A letter as itself, unless it is one that is obeyed or not seen: then as an escape.
fn show(line: &mut String, letter: char) {
    if letter.is_control() || is_unseen(letter) {
        line.extend(letter.escape_unicode());
    } else {
        line.push(letter);
    }
}

/// Characters that change how others look, or do not look like anything: bidirectional controls,
/// zero width, separators of lines, tags.
fn is_unseen(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_ascii_reads_back_as_the_same_value() {
        let value =
            serde_json::json!({"body": "a\u{1b}[2J \u{9b}31m \u{202e} ü 電 😀 \u{7f} \" \\"});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = ascii_json(&text);
        assert!(
            safe.bytes()
                .all(|b| b == b'\n' || (b' '..0x7f).contains(&b)),
            "{safe}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap(),
            value
        );
    }

    #[test]
    fn what_is_obeyed_or_unseen_is_written_out_and_the_rest_stays_as_it_is() {
        assert_eq!(line("Süd 電 \u{1b}[2J"), "Süd 電 \\u{1b}[2J");
        assert_eq!(
            line("a\u{202e}b\u{200b}c\nd"),
            "a\\u{202e}b\\u{200b}c\\u{a}d"
        );
        assert_eq!(line("\u{9b}31m"), "\\u{9b}31m");
    }

    #[test]
    fn no_line_of_a_body_can_pass_for_one_of_ours() {
        let shown = body(Some("{\nrequeuable  true\r\n"), None);
        assert!(
            shown.lines().all(|line| line.starts_with(MARGIN)),
            "{shown}"
        );
        assert!(!shown.contains('\r'), "{shown}");
        assert_eq!(body(Some(""), None), "  | (empty)\n");
        assert!(body(None, Some("fffe")).contains("fffe"));
        let long = body(Some(&"x".repeat(5000)), None);
        assert!(
            long.contains("5000 bytes in all") && long.len() < 4200,
            "{long}"
        );
        assert!(body(None, Some(&"ff".repeat(5000))).contains("5000 bytes in all"));
    }
}
