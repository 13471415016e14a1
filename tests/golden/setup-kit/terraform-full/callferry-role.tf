# A role with which callferry stores call recordings of acme in the bucket acme-recordings,
# and can do nothing else. Made by: callferry setup-kit acme

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "bucket" {
  description = "The bucket for the recordings"
  type        = string
  default     = "acme-recordings"
}

variable "key_prefix" {
  description = "What leads every key, with the slash at its end"
  type        = string
  default     = "acme/calls/eu's/"
}

variable "role_name" {
  description = "What the role is called"
  type        = string
  default     = "callferry"
}

variable "external_id" {
  description = "The external id that callferry gave this account; do not change it"
  type        = string
  default     = "cf-00112233445566778899aabbccddeeff"
}

variable "kms_key_arn" {
  description = "The key that recordings are encrypted under"
  type        = string
  default     = "arn:aws-cn:kms:cn-north-1:111122223333:key/0a1b"
}

variable "principal_arns" {
  description = "The identities of callferry that may assume the role"
  type        = list(string)
  default     = ["arn:aws-cn:iam::444455556666:role/callferry-transfer", "arn:aws-cn:iam::444455556666:role/callferry-cleanup", "arn:aws-cn:iam::444455556666:role/callferry-housekeeping", "arn:aws-cn:iam::444455556666:role/callferry-playback"]
}

data "aws_partition" "current" {}

# Not public, all objects its owner's, encrypted, without leftovers.
resource "aws_s3_bucket" "recordings" {
  bucket = var.bucket
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_public_access_block" "recordings" {
  bucket                  = aws_s3_bucket.recordings.id
  block_public_acls       = true
  ignore_public_acls      = true
  block_public_policy     = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  rule {
    bucket_key_enabled = true
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "recordings" {
  bucket = aws_s3_bucket.recordings.id
  rule {
    id     = "EndUploadsThatNobodyGoesOnWith"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

data "aws_iam_policy_document" "trust" {
  # callferry, and only with the external id of this account.
  statement {
    sid     = "CallferryWithTheExternalIdOfThisAccount"
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = var.principal_arns
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }
  }
}

data "aws_iam_policy_document" "permissions" {
  # stores recordings, in one request or in parts
  statement {
    sid       = "StoresRecordingsInOneRequestOrInParts"
    actions   = ["s3:PutObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # tags recordings as the destination says
  statement {
    sid       = "TagsRecordingsAsTheDestinationSays"
    actions   = ["s3:PutObjectTagging"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # gives recordings to the bucket's owner
  statement {
    sid       = "GivesRecordingsToTheBucketsOwner"
    actions   = ["s3:PutObjectAcl"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # gives up uploads in parts that cannot go on
  statement {
    sid       = "GivesUpUploadsInPartsThatCannotGoOn"
    actions   = ["s3:AbortMultipartUpload"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # asks whether an upload in parts is still open, before it is gone on with
  statement {
    sid       = "AsksWhetherAnUploadInPartsIsStillOpenBeforeItIsGoneOnWith"
    actions   = ["s3:ListMultipartUploadParts"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # looks at copies, reads them back where a store reports no checksum, and plays them
  statement {
    sid       = "LooksAtCopiesReadsThemBackWhereAStoreReportsNoChecksumAndPlaysThem"
    actions   = ["s3:GetObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # the same of the very version that was stored, where the bucket keeps versions
  statement {
    sid       = "TheSameOfTheVeryVersionThatWasStoredWhereTheBucketKeepsVersions"
    actions   = ["s3:GetObjectVersion"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # tells a missing recording from one that may not be seen
  statement {
    sid       = "TellsAMissingRecordingFromOneThatMayNotBeSeen"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.key_prefix}*"]
    }
  }
  # finds uploads in parts that nobody goes on with
  statement {
    sid       = "FindsUploadsInPartsThatNobodyGoesOnWith"
    actions   = ["s3:ListBucketMultipartUploads"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"]
  }
  # finds every version of a recording whose retention has ended
  statement {
    sid       = "FindsEveryVersionOfARecordingWhoseRetentionHasEnded"
    actions   = ["s3:ListBucketVersions"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"]
    condition {
      test     = "StringLike"
      variable = "s3:prefix"
      values   = ["${var.key_prefix}*"]
    }
  }
  # deletes recordings whose retention has ended
  statement {
    sid       = "DeletesRecordingsWhoseRetentionHasEnded"
    actions   = ["s3:DeleteObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # the same where the bucket keeps versions
  statement {
    sid       = "TheSameWhereTheBucketKeepsVersions"
    actions   = ["s3:DeleteObjectVersion"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/${var.key_prefix}*"]
  }
  # encrypts recordings under your key
  statement {
    sid       = "EncryptsRecordingsUnderYourKey"
    actions   = ["kms:GenerateDataKey"]
    resources = [var.kms_key_arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.cn-north-1.amazonaws.com.cn"]
    }
  }
  # reads recordings under your key, and puts parts together that are
  statement {
    sid       = "ReadsRecordingsUnderYourKeyAndPutsPartsTogetherThatAre"
    actions   = ["kms:Decrypt"]
    resources = [var.kms_key_arn]
    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.cn-north-1.amazonaws.com.cn"]
    }
  }
}

resource "aws_iam_role" "callferry" {
  name                 = var.role_name
  path                 = "/vendors/"
  description          = "callferry stores call recordings of acme"
  max_session_duration = 3600
  assume_role_policy   = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "callferry" {
  name   = "callferry"
  role   = aws_iam_role.callferry.id
  policy = data.aws_iam_policy_document.permissions.json
}

output "role_arn" {
  description = "What callferry is told: callferry destination set … --role-arn"
  value       = aws_iam_role.callferry.arn
}
