"""Assumes a role at moto as Amazon's own client does, and writes one object under it.

assume.py ENDPOINT ACCESS_KEY SECRET_KEY ROLE_ARN EXTERNAL_ID BUCKET KEY
Prints "stored", or the code of the refusal. Run by tests/tests/harness.rs.
"""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, access, secret, role, external_id, bucket, key = sys.argv[1:]


def client(service, *credentials):
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    once = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1})
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        config=once,
        **dict(zip(names, credentials)),
    )


try:
    answer = client("sts", access, secret).assume_role(
        RoleArn=role, RoleSessionName="harness", ExternalId=external_id
    )
    given = answer["Credentials"]
    session = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    client("s3", *session).put_object(Bucket=bucket, Key=key, Body=b"1")
    print("stored")
except ClientError as refusal:
    print(refusal.response["Error"]["Code"])
