//! Tables of what an S3 destination may say.

use super::words::{bucket, region, role};
use super::*;

fn acme() -> DestinationOwner {
    DestinationOwner::Account("acme".parse().unwrap())
}

fn sound() -> S3Args {
    S3Args {
        bucket: "acme-calls".to_owned(),
        region: "eu-central-1".to_owned(),
        role_arn: Some("arn:aws:iam::123456789012:role/path/callferry".to_owned()),
        ..S3Args::default()
    }
}

fn accepted(args: &S3Args) -> bool {
    args.check(&acme(), &Config::default()).is_ok()
}

#[test]
fn the_bucket_must_belong_to_the_account_of_the_role_unless_told_otherwise() {
    let config = Config::default();
    let owner_of = |args: &S3Args| args.check(&acme(), &config).unwrap().expected_owner;
    assert_eq!(owner_of(&sound()).as_deref(), Some("123456789012"));
    let other = S3Args {
        expected_owner: Some("210987654321".to_owned()),
        ..sound()
    };
    assert_eq!(owner_of(&other).as_deref(), Some("210987654321"));
    let none = S3Args {
        no_owner_check: true,
        endpoint: Some("https://s3.example.com".to_owned()),
        ..sound()
    };
    assert_eq!(owner_of(&none), None);
    let short = S3Args {
        expected_owner: Some("1234".to_owned()),
        ..sound()
    };
    assert!(!accepted(&short));
}

#[test]
fn only_the_platforms_own_destination_does_without_a_role_and_then_names_the_owner() {
    let config = Config::default();
    let own = S3Args {
        role_arn: None,
        ..sound()
    };
    assert!(!accepted(&own));
    assert!(own.check(&DestinationOwner::Default, &config).is_err());
    let named = S3Args {
        expected_owner: Some("123456789012".to_owned()),
        ..own.clone()
    };
    assert!(named.check(&DestinationOwner::Default, &config).is_ok());
    let compatible = S3Args {
        endpoint: Some("https://s3.example.com".to_owned()),
        ..own
    };
    let bucket = compatible.check(&DestinationOwner::Default, &config);
    assert_eq!(bucket.unwrap().expected_owner, None);
}

#[test]
fn buckets_and_regions_are_plain_names() {
    for name in ["abc", "acme-calls", "a.b.c", "0aa"] {
        assert!(bucket(name).is_ok(), "{name}");
    }
    let long = "x".repeat(64);
    for name in [
        "",
        "ab",
        "Acme",
        "acme_calls",
        "-acme",
        "acme-",
        "a..b",
        "10.0.0.1",
        "a/b",
        "a b",
        "xn--a",
        "acme-s3alias",
        "arn:aws:s3:::acme",
        long.as_str(),
    ] {
        assert!(bucket(name).is_err(), "{name}");
    }
    assert!(region("us-gov-west-1").is_ok());
    for name in ["", "EU", "eu central", "eu-central-1.evil.example", "eu/x"] {
        assert!(region(name).is_err(), "{name}");
    }
}

#[test]
fn a_role_is_an_arn_with_an_account_and_a_name() {
    assert_eq!(
        role("arn:aws-us-gov:iam::000000000001:role/a/b").unwrap(),
        "000000000001"
    );
    for arn in [
        "",
        "callferry",
        "arn:aws:iam::1234:role/x",
        "arn:aws:iam::123456789012:user/x",
        "arn:aws:iam::123456789012:role/",
        "arn:aws:iam::123456789012:role//x",
        "arn:aws:iam::123456789012:role/x y",
        "arn:aws:iam:eu:123456789012:role/x",
        "arn:aws:sts::123456789012:assumed-role/x/y",
        "arn:evil:iam::123456789012:role/x",
        "arn:aws:iam::123456789012:role/x:y",
    ] {
        assert!(role(arn).is_err(), "{arn}");
    }
}

#[test]
fn keys_classes_and_endpoints_are_checked_too() {
    for (class, kms, endpoint, passes) in [
        (Some("STANDARD_IA"), Some("alias/recordings"), None, true),
        (Some("standard"), None, None, false),
        (None, Some("a b"), None, false),
        (None, None, Some("http://s3.example.com"), false),
        (None, None, Some("https://169.254.169.254"), false),
        (None, None, Some("https://s3.example.com"), true),
    ] {
        let args = S3Args {
            storage_class: class.map(str::to_owned),
            kms_key: kms.map(str::to_owned),
            endpoint: endpoint.map(str::to_owned),
            ..sound()
        };
        assert_eq!(accepted(&args), passes, "{args:?}");
    }
}

#[test]
fn what_new_objects_are_given_is_said_once_and_checked() {
    let options = |args: &S3Args| {
        let owner = DestinationOwner::Account("acme".parse().unwrap());
        args.check(&owner, &Config::default())
            .map(|bucket| bucket.options)
    };
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let all = S3Args {
        sse: Some(Encryption::Kms),
        kms_key: Some("alias/recordings".to_owned()),
        bucket_key: true,
        tags: owned(&["team=sales", "formula=a=b", "empty="]),
        bucket_owner_full_control: true,
        ..sound()
    };
    let said = options(&all).unwrap();
    assert_eq!(said.tags.to_string(), "empty=, formula=a=b, team=sales");
    assert!(said.bucket_key && said.bucket_owner_full_control);
    // One way to say it: a key is KMS.
    assert_eq!(said.sse, None);
    let plain = options(&sound()).unwrap();
    assert_eq!(plain, S3Options::default());
    let many: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
    let with = |tags: Vec<String>| S3Args { tags, ..sound() };
    let contradicting = S3Args {
        sse: Some(Encryption::S3),
        ..all.clone()
    };
    let keyless = S3Args {
        kms_key: None,
        sse: None,
        ..all
    };
    for (args, says) in [
        (contradicting, "--kms-key"),
        (keyless, "--bucket-key"),
        (with(owned(&["team"])), "equals"),
        (with(owned(&["=x"])), "a tag's key"),
        (with(owned(&["aws:x=y"])), "aws:"),
        (with(owned(&["k=v\n"])), "a tag's value"),
        (with(owned(&["k=1", "k=2"])), "twice"),
        (with(many), "at most 10"),
    ] {
        let error = options(&args).unwrap_err();
        assert!(error.to_string().contains(says), "{says}: {error}");
        assert!(crate::failure::hint(&error).is_some());
        assert_eq!(crate::failure::exit_code(&error), 2);
    }
}
