//! The closed sets of words that only metrics know; the domain has its own.

use recording::{ParkReason, RefusalReason};

/// Declares an enum whose variants are label values.
macro_rules! words {
    ($(#[$doc:meta])* $vis:vis $type:ident: $label:literal, $what:literal {
        $($(#[$variant_doc:meta])* $variant:ident $word:literal,)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        $vis enum $type {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $type {
            /// Every one.
            $vis const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The label.
            #[must_use]
            $vis fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        $crate::metrics::closed::closed! { $type: $label, $what; }
    };
}
pub(crate) use words;

words! {
    /// A stage on the way of one recording, as its latency is labelled.
    pub Stage: "stage", "a stage on the way of one recording" {
        /// From the event's own time to its first delivery.
        QueueWait "queue_wait",
        /// One statement to the ledger that takes the lease.
        Claim "claim",
        /// Reading and hashing the original, summed over its parts.
        Read "read",
        /// Sending as a whole; reading overlaps with it and is included.
        Upload "upload",
        /// Transfer's look at the copy.
        Prove "prove",
        /// One statement to the ledger that records the outcome.
        Record "record",
        /// Publishing the acknowledgment, until the broker confirms.
        Acknowledge "acknowledge",
        /// Cleanup's second look at the copy.
        Look "look",
        /// Moving the original into the trash.
        Move "move",
        /// Unlinking it there.
        Delete "delete",
    }
}

words! {
    /// Signs that somebody may be trying to reach what is not theirs.
    pub Suspicion: "kind", "a sign that somebody may reach for what is not theirs" {
        /// An event's path leads outside the account's folder.
        UnsafePath "unsafe_path",
        /// An id was announced again with other content.
        Conflict "conflict",
        /// An acknowledgment that is not ours, or carries another receipt than the row's.
        ReceiptUnknown "receipt_unknown",
        /// A link or a special file lies where an original should be.
        NotAPlainFile "not_a_plain_file",
    }
}

impl Suspicion {
    /// What a refused message is a sign of, if of anything.
    #[must_use]
    pub fn of_refusal(reason: RefusalReason) -> Option<Self> {
        match reason {
            RefusalReason::UnsafePath => Some(Self::UnsafePath),
            RefusalReason::Conflict => Some(Self::Conflict),
            RefusalReason::ReceiptUnknown => Some(Self::ReceiptUnknown),
            RefusalReason::TooLarge
            | RefusalReason::ContentType
            | RefusalReason::NotJson
            | RefusalReason::DuplicateKey
            | RefusalReason::TooDeep
            | RefusalReason::MissingField
            | RefusalReason::WrongField
            | RefusalReason::UnknownType
            | RefusalReason::AccountUnknown
            | RefusalReason::PathInUse
            | RefusalReason::DeliveryLimit => None,
        }
    }

    /// What a parked recording, or a refused release, is a sign of, if of anything.
    #[must_use]
    pub fn of_parking(reason: ParkReason) -> Option<Self> {
        (reason == ParkReason::NotAPlainFile).then_some(Self::NotAPlainFile)
    }
}

words! {
    /// Ledger, bucket and staging contradict each other.
    pub Divergence: "kind", "how ledger, bucket and staging contradict each other" {
        /// A proven copy is gone.
        CopyLost "copy_lost",
        /// Other bytes than the recorded ones are at the key.
        CopyDiffers "copy_differs",
        /// Somebody else's object is at the key.
        ForeignObject "foreign_object",
        /// The original is no longer the file that was copied.
        OriginalReplaced "original_replaced",
    }
}

impl Divergence {
    /// What a reason to park, or to refuse a release, says about it, if anything.
    #[must_use]
    pub fn of(reason: ParkReason) -> Option<Self> {
        let told = [
            (ParkReason::CopyLost, Self::CopyLost),
            (ParkReason::CopyDiffers, Self::CopyDiffers),
            (ParkReason::ForeignObject, Self::ForeignObject),
            (ParkReason::OriginalReplaced, Self::OriginalReplaced),
        ];
        told.into_iter()
            .find(|(known, _)| *known == reason)
            .map(|(_, divergence)| divergence)
    }
}

words! {
    /// Which way messages go in a session with the broker.
    pub Side: "side", "which way messages go" {
        /// To us.
        Consume "consume",
        /// From us.
        Publish "publish",
    }
}

words! {
    /// What became of a message that was published.
    pub(crate) Confirm: "result", "what became of a published message" {
        /// Confirmed: it is in a queue.
        Ok "ok",
        /// Returned: no queue is bound for it.
        Returned "returned",
        /// Refused by the broker, or impossible to send.
        Nacked "nacked",
        /// No confirm in time, or publishing is blocked; its outcome is unknown.
        TimedOut "timed_out",
        /// No session, or it ended while waiting; its outcome is unknown.
        Disconnected "disconnected",
    }
}

words! {
    /// How asking for a session or token ended.
    pub(crate) CredentialResult: "result", "how asking for a session or token ended" {
        /// Given.
        Ok "ok",
        /// Denied.
        Refused "refused",
        /// Not reached, or no usable answer.
        Unreachable "unreachable",
    }
}

words! {
    /// A service that gives out sessions or tokens.
    pub(crate) TokenService: "cloud", "a service that gives out sessions or tokens" {
        /// AWS's.
        Sts "sts",
        /// Microsoft's.
        Entra "entra",
    }
}

words! {
    /// What connections to the ledger do.
    pub(crate) Connections: "state", "what connections to the ledger do" {
        /// Lent.
        InUse "in_use",
        /// Open and waiting to be lent.
        Idle "idle",
        /// The most there may be.
        Max "max",
    }
}

words! {
    /// How the ledger failed.
    pub(crate) LedgerFailure: "kind", "how the ledger failed" {
        /// It could not be asked, or its answer did not come: weather.
        Unavailable "unavailable",
        /// It answered what this version cannot understand: a defect.
        Corrupt "corrupt",
    }
}

words! {
    /// What came of a daily check of a destination.
    pub CheckVerdict: "verdict", "what came of a daily check of a destination" {
        /// Recordings may be sent there.
        Usable "usable",
        /// They may, and somebody should look at something.
        Concerns "concerns",
        /// They may not.
        Unusable "unusable",
        /// It was not reached, or the check took too long.
        Unknown "unknown",
    }
}

words! {
    /// Which warning of the end of a secret.
    pub(crate) Warning: "warning", "which warning of the end of a secret; each is configured" {
        /// The first: by default from 14 days before.
        First "first",
        /// The last: by default from 3 days before.
        Last "last",
    }
}

words! {
    /// Whether an event carries a signed receipt.
    pub(crate) Receipts: "receipt", "whether an event carries a signed receipt" {
        /// It does.
        Signed "signed",
        /// No key is configured.
        Unsigned "unsigned",
    }
}

impl Receipts {
    /// The word for an event that carries one or not.
    pub(crate) fn of(signed: bool) -> Self {
        if signed { Self::Signed } else { Self::Unsigned }
    }
}
