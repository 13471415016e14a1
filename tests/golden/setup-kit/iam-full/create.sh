#!/bin/sh
# A role with which callferry stores call recordings of acme in the bucket acme-recordings,
# and can do nothing else. Made by: callferry setup-kit acme
# Run it with an administrator's credentials of the AWS account that owns the bucket.
# It may be run again; it ends by printing the role's ARN.
set -eu
cd "$(dirname "$0")"

# A bucket that is not public, whose objects are all its owner's, encrypted, and without leftovers.
# One that is there already is left as it is.
if told=$(aws s3api head-bucket --bucket acme-recordings --region cn-north-1 2>&1); then
  cat >&2 <<'ADVICE'
create.sh: the bucket acme-recordings was there before, and is left as it is. We advise, where it is not
so yet (in this folder):
- nothing in it is public:
  aws s3api put-public-access-block --bucket acme-recordings --region cn-north-1 \
    --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
- its objects are all its owner's:
  aws s3api put-bucket-ownership-controls --bucket acme-recordings --region cn-north-1 \
    --ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'
- it encrypts:
  aws s3api put-bucket-encryption --bucket acme-recordings --region cn-north-1 \
    --server-side-encryption-configuration file://encryption.json
- it ends uploads that nobody goes on with; this replaces every rule that it has, so put them into lifecycle.json first:
  aws s3api put-bucket-lifecycle-configuration --bucket acme-recordings --region cn-north-1 \
    --lifecycle-configuration file://lifecycle.json >/dev/null
ADVICE
else
  # Anything but its absence, a bucket of somebody else's for instance, is for a person.
  case $told in
  *'(404)'*) ;;
  *) printf '%s\n' "$told" >&2 && exit 1 ;;
  esac
  aws s3api create-bucket --bucket acme-recordings --region cn-north-1 \
    --create-bucket-configuration LocationConstraint=cn-north-1 >/dev/null
  aws s3api put-public-access-block --bucket acme-recordings --region cn-north-1 \
    --public-access-block-configuration \
    BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true
  aws s3api put-bucket-ownership-controls --bucket acme-recordings --region cn-north-1 \
    --ownership-controls 'Rules=[{ObjectOwnership=BucketOwnerEnforced}]'
  aws s3api put-bucket-encryption --bucket acme-recordings --region cn-north-1 \
    --server-side-encryption-configuration file://encryption.json
  aws s3api put-bucket-lifecycle-configuration --bucket acme-recordings --region cn-north-1 \
    --lifecycle-configuration file://lifecycle.json >/dev/null
fi

# Who may assume the role, and with what.
if aws iam get-role --role-name callferry >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name callferry \
    --policy-document file://trust.json
else
  aws iam create-role --role-name callferry --path /vendors/ \
    --description 'callferry stores call recordings of acme' \
    --max-session-duration 3600 \
    --assume-role-policy-document file://trust.json >/dev/null
fi

# What it may do.
aws iam put-role-policy --role-name callferry --policy-name callferry \
  --policy-document file://permissions.json

aws iam get-role --role-name callferry --query Role.Arn --output text
