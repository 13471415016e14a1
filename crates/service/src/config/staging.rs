//! Where staging is: a folder of this machine, or a bucket and who we are there.

use std::path::{Path, PathBuf};

use anyhow::Result;
use recording::{AzureIdentity, Secret};
use storage::{StagingPlace, StagingStore};
use url::Url;

use super::{Config, examples, missing};
use crate::cli::read_secret_word;
use crate::endpoint;
use crate::failure::Failure;

/// Where staging is.
#[derive(Debug, Clone)]
pub(crate) enum Staging {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    Bucket(StagingPlace),
}

/// The keys that say more about a bucket of S3.
const OF_S3: [&str; 1] = ["staging_region"];
/// The keys that say who we are to a container of Azure.
const OF_AZURE: [&str; 5] = [
    "staging_azure_access_key_file",
    "staging_azure_sas_token_file",
    "staging_azure_tenant_id",
    "staging_azure_client_id",
    "staging_azure_client_secret_file",
];

impl Config {
    /// Where staging is. Reads the file with the secret of a container.
    pub(crate) fn staging(&self) -> Result<Staging> {
        let url = self.staging_url.as_ref();
        let url = url.ok_or_else(|| missing("staging_url"))?;
        match url.scheme() {
            "file" => {
                self.nothing_set_of(&OF_S3, "file")?;
                self.nothing_set_of(&OF_AZURE, "file")?;
                folder(url).map(Staging::Folder)
            }
            "s3" => {
                self.nothing_set_of(&OF_AZURE, "s3")?;
                self.s3_staging(url).map(Staging::Bucket)
            }
            "az" => {
                self.nothing_set_of(&OF_S3, "az")?;
                self.azure_staging(url).map(Staging::Bucket)
            }
            other => Err(unusable(&format!(
                "is `{other}://…`, which staging cannot be: it is file, s3 or az"
            ))),
        }
    }

    fn s3_staging(&self, url: &Url) -> Result<StagingPlace> {
        let bucket = host(url)?;
        let region = self.staging_region.as_ref();
        let region = region.ok_or_else(|| missing("staging_region"))?;
        let origin = |url| endpoint::plain_origin("`staging_endpoint`", url, self.allow_http);
        Ok(StagingPlace {
            store: StagingStore::S3 {
                bucket: bucket.to_owned(),
                region: region.clone(),
                endpoint: self.staging_endpoint.as_ref().map(origin).transpose()?,
            },
            prefix: prefix(path(url))?,
        })
    }

    fn azure_staging(&self, url: &Url) -> Result<StagingPlace> {
        let storage_account = host(url)?.to_owned();
        let (container, below) = path(url).split_once('/').unwrap_or((path(url), ""));
        if container.is_empty() {
            return Err(unusable("names a storage account and no container in it"));
        }
        let service = |url| {
            endpoint::operators_blob_service(
                "`staging_endpoint`",
                url,
                &storage_account,
                self.allow_http,
            )
        };
        let endpoint = self.staging_endpoint.as_ref().map(service).transpose()?;
        Ok(StagingPlace {
            store: StagingStore::Azure {
                container: container.to_owned(),
                endpoint: endpoint.flatten(),
                identity: self.azure_identity()?,
                storage_account,
            },
            prefix: prefix(below)?,
        })
    }

    fn azure_identity(&self) -> Result<AzureIdentity> {
        let secret =
            |key: &str, file: &Path| read_secret_word(&format!("`{key}`"), file).map(Secret::from);
        let refuse = |why: &str| {
            Failure::usage(why).hint(
                "one of: staging_azure_tenant_id with staging_azure_client_id and \
                 staging_azure_client_secret_file; staging_azure_sas_token_file; \
                 staging_azure_access_key_file",
            )
        };
        let application = (
            &self.staging_azure_tenant_id,
            &self.staging_azure_client_id,
            &self.staging_azure_client_secret_file,
        );
        let (key, sas) = (
            &self.staging_azure_access_key_file,
            &self.staging_azure_sas_token_file,
        );
        match (key, sas, application) {
            (Some(file), None, (None, None, None)) => Ok(AzureIdentity::AccessKey {
                access_key: secret("staging_azure_access_key_file", file)?,
            }),
            (None, Some(file), (None, None, None)) => {
                let token = secret("staging_azure_sas_token_file", file)?;
                Ok(AzureIdentity::Sas {
                    sas_token: without_mark(token)?,
                })
            }
            (None, None, (Some(tenant_id), Some(client_id), Some(file))) => {
                Ok(AzureIdentity::ServicePrincipal {
                    tenant_id: tenant_id.clone(),
                    client_id: client_id.clone(),
                    client_secret: secret("staging_azure_client_secret_file", file)?,
                })
            }
            (None, None, (None, None, None)) => {
                Err(refuse("staging in Azure needs an identity, and none is configured").into())
            }
            _ => Err(refuse("staging in Azure needs one identity, whole").into()),
        }
    }

    /// A key that says nothing about this kind of staging was meant for another one.
    fn nothing_set_of(&self, keys: &[&str], scheme: &str) -> Result<()> {
        let shown = self.shown_staging();
        let is_set = |key: &&&str| shown.get(**key).is_some_and(|value| !value.is_null());
        match keys.iter().find(is_set) {
            None => Ok(()),
            Some(key) => {
                let message = format!("`{key}` says nothing about staging at `{scheme}://…`");
                Err(Failure::usage(message)
                    .hint(format!("unset it, or {}", examples::hint("staging_url")))
                    .into())
            }
        }
    }
}

fn folder(url: &Url) -> Result<PathBuf> {
    url.to_file_path().map_err(|()| {
        Failure::usage("`staging_url` is not the path of a folder on this machine")
            .hint("write it with three slashes: file:///var/spool/calls")
            .into()
    })
}

/// What comes first in the URL of a bucket, which has nothing in it but names.
fn host(url: &Url) -> Result<&str> {
    if !url.username().is_empty() || url.password().is_some() || url.port().is_some() {
        return Err(unusable("must not carry a user, password or port"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unusable(
            "must not have a query or fragment: region and endpoint are keys of their own, \
             staging_region and staging_endpoint",
        ));
    }
    match url.host_str() {
        Some(host) if !host.is_empty() => Ok(host),
        Some(_) | None => Err(unusable("names no bucket")),
    }
}

fn path(url: &Url) -> &str {
    url.path().trim_matches('/')
}

/// The words that lead every key.
fn prefix(words: &str) -> Result<String> {
    let plain = |word: &str| {
        let characters = |b: u8| b.is_ascii_alphanumeric() || b"._-~=+@".contains(&b);
        !word.is_empty() && !word.starts_with('.') && word.bytes().all(characters)
    };
    if words.is_empty() || words.split('/').all(plain) {
        return Ok(words.to_owned());
    }
    Err(unusable(
        "has a prefix of other characters than letters, digits and ._-~=+@, or with an empty or \
         hidden word",
    ))
}

/// The portal shows a signature with the question mark that would lead it in a URL.
fn without_mark(token: Secret) -> Result<Secret> {
    let text = token
        .reveal()
        .map_err(|locked| Failure::failed(locked.to_string()).hint("this is a defect"))?;
    Ok(match text.strip_prefix('?') {
        Some(rest) => Secret::new(rest.to_owned()),
        None => token,
    })
}

fn unusable(why: &str) -> anyhow::Error {
    Failure::usage(format!("`staging_url` {why}"))
        .hint(examples::hint("staging_url"))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> Config {
        Config {
            staging_url: Some(url.parse().unwrap()),
            staging_region: url.starts_with("s3:").then(|| "eu-central-1".to_owned()),
            ..Config::default()
        }
    }

    fn place(config: &Config) -> StagingPlace {
        match config.staging().unwrap() {
            Staging::Bucket(place) => place,
            Staging::Folder(root) => panic!("{}", root.display()),
        }
    }

    fn refused(config: &Config) -> String {
        let error = config.staging().unwrap_err();
        assert_eq!(crate::failure::exit_code(&error), 2, "{error:#}");
        let hint = crate::failure::hint(&error);
        let hint = hint.unwrap_or_else(|| panic!("no hint: {error:#}"));
        format!("{error:#}\n{hint}")
    }

    #[test]
    fn a_bucket_is_read_with_its_prefix_region_and_endpoint() {
        let mut config = config("s3://calls.example/in/box");
        config.staging_endpoint = Some("https://minio.internal:9000".parse().unwrap());
        let StagingPlace { store, prefix } = place(&config);
        let StagingStore::S3 {
            bucket, endpoint, ..
        } = store
        else {
            panic!("{store:?}");
        };
        assert_eq!(
            (bucket.as_str(), prefix.as_str()),
            ("calls.example", "in/box")
        );
        assert_eq!(endpoint.as_deref(), Some("https://minio.internal:9000"));
        for whole in ["s3://calls", "s3://calls/"] {
            assert_eq!(place(&self::config(whole)).prefix, "", "{whole}");
        }
    }

    #[test]
    fn a_container_is_read_with_one_identity_out_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "?sv=1&sig=x\n").unwrap();
        let mut config = config("az://acmecalls/staging/in");
        assert!(refused(&config).contains("needs an identity"));
        config.staging_azure_sas_token_file = Some(file.clone());
        let StagingPlace { store, prefix } = place(&config);
        let StagingStore::Azure {
            identity: AzureIdentity::Sas { sas_token },
            container,
            ..
        } = store
        else {
            panic!("{store:?}");
        };
        assert_eq!(sas_token.reveal(), Ok("sv=1&sig=x"));
        assert_eq!((container.as_str(), prefix.as_str()), ("staging", "in"));
        config.staging_azure_access_key_file = Some(file.clone());
        assert!(refused(&config).contains("one identity, whole"));
        config.staging_azure_sas_token_file = None;
        let StagingStore::Azure { identity, .. } = place(&config).store else {
            panic!("no container");
        };
        assert!(matches!(identity, AzureIdentity::AccessKey { .. }));
        config.staging_azure_access_key_file = None;
        config.staging_azure_tenant_id = Some("t".to_owned());
        assert!(refused(&config).contains("one identity, whole"));
        config.staging_azure_client_id = Some("c".to_owned());
        config.staging_azure_client_secret_file = Some(folder.path().join("absent"));
        assert!(refused(&config).contains("staging_azure_client_secret_file"));
    }

    #[test]
    fn what_is_no_place_is_refused_and_says_what_one_looks_like() {
        for (url, says) in [
            ("ftp://calls/in", "file, s3 or az"),
            ("s3://calls?region=x", "staging_region"),
            ("s3://user@calls/in", "a user"),
            ("s3://calls/a%20b", "characters"),
            ("s3://calls/.callferry", "hidden"),
            ("s3://calls/a//b", "empty"),
            ("az://acmecalls", "no container"),
            ("file://host/spool", "three slashes"),
        ] {
            let said = refused(&config(url));
            assert!(said.contains(says), "{url}: {said}");
        }
        let mut without = config("s3://calls");
        without.staging_region = None;
        assert!(refused(&without).contains("CALLFERRY_STAGING_REGION"));
        let mut mixed = config("file:///srv/recordings");
        mixed.staging_region = Some("eu-central-1".to_owned());
        assert!(refused(&mixed).contains("`staging_region` says nothing"));
        let mut plain = config("s3://calls");
        plain.staging_endpoint = Some("http://127.0.0.1:9".parse().unwrap());
        assert!(refused(&plain).contains("must be https"));
        plain.allow_http = true;
        assert_eq!(place(&plain).prefix, "");
    }
}
