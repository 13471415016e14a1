//! The kit as scripts for the Azure command line.

use super::azure::{AzureKit, DELEGATOR, Workload};
use super::{Document, comment, quoted, text};

/// Whom a token for an exchange is meant for, in Microsoft's public cloud.
const AUDIENCE: &str = "api://AzureADTokenExchange";

pub(super) fn documents(kit: &AzureKit) -> Vec<Document> {
    vec![
        Document::new(
            "create.sh",
            match &kit.workload {
                None => {
                    "makes the application and the role, and gives one to the other; may be run \
                     again, with RENEW=1 for another secret"
                }
                Some(_) => {
                    "makes the application, which trusts us, and the role, and gives one to the \
                     other; may be run again"
                }
            },
            script(kit),
        ),
        Document::new(
            "sas.sh",
            "the other way: prints a shared access signature",
            sas(kit),
        ),
    ]
}

/// The words that every script begins with.
fn place(kit: &AzureKit) -> String {
    format!(
        "storage_account={}\ncontainer={}\n",
        quoted(&kit.storage_account),
        quoted(&kit.container)
    )
}

fn script(kit: &AzureKit) -> String {
    let mut script = String::from("#!/bin/sh\n");
    script.push_str(&comment("#", &kit.title()));
    script.push_str("set -eu\n\n");
    script.push_str(&place(kit));
    script.push_str(&names(kit));
    script.push_str(
        "
storage_account_id=$(az storage account show --name \"$storage_account\" \\
  --query id --output tsv)
resource_group_id=${storage_account_id%/providers/*}
container_id=$storage_account_id/blobServices/default/containers/$container
",
    );
    if kit.creates_container {
        script.push_str(
            "
# A container that is not public.
az storage container-rm create --storage-account \"$storage_account_id\" --name \"$container\" \\
  --public-access off --output none
",
        );
    }
    script.push_str(match &kit.workload {
        None => "\n# The application, and its secret in a file that only you may read.\n",
        Some(_) => {
            "\n# The application, which has no secret: it trusts the tokens of our workload.\n"
        }
    });
    script.push_str(APPLICATION);
    script.push_str(&credential(kit));
    script.push_str(&definition(kit));
    script.push_str(ASSIGN);
    script.push_str("\n# The role, on this container only.\nassign \"$name\" \"$container_id\"\n");
    if kit.plays() {
        script.push_str(&format!(
            "
# Signing URLs that play one recording: keys for that are the storage account's to give.
assign '{DELEGATOR}' \"$storage_account_id\"
"
        ));
    }
    script.push_str(
        "
echo \"tenant id: $(az account show --query tenantId --output tsv)\"
echo \"client id: $client_id\"
",
    );
    if kit.workload.is_none() {
        script.push_str(
            "echo \"client secret: in the file $secret_file, for a year at most; RENEW=1 makes \
             another\"\n",
        );
    }
    script
}

/// What the application is called, and where its secret is written.
fn names(kit: &AzureKit) -> String {
    let name = quoted(&kit.name());
    match &kit.workload {
        None => format!("name={name}\nsecret_file={}\n", quoted(&kit.secret_file())),
        Some(_) => format!("name={name}\n"),
    }
}

const APPLICATION: &str = "\
client_id=$(az ad app create --display-name \"$name\" --query appId --output tsv)
az ad sp show --id \"$client_id\" --output none 2>/dev/null ||
  az ad sp create --id \"$client_id\" --output none
object_id=$(az ad sp show --id \"$client_id\" --query id --output tsv)
";

/// A secret that is in the file is kept as long as Azure knows it (by the three letters that it
/// shows of each) and it has not ended. Another is in the file at once or not at all.
const SECRET: &str = "\
ends=
if [ -s \"$secret_file\" ] && [ -z \"${RENEW:-}\" ]; then
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  ends=$(az ad app credential list --id \"$client_id\" --output tsv --query \\
    \"[?hint=='$(cut -c 1-3 \"$secret_file\")' && endDateTime>'$now'].endDateTime\")
fi
if [ -z \"$ends\" ]; then
  (umask 077 && az ad app credential reset --id \"$client_id\" --append \\
    --display-name callferry --years 1 --query password --output tsv >\"$secret_file.new\" &&
    mv \"$secret_file.new\" \"$secret_file\")
fi
";

/// What the application is known by.
fn credential(kit: &AzureKit) -> String {
    match &kit.workload {
        None => SECRET.to_owned(),
        Some(workload) => trust(workload),
    }
}

fn trust(workload: &Workload) -> String {
    let mut script = String::from(
        "\
trust() { # NAME PARAMETERS
  if az ad app federated-credential show --id \"$client_id\" --federated-credential-id \"$1\" \\
    --output none 2>/dev/null; then
    az ad app federated-credential update --id \"$client_id\" --federated-credential-id \"$1\" \\
      --parameters \"$2\" --output none
  else
    az ad app federated-credential create --id \"$client_id\" --parameters \"$2\" --output none
  fi
}
",
    );
    for (subject, number) in workload.subjects.iter().zip(1..) {
        let name = format!("callferry-{number}");
        let parameters = format!(
            "{{\"name\": {}, \"issuer\": {}, \"subject\": {}, \"audiences\": [{}]}}",
            text(&name),
            text(&workload.issuer),
            text(subject),
            text(AUDIENCE),
        );
        script.push_str(&format!("trust {name} {}\n", quoted(&parameters)));
    }
    script
}

/// The application alone, for those who make the role by a template.
pub(super) fn application(kit: &AzureKit) -> String {
    format!(
        "{}{APPLICATION}{}echo \"object id: $object_id\"",
        names(kit),
        credential(kit)
    )
}

const ASSIGN: &str = "
# A new role or application takes a while until every part of Azure knows of it.
assign() { # ROLE SCOPE
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    az role assignment create --assignee-object-id \"$object_id\" \\
      --assignee-principal-type ServicePrincipal --role \"$1\" --scope \"$2\" \\
      --output none && return 0
    sleep 10
  done
  return 1
}
";

fn definition(kit: &AzureKit) -> String {
    let actions = kit.actions();
    let list: Vec<_> = actions.iter().map(|one| text(one.action)).collect();
    let reasons = actions.iter().map(|one| {
        let end = one.action.rsplit("/blobs/").next().unwrap_or_default();
        comment("#", &format!("  blobs/{end}: {}", one.why))
    });
    let reasons: String = reasons.collect();
    format!(
        "
# A role with actions on blobs and nothing else (Storage Blob Data Contributor may also delete the
# container):
{reasons}definition=$(cat <<JSON
{{
  \"Name\": \"$name\",
  \"IsCustom\": true,
  \"Description\": \"What callferry needs of a container to store call recordings\",
  \"Actions\": [],
  \"NotActions\": [],
  \"DataActions\": [
    {}
  ],
  \"NotDataActions\": [],
  \"AssignableScopes\": [\"$resource_group_id\"]
}}
JSON
)
known=$(az role definition list --name \"$name\" --scope \"$resource_group_id\" \\
  --query '[].name' --output tsv)
if [ -n \"$known\" ]; then change=update; else change=create; fi
az role definition \"$change\" --role-definition \"$definition\" --output none
",
        list.join(",\n    ")
    )
}

fn sas(kit: &AzureKit) -> String {
    let letters = kit.sas_letters();
    let mut script = String::from("#!/bin/sh\n");
    script.push_str(&comment(
        "#",
        &format!(
            "A shared access signature with which callferry stores call recordings of {} in one\n\
             container ({letters}). Whoever has it has its powers: keep it in a file of your own.\n\
             Made by: callferry setup-kit {}",
            kit.owner, kit.owner
        ),
    ));
    script.push_str("set -eu\n\n");
    script.push_str(&place(kit));
    script.push_str(&format!(
        "
# In a year, as the date of Linux or else that of macOS says it.
format=+%Y-%m-%dT%H:%MZ
expiry=$(date -u -d '+1 year' \"$format\" 2>/dev/null || date -u -v+1y \"$format\")
az storage container generate-sas --account-name \"$storage_account\" --name \"$container\" \\
  --permissions {letters} --https-only --expiry \"$expiry\" --output tsv
"
    ));
    script
}
