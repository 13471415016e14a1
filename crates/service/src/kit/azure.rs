//! What we need of a container on Azure, whatever language it is written in.
//!
//! **Decision.** A role of its own, with actions on blobs only. **Because** the built-in role
//! *Storage Blob Data Contributor* may also delete the container. **Instead of** a role that
//! everybody knows by its name.

use recording::Need;

use super::aws::whose;
use super::{Kit, azure_cli, bicep, command};

/// The built-in role that may have user delegation keys, and nothing else.
pub(super) const DELEGATOR: &str = "Storage Blob Delegator";
/// Its id, the same in every directory.
pub(super) const DELEGATOR_ID: &str = "db58b8e5-c6ad-4a2a-8342-4190687cbf4a";

/// One action on blobs that the role must allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlobAction {
    /// As Azure spells it.
    pub(super) action: &'static str,
    /// Why we need it.
    pub(super) why: &'static str,
    /// What stops without it.
    need: Need,
    /// The letters that allow the same in a shared access signature.
    letters: &'static str,
}

const BLOBS: [BlobAction; 4] = [
    BlobAction {
        action: "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
        why: "looks at copies, reads them back where they were not sent by this attempt",
        need: Need::Storing,
        letters: "r",
    },
    BlobAction {
        action: "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
        why: "stores recordings, in one request or in blocks",
        need: Need::Storing,
        letters: "cw",
    },
    BlobAction {
        action: "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
        why: "deletes recordings whose retention has ended",
        need: Need::Retention,
        letters: "d",
    },
    BlobAction {
        action: "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/\
                 deleteBlobVersion/action",
        why: "deletes each version of them, where the storage account keeps versions",
        need: Need::Retention,
        // A signature also needs to list what versions there are; reading allows a role to.
        letters: "xl",
    },
];

/// The order in which Azure wants the letters.
const LETTERS: &str = "rcwdxl";

/// Our workload, as an application trusts it: whose tokens, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workload {
    /// Who issues its tokens: `iss`.
    pub(crate) issuer: String,
    /// Who it is, for each role that is somebody of its own: `sub`.
    pub(crate) subjects: Vec<String>,
}

/// Everything that the documents say.
#[derive(Debug, Clone)]
pub(crate) struct AzureKit {
    /// An account's id, or `default`.
    pub(crate) owner: String,
    /// The storage account.
    pub(crate) storage_account: String,
    /// The container.
    pub(crate) container: String,
    /// The blob service's URL where it is not Azure's own.
    pub(crate) endpoint: Option<String>,
    /// What leads every key besides the account; empty for none.
    pub(crate) prefix: String,
    /// What else than storing is wanted.
    pub(crate) needs: Vec<Need>,
    /// What the application trusts instead of a secret.
    pub(crate) workload: Option<Workload>,
    /// Whether the kit also makes the container.
    pub(crate) creates_container: bool,
}

impl AzureKit {
    /// The actions on blobs that the chosen needs use.
    pub(super) fn actions(&self) -> Vec<BlobAction> {
        let wanted = |one: &BlobAction| match one.need {
            Need::Storing | Need::Tidiness => true,
            Need::Playback | Need::Retention => self.needs.contains(&one.need),
        };
        BLOBS.into_iter().filter(wanted).collect()
    }

    /// The letters of a SAS that allows the same.
    pub(super) fn sas_letters(&self) -> String {
        let actions = self.actions();
        let wanted = |letter: &char| actions.iter().any(|one| one.letters.contains(*letter));
        LETTERS.chars().filter(wanted).collect()
    }

    /// Whether recordings are to be played from there.
    pub(super) fn plays(&self) -> bool {
        self.needs.contains(&Need::Playback)
    }

    /// What the role and the application are called.
    pub(super) fn name(&self) -> String {
        format!("callferry recordings of {}", self.owner)
    }

    /// The file that the application's secret is written to: the account's own, so that kits of
    /// several accounts can be applied from one folder.
    pub(super) fn secret_file(&self) -> String {
        format!("callferry-client-secret-{}", self.owner)
    }

    /// The first lines of each file.
    pub(super) fn title(&self) -> String {
        format!(
            "An application with which callferry stores call recordings of {} in the container\n\
             {} of the storage account {}, and can do nothing else.\n\
             Made by: callferry setup-kit {}",
            whose(&self.owner),
            self.container,
            self.storage_account,
            self.owner
        )
    }

    /// The kit as a script for the Azure command line.
    pub(crate) fn azure_cli(&self) -> Kit {
        let secret = match &self.workload {
            None => "the directory's id, the application's id, and the file with its secret",
            Some(_) => "the directory's id and the application's id",
        };
        let steps = vec![
            format!(
                "Run create.sh signed in to the directory and subscription of the storage \
                 account, as somebody who may make applications and roles there; it ends by \
                 printing {secret}."
            ),
            "Or, where there are to be no applications: sas.sh prints a shared access signature. \
             Recordings that were stored with one cannot be played, and it must be renewed before \
             it ends."
                .to_owned(),
        ];
        self.kit(azure_cli::documents(self), steps)
    }

    /// The kit in Bicep.
    pub(crate) fn bicep(&self) -> Kit {
        let steps = vec![
            format!(
                "Make the application, which no template can, {}:\n{}",
                match &self.workload {
                    None => "with its secret in a file",
                    Some(_) => "which trusts our workload",
                },
                azure_cli::application(self)
            ),
            format!(
                "Deploy {} in the storage account's resource group:\n{}",
                bicep::FILE,
                command(
                    "az deployment group create",
                    &[
                        ("--resource-group", "RESOURCE_GROUP"),
                        ("--template-file", bicep::FILE),
                        ("--parameters", "principalId=OBJECT_ID"),
                    ],
                )
            ),
        ];
        let mut kit = self.kit(vec![bicep::document(self)], steps);
        kit.notes.push(
            "RESOURCE_GROUP and OBJECT_ID are the storage account's group and what the first \
             step printed as the object id."
                .to_owned(),
        );
        kit
    }

    fn kit(&self, documents: Vec<super::Document>, steps: Vec<String>) -> Kit {
        let notes: &[&str] = match &self.workload {
            None => &[
                "TENANT_ID and CLIENT_ID below, and the file with the secret, are what the \
                 customer's administrator sends back; the secret by a way that keeps it one.",
                "The secret ends in a year. What made it makes another when it is run again and \
                 the file's own has ended, or before that with RENEW=1; then `destination set` \
                 again.",
            ],
            Some(_) => &[
                "TENANT_ID and CLIENT_ID below are what the customer's administrator sends back.",
                "Every role that reaches the container needs a subject that the application \
                 trusts: name those of transfer, cleanup, housekeeping, playback and whoever runs \
                 the command line, where they differ.",
            ],
        };
        let mut notes: Vec<_> = notes.iter().map(|&note| note.to_owned()).collect();
        if !self.plays() {
            notes.push(
                "Recordings can be stored and not played: `--with playback` also lets callferry \
                 sign URLs."
                    .to_owned(),
            );
        }
        Kit {
            documents,
            steps,
            next: self.next(),
            notes,
        }
    }

    fn next(&self) -> Vec<String> {
        let secret_file = self.secret_file();
        let mut options = vec![
            ("--storage-account", self.storage_account.as_str()),
            ("--container", self.container.as_str()),
        ];
        if let Some(endpoint) = &self.endpoint {
            options.push(("--endpoint", endpoint));
        }
        if !self.prefix.is_empty() {
            options.push(("--prefix", &self.prefix));
        }
        options.extend([("--tenant-id", "TENANT_ID"), ("--client-id", "CLIENT_ID")]);
        let mut set = format!("callferry destination set {} azure", self.owner);
        match &self.workload {
            None => options.push(("--client-secret-file", &secret_file)),
            Some(_) => set.push_str(" --federated"),
        }
        vec![
            command(&set, &options),
            format!("callferry destination check {}", self.owner),
        ]
    }
}
