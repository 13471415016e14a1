//! Advice is written for the command line and names flags; a body has fields. One is made from
//! the other, so that both say the same.

/// Flags whose field has another name: a body carries the secret itself and never names a file of
/// ours.
const OTHERS: [(&str, &str); 4] = [
    ("tag", "tags"),
    ("client_secret_file", "client_secret"),
    ("sas_token_file", "sas_token"),
    ("access_key_file", "access_key"),
];

/// A text with the names of fields where it names flags.
pub(crate) fn fields(text: &str) -> String {
    let mut said = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, flag, after)) = next_flag(rest) {
        said.push_str(before);
        said.push_str(&format!("`{}`", field(flag)));
        rest = after;
    }
    said.push_str(rest);
    said
}

/// The fields that a text names by their flags, each once.
pub(crate) fn named(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, flag, after)) = next_flag(rest) {
        let field = field(flag);
        if !found.contains(&field) {
            found.push(field);
        }
        rest = after;
    }
    found
}

fn field(flag: &str) -> String {
    let name = flag.replace('-', "_");
    let other = OTHERS.iter().find(|(of_flag, _)| *of_flag == name);
    other.map_or(name, |(_, field)| (*field).to_owned())
}

/// What is before the next flag, its word, and what is behind it.
fn next_flag(text: &str) -> Option<(&str, &str, &str)> {
    let (before, behind) = text.split_once("--")?;
    let is_word = |c: char| c.is_ascii_lowercase() || c == '-';
    let end = behind.find(|c| !is_word(c)).unwrap_or(behind.len());
    let (flag, after) = behind.split_at_checked(end)?;
    if flag.is_empty() || flag.starts_with('-') {
        return None;
    }
    Some((before, flag, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_become_fields_and_everything_else_stays() {
        for (flags, told, names) in [
            (
                "--role-arn is missing",
                "`role_arn` is missing",
                &["role_arn"][..],
            ),
            (
                "--sas-token-file and --access-key-file belong to different identities",
                "`sas_token` and `access_key` belong to different identities",
                &["sas_token", "access_key"],
            ),
            (
                "name the account: --expected-owner 123456789012",
                "name the account: `expected_owner` 123456789012",
                &["expected_owner"],
            ),
            ("no flag - none -- at all", "no flag - none -- at all", &[]),
            ("", "", &[]),
        ] {
            assert_eq!(fields(flags), told);
            assert_eq!(named(flags), names, "{flags}");
        }
    }
}
