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

variable "role_name" {
  description = "What the role is called"
  type        = string
  default     = "callferry-acme"
}

variable "external_id" {
  description = "The external id that callferry gave this account; do not change it"
  type        = string
  default     = "cf-00112233445566778899aabbccddeeff"
}

variable "principal_arns" {
  description = "The identities of callferry that may assume the role"
  type        = list(string)
  default     = ["arn:aws:iam::444455556666:role/callferry"]
}

data "aws_partition" "current" {}

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
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/*"]
  }
  # gives up uploads in parts that cannot go on
  statement {
    sid       = "GivesUpUploadsInPartsThatCannotGoOn"
    actions   = ["s3:AbortMultipartUpload"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/*"]
  }
  # asks whether an upload in parts is still open, before it is gone on with
  statement {
    sid       = "AsksWhetherAnUploadInPartsIsStillOpenBeforeItIsGoneOnWith"
    actions   = ["s3:ListMultipartUploadParts"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/*"]
  }
  # looks at copies, reads them back where a store reports no checksum, and plays them
  statement {
    sid       = "LooksAtCopiesReadsThemBackWhereAStoreReportsNoChecksumAndPlaysThem"
    actions   = ["s3:GetObject"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/*"]
  }
  # the same of the very version that was stored, where the bucket keeps versions
  statement {
    sid       = "TheSameOfTheVeryVersionThatWasStoredWhereTheBucketKeepsVersions"
    actions   = ["s3:GetObjectVersion"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}/*"]
  }
  # tells a missing recording from one that may not be seen
  statement {
    sid       = "TellsAMissingRecordingFromOneThatMayNotBeSeen"
    actions   = ["s3:ListBucket"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"]
  }
  # finds uploads in parts that nobody goes on with
  statement {
    sid       = "FindsUploadsInPartsThatNobodyGoesOnWith"
    actions   = ["s3:ListBucketMultipartUploads"]
    resources = ["arn:${data.aws_partition.current.partition}:s3:::${var.bucket}"]
  }
}

resource "aws_iam_role" "callferry" {
  name                 = var.role_name
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
