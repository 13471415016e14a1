//! The kit in Bicep: the role and what is given of it. Applications are made elsewhere, for no
//! template can.

use super::azure::{AzureKit, DELEGATOR, DELEGATOR_ID};
use super::{Document, comment};

/// The kinds of resources whose names are long.
const BLOB_SERVICES: &str = "Microsoft.Storage/storageAccounts/blobServices";
const ROLES: &str = "Microsoft.Authorization/roleDefinitions";

/// The file's name.
pub(super) const FILE: &str = "callferry-role.bicep";

/// A string of Bicep. No name that is taken has an apostrophe or a `$`.
fn string(value: &str) -> String {
    format!("'{value}'")
}

pub(super) fn document(kit: &AzureKit) -> Document {
    let mut bicep = comment("//", &kit.title());
    bicep.push_str(&container(kit));
    bicep.push_str(&role(kit));
    bicep.push_str(ASSIGNMENT);
    if kit.plays() {
        bicep.push_str(&delegation());
    }
    Document::new(FILE, "the role and its assignment in Bicep", bicep)
}

/// The parameters, and what the role is for: there already, or made.
fn container(kit: &AzureKit) -> String {
    let (existing, settings) = if kit.creates_container {
        ("", "\n  properties: {\n    publicAccess: 'None'\n  }")
    } else {
        (" existing", "")
    };
    format!(
        "
@description('The storage account')
param storageAccountName string = {}

@description('The container for the recordings')
param containerName string = {}

@description('The object id of the service principal of callferry')
param principalId string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {{
  name: storageAccountName
}}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {{
  parent: account
  name: 'default'
}}

resource container '{BLOB_SERVICES}/containers@2023-05-01'{existing} = {{
  parent: blobs
  name: containerName{settings}
}}
",
        string(&kit.storage_account),
        string(&kit.container),
    )
}

fn role(kit: &AzureKit) -> String {
    let actions = kit.actions().into_iter();
    let actions = actions.map(|one| {
        let action = string(one.action);
        format!("          // {}\n          {action}\n", one.why)
    });
    let actions: String = actions.collect();
    format!(
        "
// Actions on blobs and nothing else: Storage Blob Data Contributor may also delete the container.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {{
  name: guid(resourceGroup().id, 'callferry', storageAccountName, containerName)
  properties: {{
    roleName: {}
    description: 'What callferry needs of a container to store call recordings'
    type: 'CustomRole'
    permissions: [
      {{
        actions: []
        notActions: []
        dataActions: [
{actions}        ]
        notDataActions: []
      }}
    ]
    assignableScopes: [
      resourceGroup().id
    ]
  }}
}}
",
        string(&kit.name()),
    )
}

const ASSIGNMENT: &str = "
resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, principalId, role.id)
  scope: container
  properties: {
    roleDefinitionId: role.id
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
";

fn delegation() -> String {
    format!(
        "
// Signing URLs that play one recording: {DELEGATOR}, whose keys the storage account gives.
resource delegation 'Microsoft.Authorization/roleAssignments@2022-04-01' = {{
  name: guid(account.id, principalId, '{DELEGATOR_ID}')
  scope: account
  properties: {{
    roleDefinitionId: subscriptionResourceId('{ROLES}', '{DELEGATOR_ID}')
    principalId: principalId
    principalType: 'ServicePrincipal'
  }}
}}
"
    )
}
