//! The kit in Bicep: the role and what is given of it. Applications are made elsewhere, for no
//! template can.

use super::azure::{AzureKit, DELEGATOR, DELEGATOR_ID};
use super::{Document, comment};

/// The file's name.
pub(super) const FILE: &str = "callferry-role.bicep";

/// A string of Bicep. No name that is taken has an apostrophe or a `$`.
fn string(value: &str) -> String {
    format!("'{value}'")
}

pub(super) fn document(kit: &AzureKit) -> Document {
    let existing = if kit.creates_container {
        ""
    } else {
        " existing"
    };
    let settings = if kit.creates_container {
        "\n  properties: {\n    publicAccess: 'None'\n  }"
    } else {
        ""
    };
    let actions = kit.actions().into_iter().map(|one| {
        format!(
            "          // {}\n          {}\n",
            one.why,
            string(one.action)
        )
    });
    let actions: String = actions.collect();
    let mut bicep = comment("//", &kit.title());
    bicep.push_str(&format!(
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

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01'{existing} = {{
  parent: blobs
  name: containerName{settings}
}}

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

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {{
  name: guid(container.id, principalId, role.id)
  scope: container
  properties: {{
    roleDefinitionId: role.id
    principalId: principalId
    principalType: 'ServicePrincipal'
  }}
}}
",
        string(&kit.storage_account),
        string(&kit.container),
        string(&kit.name()),
    ));
    if kit.plays() {
        bicep.push_str(&delegation());
    }
    Document::new(FILE, "the role and its assignment in Bicep", bicep)
}

fn delegation() -> String {
    format!(
        "
// Signing URLs that play one recording: {DELEGATOR}, whose keys the storage account gives.
resource delegation 'Microsoft.Authorization/roleAssignments@2022-04-01' = {{
  name: guid(account.id, principalId, '{DELEGATOR_ID}')
  scope: account
  properties: {{
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{DELEGATOR_ID}')
    principalId: principalId
    principalType: 'ServicePrincipal'
  }}
}}
"
    )
}
