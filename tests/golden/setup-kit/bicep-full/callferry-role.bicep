// An application with which callferry stores call recordings of globex in the container
// recordings of the storage account globexcalls, and can do nothing else.
// Made by: callferry setup-kit globex

@description('The storage account')
param storageAccountName string = 'globexcalls'

@description('The container for the recordings')
param containerName string = 'recordings'

@description('The object id of the service principal of callferry')
param principalId string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = {
  parent: blobs
  name: containerName
  properties: {
    publicAccess: 'None'
  }
}

// Actions on blobs and nothing else: Storage Blob Data Contributor may also delete the container.
resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(resourceGroup().id, 'callferry', storageAccountName, containerName)
  properties: {
    roleName: 'callferry recordings of globex'
    description: 'What callferry needs of a container to store call recordings'
    type: 'CustomRole'
    permissions: [
      {
        actions: []
        notActions: []
        dataActions: [
          // looks at copies, reads them back where they were not sent by this attempt
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'
          // stores recordings, in one request or in blocks
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write'
          // deletes recordings whose retention has ended
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete'
          // deletes each version of them, where the storage account keeps versions
          'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/deleteBlobVersion/action'
        ]
        notDataActions: []
      }
    ]
    assignableScopes: [
      resourceGroup().id
    ]
  }
}

resource assignment 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(container.id, principalId, role.id)
  scope: container
  properties: {
    roleDefinitionId: role.id
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}

// Signing URLs that play one recording: Storage Blob Delegator, whose keys the storage account gives.
resource delegation 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(account.id, principalId, 'db58b8e5-c6ad-4a2a-8342-4190687cbf4a')
  scope: account
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'db58b8e5-c6ad-4a2a-8342-4190687cbf4a')
    principalId: principalId
    principalType: 'ServicePrincipal'
  }
}
