//! What our sessions are for, and what a customer's role must allow for each: one table, from
//! which session policies, the set-up kit and the advice of a check are made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a session is for. Each purpose has sessions of its own, which can do nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Creating objects. It cannot read or delete.
    Write,
    /// Looking at objects and reading them. It cannot write or delete.
    Look,
    /// Listing and aborting uploads that nobody goes on with. It can do nothing to an object.
    Sweep,
    /// Signing URLs that read one object.
    Play,
    /// Deleting copies whose retention has ended, and looking that they are gone.
    Expire,
}

impl Purpose {
    /// Every one.
    pub const ALL: [Self; 5] = [
        Self::Write,
        Self::Look,
        Self::Sweep,
        Self::Play,
        Self::Expire,
    ];

    /// The word in session names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Look => "look",
            Self::Sweep => "sweep",
            Self::Play => "play",
            Self::Expire => "expire",
        }
    }

    /// What stops without it.
    #[must_use]
    pub fn need(self) -> Need {
        match self {
            Self::Write | Self::Look => Need::Storing,
            Self::Sweep => Need::Tidiness,
            Self::Play => Need::Playback,
            Self::Expire => Need::Retention,
        }
    }
}

/// What stops working where something is not as it must be, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Nothing can be stored safely.
    Storing,
    /// Nothing can be played.
    Playback,
    /// Copies stay when their retention has ended.
    Retention,
    /// Leftovers stay until a rule of the bucket's own removes them.
    Tidiness,
}

impl Need {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Storing => "storing",
            Self::Playback => "playback",
            Self::Retention => "retention",
            Self::Tidiness => "tidiness",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a permission is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Objects below the destination's prefix.
    Objects,
    /// The bucket, on condition of the prefix.
    BucketBelowPrefix,
    /// The bucket; S3 knows no condition on the prefix for it.
    Bucket,
    /// The encryption key.
    Key,
}

/// When a permission is needed at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Always.
    Always,
    /// The destination tags its objects.
    Tagged,
    /// The destination gives its objects to the bucket's owner.
    OwnerControl,
    /// The bucket or the destination encrypts under a KMS key.
    Encrypted,
}

macro_rules! permissions {
    ($(
        $name:ident $action:literal $scope:ident $when:ident [$($purpose:ident)+]
            $why:literal,
    )+) => {
        /// One action that a customer's role must allow.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
        )]
        pub enum Permission {
            $(
                #[doc = concat!("`", $action, "`: ", $why, ".")]
                #[serde(rename = $action)]
                $name,
            )+
        }

        impl Permission {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The action, as IAM spells it.
            #[must_use]
            pub fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)+ }
            }

            /// What it is about.
            #[must_use]
            pub fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)+ }
            }

            /// When it is needed.
            #[must_use]
            pub fn when(self) -> When {
                match self { $(Self::$name => When::$when,)+ }
            }

            /// The sessions that need it.
            #[must_use]
            pub fn purposes(self) -> &'static [Purpose] {
                match self { $(Self::$name => &[$(Purpose::$purpose,)+],)+ }
            }

            /// Why we need it, as a customer's administrator reads it.
            #[must_use]
            pub fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)+ }
            }
        }
    };
}

permissions! {
    PutObject "s3:PutObject" Objects Always [Write]
        "stores recordings, in one request or in parts",
    PutObjectTagging "s3:PutObjectTagging" Objects Tagged [Write]
        "tags recordings as the destination says",
    PutObjectAcl "s3:PutObjectAcl" Objects OwnerControl [Write]
        "gives recordings to the bucket's owner",
    AbortMultipartUpload "s3:AbortMultipartUpload" Objects Always [Write Sweep]
        "gives up uploads in parts that cannot go on",
    ListMultipartUploadParts "s3:ListMultipartUploadParts" Objects Always [Write]
        "asks whether an upload in parts is still open, before it is gone on with",
    GetObject "s3:GetObject" Objects Always [Look Play Expire]
        "looks at copies, reads them back where a store reports no checksum, and plays them",
    GetObjectVersion "s3:GetObjectVersion" Objects Always [Look Play Expire]
        "the same of the very version that was stored, where the bucket keeps versions",
    ListBucket "s3:ListBucket" BucketBelowPrefix Always [Look Expire]
        "tells a missing recording from one that may not be seen",
    ListBucketMultipartUploads "s3:ListBucketMultipartUploads" Bucket Always [Sweep]
        "finds uploads in parts that nobody goes on with",
    ListBucketVersions "s3:ListBucketVersions" BucketBelowPrefix Always [Expire]
        "finds every version of a recording whose retention has ended",
    DeleteObject "s3:DeleteObject" Objects Always [Expire]
        "deletes recordings whose retention has ended",
    DeleteObjectVersion "s3:DeleteObjectVersion" Objects Always [Expire]
        "the same where the bucket keeps versions",
    GenerateDataKey "kms:GenerateDataKey" Key Encrypted [Write]
        "encrypts recordings under your key",
    Decrypt "kms:Decrypt" Key Encrypted [Write Look Play Expire]
        "reads recordings under your key, and puts parts together that are",
}

impl Permission {
    /// What stops without it: the worst of what its sessions are for.
    #[must_use]
    pub fn need(self) -> Need {
        let needs = self.purposes().iter().map(|purpose| purpose.need());
        needs.min().unwrap_or(Need::Tidiness)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.action())
    }
}
