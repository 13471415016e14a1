#!/bin/sh
# An application with which callferry stores call recordings of globex in the container
# recordings of the storage account globexcalls, and can do nothing else.
# Made by: callferry setup-kit globex
set -eu

storage_account=globexcalls
container=recordings
name='callferry recordings of globex'

storage_account_id=$(az storage account show --name "$storage_account" \
  --query id --output tsv)
resource_group_id=${storage_account_id%/providers/*}
container_id=$storage_account_id/blobServices/default/containers/$container

# The application, which has no secret: it trusts the tokens of our workload.
client_id=$(az ad app create --display-name "$name" --query appId --output tsv)
az ad sp show --id "$client_id" --output none 2>/dev/null ||
  az ad sp create --id "$client_id" --output none
object_id=$(az ad sp show --id "$client_id" --query id --output tsv)
trust() { # NAME PARAMETERS
  if az ad app federated-credential show --id "$client_id" --federated-credential-id "$1" \
    --output none 2>/dev/null; then
    az ad app federated-credential update --id "$client_id" --federated-credential-id "$1" \
      --parameters "$2" --output none
  else
    az ad app federated-credential create --id "$client_id" --parameters "$2" --output none
  fi
}
trust callferry-1 '{"name": "callferry-1", "issuer": "https://oidc.example/cluster", "subject": "system:serviceaccount:callferry:callferry-transfer", "audiences": ["api://AzureADTokenExchange"]}'
trust callferry-2 '{"name": "callferry-2", "issuer": "https://oidc.example/cluster", "subject": "system:serviceaccount:callferry:callferry-cleanup", "audiences": ["api://AzureADTokenExchange"]}'

# A role with actions on blobs and nothing else (Storage Blob Data Contributor may also delete the
# container):
#   blobs/read: looks at copies, reads them back where they were not sent by this attempt
#   blobs/write: stores recordings, in one request or in blocks
definition=$(cat <<JSON
{
  "Name": "$name",
  "IsCustom": true,
  "Description": "What callferry needs of a container to store call recordings",
  "Actions": [],
  "NotActions": [],
  "DataActions": [
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write"
  ],
  "NotDataActions": [],
  "AssignableScopes": ["$resource_group_id"]
}
JSON
)
known=$(az role definition list --name "$name" --scope "$resource_group_id" \
  --query '[].name' --output tsv)
if [ -n "$known" ]; then change=update; else change=create; fi
az role definition "$change" --role-definition "$definition" --output none

# A new role or application takes a while until every part of Azure knows of it.
assign() { # ROLE SCOPE
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12; do
    az role assignment create --assignee-object-id "$object_id" \
      --assignee-principal-type ServicePrincipal --role "$1" --scope "$2" \
      --output none && return 0
    sleep 10
  done
  return 1
}

# The role, on this container only.
assign "$name" "$container_id"

echo "tenant id: $(az account show --query tenantId --output tsv)"
echo "client id: $client_id"
