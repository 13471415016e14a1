//! What a storage account's administrator can do: commands of `az` that can be pasted as they are.

use recording::{AzureContainer, AzureIdentity, Capability, Fault, ParkReason};

/// What the commands are made of.
pub(super) struct Remedies<'a>(pub(super) &'a AzureContainer);

impl Remedies<'_> {
    /// What to do against a fault.
    pub(super) fn against(&self, capability: Capability, fault: &Fault) -> String {
        let AzureContainer {
            storage_account: account,
            container,
            ..
        } = self.0;
        let is = |reason| fault.reason == reason;
        if is(ParkReason::BucketMissing) {
            format!(
                "create the container, or set another destination:\n\
                 az storage container create --account-name {account} --name {container} \
                 --auth-mode login"
            )
        } else if is(ParkReason::CredentialRefused) && capability == Capability::SignedRead {
            format!(
                "set the destination anew with an identity that can sign: a service principal, or \
                 an access key\n{}",
                self.may_sign("APPLICATION")
            )
        } else if is(ParkReason::CredentialRefused) {
            self.new_credential()
        } else if is(ParkReason::AccessDenied) {
            self.allow(capability)
        } else {
            fault.reason.hint().to_owned()
        }
    }

    fn allow(&self, capability: Capability) -> String {
        match &self.0.identity {
            AzureIdentity::Sas { .. } => self.new_sas(),
            AzureIdentity::AccessKey { .. } => format!(
                "the storage account's network rules keep us out, or access by key is disabled: \
                 let our addresses in and allow it; or {}",
                self.new_credential()
            ),
            AzureIdentity::ServicePrincipal { client_id, .. }
            | AzureIdentity::Federated { client_id, .. } => self.grant(capability, client_id),
            AzureIdentity::ManagedIdentity { client_id } => {
                let ours = client_id.as_deref().unwrap_or("THE-MACHINES-IDENTITY");
                self.grant(capability, ours)
            }
        }
    }

    fn grant(&self, capability: Capability, client_id: &str) -> String {
        if capability == Capability::SignedRead {
            return self.may_sign(client_id);
        }
        let container = &self.0.container;
        format!(
            "az role assignment create --assignee {client_id} \
             --role 'Storage Blob Data Contributor' --scope \"{}/blobServices/default/\
             containers/{container}\"\nor a role with exactly what `callferry setup-kit` prints; \
             it may take minutes to be felt",
            self.account_id()
        )
    }

    /// Keys to sign URLs with are the storage account's to give.
    fn may_sign(&self, client_id: &str) -> String {
        format!(
            "az role assignment create --assignee {client_id} --role 'Storage Blob Delegator' \
             --scope \"{}\"",
            self.account_id()
        )
    }

    fn account_id(&self) -> String {
        let account = &self.0.storage_account;
        format!("$(az storage account show --name {account} --query id --output tsv)")
    }

    /// How another SAS is made.
    pub(super) fn new_sas(&self) -> String {
        let AzureContainer {
            storage_account: account,
            container,
            ..
        } = self.0;
        format!(
            "make a SAS that may read, create, write, list and delete, and set the destination \
             anew with --sas-token-file:\n\
             az storage container generate-sas --account-name {account} --name {container} \
             --permissions rcwdxl --https-only \
             --expiry \"$(date -u -d '+1 year' +%Y-%m-%dT%H:%MZ)\" --output tsv"
        )
    }

    fn new_credential(&self) -> String {
        let account = &self.0.storage_account;
        match &self.0.identity {
            AzureIdentity::Sas { .. } => self.new_sas(),
            AzureIdentity::AccessKey { .. } => format!(
                "set the destination anew with a key that the account has now, in a file for \
                 --access-key-file:\n\
                 az storage account keys list --account-name {account} --query '[0].value' \
                 --output tsv"
            ),
            AzureIdentity::ServicePrincipal { client_id, .. } => format!(
                "set the destination anew with a valid secret, in a file for \
                 --client-secret-file:\n\
                 az ad app credential reset --id {client_id} --append --query password \
                 --output tsv\n\
                 If it says that there is no such application (AADSTS700016), make one with \
                 `callferry setup-kit` and set the destination with its id"
            ),
            AzureIdentity::Federated { client_id, .. } => format!(
                "let the application trust our workload: ISSUER, SUBJECT and AUDIENCE are iss, sub \
                 and aud of the token in the file that `azure_federated_token_file` names, and \
                 each role that has a subject of its own needs another NAME:\n\
                 az ad app federated-credential create --id {client_id} --parameters \
                 '{{\"name\": \"NAME\", \"issuer\": \"ISSUER\", \"subject\": \"SUBJECT\", \
                 \"audiences\": [\"AUDIENCE\"]}}'\n\
                 `callferry setup-kit --federated` makes the same; what it trusts now: \
                 az ad app federated-credential list --id {client_id}"
            ),
            AzureIdentity::ManagedIdentity { .. } => {
                "run where the machine has that managed identity, and where its metadata service \
                 is reached"
                    .to_owned()
            }
        }
    }
}
