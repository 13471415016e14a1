#!/bin/sh
# An application with which callferry stores call recordings of globex in the container
# recordings of the storage account globexcalls, and can do nothing else.
# Made by: callferry setup-kit globex
set -eu

storage_account=globexcalls
container=recordings
name='callferry recordings of globex'
secret_file=callferry-client-secret-globex

storage_account_id=$(az storage account show --name "$storage_account" \
  --query id --output tsv)
resource_group_id=${storage_account_id%/providers/*}
container_id=$storage_account_id/blobServices/default/containers/$container

# A container that is not public.
az storage container-rm create --storage-account "$storage_account_id" --name "$container" \
  --public-access off --output none

# The application, and its secret in a file that only you may read.
client_id=$(az ad app create --display-name "$name" --query appId --output tsv)
az ad sp show --id "$client_id" --output none 2>/dev/null ||
  az ad sp create --id "$client_id" --output none
object_id=$(az ad sp show --id "$client_id" --query id --output tsv)
ends=
if [ -s "$secret_file" ] && [ -z "${RENEW:-}" ]; then
  now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  ends=$(az ad app credential list --id "$client_id" --output tsv --query \
    "[?hint=='$(cut -c 1-3 "$secret_file")' && endDateTime>'$now'].endDateTime")
fi
if [ -z "$ends" ]; then
  (umask 077 && az ad app credential reset --id "$client_id" --append \
    --display-name callferry --years 1 --query password --output tsv >"$secret_file.new" &&
    mv "$secret_file.new" "$secret_file")
fi

# A role with actions on blobs and nothing else (Storage Blob Data Contributor may also delete the
# container):
#   blobs/read: looks at copies, reads them back where they were not sent by this attempt
#   blobs/write: stores recordings, in one request or in blocks
#   blobs/delete: deletes recordings whose retention has ended
#   blobs/deleteBlobVersion/action: deletes each version of them, where the storage account keeps versions
definition=$(cat <<JSON
{
  "Name": "$name",
  "IsCustom": true,
  "Description": "What callferry needs of a container to store call recordings",
  "Actions": [],
  "NotActions": [],
  "DataActions": [
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/deleteBlobVersion/action"
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

# Signing URLs that play one recording: keys for that are the storage account's to give.
assign 'Storage Blob Delegator' "$storage_account_id"

echo "tenant id: $(az account show --query tenantId --output tsv)"
echo "client id: $client_id"
echo "client secret: in the file $secret_file, for a year at most; RENEW=1 makes another"
