#!/bin/sh
# A shared access signature with which callferry stores call recordings of globex in one
# container (rcwdxl). Whoever has it has its powers: keep it in a file of your own.
# Made by: callferry setup-kit globex
set -eu

storage_account=globexcalls
container=recordings

# In a year, as the date of Linux or else that of macOS says it.
format=+%Y-%m-%dT%H:%MZ
expiry=$(date -u -d '+1 year' "$format" 2>/dev/null || date -u -v+1y "$format")
az storage container generate-sas --account-name "$storage_account" --name "$container" \
  --permissions rcwdxl --https-only --expiry "$expiry" --output tsv
