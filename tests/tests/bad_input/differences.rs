//! Where `RELIABILITY.md` section 3 and `DESIGN.md` differ. The design decides; this list says
//! what was decided, row by row, and is part of the book.

/// Rows that are not in the table, and why.
pub(crate) const ELSEWHERE: &[(&str, &str)] = &[
    (
        "B13",
        "an account cannot be disabled or deleted: the design has no such state. `hold` and a \
             destination that refuses are the ways to stop one.",
    ),
    (
        "B37",
        "a replay after deletion is answered from the row once recordings expire; it comes \
             with retention. Until then nothing is ever deleted from a bucket.",
    ),
    (
        "B40",
        "an event that kills its worker is isolated by `transfer-one`; it is tested there \
             (`kills_worker`).",
    ),
];

/// What is built otherwise than the catalogue says, and why it may be.
pub(crate) const OTHERWISE: &[(&str, &str)] = &[
    (
        "all",
        "codes are the design's words (`not_json`), not `E_JSON`. One quarantine, not one \
             queue for each kind: the reason is a column. Bodies are kept up to 256 KiB, not \
             64 KiB. What is accepted is not counted as a warning (`W_…`).",
    ),
    (
        "B02",
        "fields that nobody reads are bounded by the message's 256 KiB alone, not by 200 keys \
             or 8 KiB a text: they are skipped, whatever they hold.",
    ),
    (
        "B07",
        "a version is one number in the type. There are no minor versions: what a release does \
             not know is refused, kept whole, and requeued after the upgrade.",
    ),
    (
        "B11",
        "a path may hold letters of any script, as recorders write them; it is compared byte \
             for byte and never normalised, so twins are two files. Control, bidirectional and \
             zero-width characters are refused. Ids are ASCII.",
    ),
    (
        "B12",
        "a message for an unknown account waits in quarantine without an end, and goes on when \
             the account is created; `account create` says how many wait.",
    ),
    (
        "B18",
        "nothing is decoded, so `%2e%2e` is a folder of that name, beneath the account's own; \
             names that only other systems reserve are ordinary.",
    ),
    (
        "B20",
        "a mount below the account's folder is crossed: only an operator can make one.",
    ),
    (
        "B24",
        "only names that begin with `.callferry` are reserved. `callferry publish` skips \
             unfinished files; an event that names one is believed.",
    ),
    (
        "B25",
        "no limit below 2^53: a size that no store takes is a size that the file has not.",
    ),
    (
        "B27",
        "hexadecimal digits of either case are read, lower case is written.",
    ),
    (
        "B30",
        "times from 1990 to 2200 are kept as announced. What they decide is clamped: the \
             destination is the one in force at the latest now.",
    ),
    (
        "B32",
        "the copy is stored as `application/octet-stream`; how it is given out is playback's \
             affair. The announced type stays in the ledger.",
    ),
    (
        "B33",
        "attributes never become headers or metadata of an object, so any letters and any \
             names pass; control characters do not.",
    ),
    (
        "B35",
        "the acknowledgment is published again when the recording is released, or the broker \
             delivered the message again; for one that is merely stored the ledger sees to it.",
    ),
    (
        "B36",
        "path, size, digest, times, kind and interaction are the content. Media type, duration \
             and attributes are not: the first announcement's stay.",
    ),
    ("B38", "old and future events are not flagged."),
    (
        "B41",
        "there is no list of users who may acknowledge: nothing that an acknowledgment says is \
             believed. It is compared with the ledger's receipt, and the copy is looked at.",
    ),
];
