//! Tests of the configuration, and of the examples in `deploy/config`.

use std::collections::BTreeSet;

use super::{Config, Staging, environment, layers};

fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), toml).unwrap();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Config::load(Some(file.path()), &variables).map_err(|error| {
        assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
        let hint = crate::failure::hint(&error);
        let hint = hint.unwrap_or_else(|| panic!("no hint: {error:#}"));
        format!("{error:#}\n{hint}")
    })
}

#[test]
fn the_environment_overrides_the_file_key_by_key() {
    let file = "prefetch = 8\ntick_ms = 500\nallowed_private_ranges = ['10.0.0.0/8']\n\
                [drive]\nunreleased_s = 7\nredrive_s = 9\n";
    let config = load(
        file,
        &[
            ("CALLFERRY_PREFETCH", "16"),
            ("CALLFERRY_ALLOW_HTTP", "true"),
            (
                "CALLFERRY_ALLOWED_PRIVATE_RANGES",
                "127.0.0.0/8, ::1, 192.168.1.0/24",
            ),
            ("CALLFERRY_DRIVE_UNRELEASED_S", "3"),
            ("CALLFERRY_DATABASE_URL", "postgres://u:p,{w}@h/d"),
        ],
    )
    .unwrap();
    assert_eq!((config.prefetch, config.tick_ms), (16, 500));
    assert!(config.allow_http);
    assert_eq!((config.drive.unreleased_s, config.drive.redrive_s), (3, 9));
    let ranges = config.allowed_private_ranges.as_slice();
    let ranges: Vec<_> = ranges.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["127.0.0.0/8", "::1/128", "192.168.1.0/24"]);
    assert!(config.database_url().is_ok());
}

#[test]
fn a_key_that_is_unknown_or_has_an_impossible_value_is_refused_by_name() {
    for (file, names) in [
        ("prefetsch = 1", "`prefetsch`"),
        ("[drive]\nsoon_s = 1", "`soon_s`"),
        ("prefetch = 'many'", "`prefetch`"),
        ("prefetch = 0", "`prefetch`"),
        ("part_size_bytes = 1024", "`part_size_bytes`"),
        ("lease_s = 5", "`lease_s`"),
        ("log_format = 'xml'", "xml"),
        ("log_filter = 'info,=='", "`log_filter`"),
        ("allowed_private_ranges = ['all']", "`all`"),
        ("sts_endpoint = 'http://sts.example'", "sts_endpoint"),
        (
            "entra_authority = 'https://login.example/tenant'",
            "entra_authority",
        ),
        ("isolate_after = 0", "`isolate_after`"),
        ("[drive]\nleftover_age_s = 1", "`drive.leftover_age_s`"),
    ] {
        let error = load(file, &[]).unwrap_err();
        assert!(error.contains(names), "{file}: {error}");
    }
    for (name, value, says) in [
        ("CALLFERRY_TICK_MS", "soon", "must be a whole number"),
        (
            "CALLFERRY_DRIVE_GROWING_S",
            "1h",
            "CALLFERRY_DRIVE_GROWING_S: 60",
        ),
        ("CALLFERRY_ALLOW_HTTP", "yes", "must be `true` or `false`"),
        (
            "CALLFERRY_OPS_ADDR",
            "localhost:9464",
            "an IP address and port",
        ),
        (
            "CALLFERRY_STAGING_URL",
            "/srv/rec",
            "file:///srv/recordings",
        ),
        ("CALLFERRY_PREFETCH", "0", "at least 1"),
        ("CALLFERRY_PREFETCH", "70000", "`prefetch`"),
        ("CALLFERRY_LOG_FILTER", "info,==", "info,broker=debug"),
    ] {
        let error = load("", &[(name, value)]).unwrap_err();
        assert!(error.contains(says), "{name}={value}: {error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_refused_with_the_ways_to_name_one() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.toml");
    let error = Config::load(Some(&absent), &layers::Environment::new()).unwrap_err();
    assert!(error.to_string().contains("absent.toml"), "{error}");
    assert_eq!(crate::failure::exit_code(&error), 2);
    let hint = crate::failure::hint(&error).unwrap();
    assert!(hint.contains("CALLFERRY_CONFIG"), "{hint}");
}

#[test]
fn a_missing_place_is_named_with_both_ways_to_set_it() {
    let config = load("", &[]).unwrap();
    let error = config.amqp_url().unwrap_err();
    let hint = crate::failure::hint(&error).unwrap();
    assert!(hint.contains("CALLFERRY_AMQP_URL"), "{hint}");
    let here = load("staging_url = 'file:///var/spool/calls'", &[]).unwrap();
    let Staging::Folder(root) = here.staging().unwrap() else {
        panic!("no folder");
    };
    assert_eq!(root.to_str(), Some("/var/spool/calls"));
}

#[test]
fn no_secret_is_shown_debugged_or_repeated_by_an_error() {
    let urls = "amqp_url = 'amqp://guest:canary@h:5672/v'\n\
                database_url = 'postgres://u@h/d?password=canary'\n\
                amqp_management_url = 'host=h password=canary'\n";
    let config = load(urls, &[]).unwrap();
    let debugged = format!("{config:?}");
    assert!(!debugged.contains("canary"), "{debugged}");
    let shown = config.shown().to_string();
    assert!(!shown.contains("canary"), "{shown}");
    assert!(shown.contains("amqp://guest:***@h:5672/v"), "{shown}");
    for broken in [
        "amqp_url = 'amqp://guest:canary@h:5672/v",
        "amqp_ulr = 'amqp://guest:canary@h:5672/v'",
        "prefetch = 'amqp://guest:canary@h:5672/v'",
        "staging_url = 'amqp guest:canary'",
        "ops_addr = 'amqp://guest:canary@h:5672/v'",
    ] {
        let error = load(broken, &[]).unwrap_err();
        assert!(!error.contains("canary"), "{error}");
    }
}

#[test]
fn what_is_shown_names_exactly_the_keys_that_can_be_set() {
    let shown = Config::default().shown();
    let mut keys = BTreeSet::new();
    for (key, value) in shown.as_object().unwrap() {
        match value.as_object() {
            Some(table) => keys.extend(table.keys().map(|inner| format!("{key}_{inner}"))),
            None => drop(keys.insert(key.clone())),
        }
    }
    let names = keys
        .iter()
        .map(|key| format!("CALLFERRY_{}", key.to_uppercase()));
    let read: BTreeSet<_> = layers::names().collect();
    assert_eq!(names.collect::<BTreeSet<_>>(), read);
}

#[test]
fn every_example_in_deploy_config_is_a_valid_configuration() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config");
    let mut examples = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "toml") {
            let config = Config::load(Some(&path), &layers::Environment::new());
            let config = config.unwrap_or_else(|error| panic!("{}: {error:#}", path.display()));
            config.amqp_url().unwrap();
            config.database_url().unwrap();
            config.staging().unwrap();
            examples += 1;
        }
    }
    assert!(examples >= 3, "only {examples} examples in {folder}");
}

#[test]
fn the_reference_names_every_key_with_its_default() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/config/reference.toml"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let keys: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.trim_start_matches("# ").split_once(" = "))
        .map(|(key, _)| key.to_owned())
        .collect();
    for name in layers::names() {
        let key = name.replacen("CALLFERRY_", "", 1).to_lowercase();
        let key = key.strip_prefix("drive_").unwrap_or(&key);
        assert!(keys.contains(key), "{key} is not in reference.toml");
    }
    let read = Config::load(Some(path.as_ref()), &layers::Environment::new()).unwrap();
    let (mut read, mut default) = (read.shown(), Config::default().shown());
    for place in ["amqp_url", "database_url", "staging_url"] {
        read[place].take();
        default[place].take();
    }
    assert_eq!(read, default);
}

#[test]
fn variables_of_others_and_empty_ones_are_left_alone() {
    let config = load(
        "",
        &[
            ("CALLFERRY_PORT", "tcp://10.0.0.1:80"),
            ("CALLFERRY_SERVICE_HOST", "x"),
        ],
    );
    assert!(config.is_ok());
    assert!(
        environment()
            .keys()
            .all(|name| name.starts_with("CALLFERRY_"))
    );
}
