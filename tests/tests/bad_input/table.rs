//! The table: every row of the catalogue that is built, with concrete inputs. What is refused by
//! its bytes comes first, then by its words, by the file it names, and by what is known already.

mod files;
mod message;
mod numbers;
mod paths;
mod standing;
mod words;

pub(crate) use standing::{ARRIVES, GROWS, HOMELESS, LATECOMER};

use super::case::Row;

/// Every row, in order; the rows about acknowledgments are made from a real one later.
pub(crate) fn rows() -> Vec<Row> {
    let mut rows = [
        message::rows(),
        words::rows(),
        numbers::rows(),
        paths::rows(),
        files::rows(),
        standing::rows(),
    ]
    .concat();
    rows.sort_by_key(|row| row.number);
    rows
}

#[test]
fn every_row_of_the_catalogue_is_in_the_table_or_in_the_list_of_differences() {
    let mut known: Vec<&str> = rows().iter().map(|row| row.number).collect();
    known.push(super::acknowledgments::NUMBER);
    let elsewhere = super::differences::ELSEWHERE;
    known.extend(elsewhere.iter().map(|(number, _)| *number));
    // Signatures, producers' identities and retention in events are in no plan.
    known.extend(["B15", "B16", "B17", "B31"]);
    known.sort_unstable();
    let all: Vec<String> = (1..=41).map(|number| format!("B{number:02}")).collect();
    assert_eq!(known, all);
}

#[test]
fn no_two_cases_share_a_recording_unless_they_are_about_that() {
    let mut seen = std::collections::BTreeSet::new();
    for case in rows().iter().flat_map(|row| &row.cases) {
        let first = case.wave < 2;
        let fresh = seen.insert((case.account.clone(), case.id.clone()));
        assert!(fresh || !first, "{} {}", case.row, case.id);
    }
}
