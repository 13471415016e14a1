#!/bin/sh
# A role with which callferry stores call recordings of acme in the bucket acme-recordings,
# and can do nothing else. Made by: callferry setup-kit acme
# Run it with an administrator's credentials of the AWS account that owns the bucket.
# It may be run again; it ends by printing the role's ARN.
set -eu
cd "$(dirname "$0")"

# Who may assume the role, and with what.
if aws iam get-role --role-name callferry-acme >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name callferry-acme \
    --policy-document file://trust.json
else
  aws iam create-role --role-name callferry-acme \
    --description 'callferry stores call recordings of acme' \
    --max-session-duration 3600 \
    --assume-role-policy-document file://trust.json >/dev/null
fi

# What it may do.
aws iam put-role-policy --role-name callferry-acme --policy-name callferry \
  --policy-document file://permissions.json

aws iam get-role --role-name callferry-acme --query Role.Arn --output text
