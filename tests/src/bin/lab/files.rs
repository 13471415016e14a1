//! What the laboratory writes: variables for a shell, profiles for the AWS command line, and the
//! two command lines themselves, first on `PATH`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use callferry_tests::environment;
use callferry_tests::ports::free_port;

use super::{ADMINISTRATOR, Laboratory, OURS, STORAGE, TENANT};

const REGION: &str = "eu-central-1";

/// Writes everything; returns the file that a shell reads.
pub(crate) fn write(dir: &Path, laboratory: &Laboratory) -> Result<PathBuf> {
    let bin = dir.join("bin");
    fs::create_dir_all(&bin)?;
    fs::create_dir_all(dir.join("staging"))?;
    program(&bin.join("aws"), &aws())?;
    program(&bin.join("az"), &az(laboratory))?;
    fs::write(dir.join("aws-config"), aws_config(laboratory))?;
    let own = std::env::current_exe().context("asking for this program's path")?;
    let built = own.parent().context("this program is in no folder")?;
    let path = format!("{}:{}:$PATH", bin.display(), built.display());
    let mut text = String::from("# The laboratory's servers, while `lab` runs.\n");
    text.push_str(&format!("export PATH=\"{path}\"\n"));
    for (name, value) in variables(dir, laboratory)? {
        text.push_str(&format!("export {name}='{value}'\n"));
    }
    let file = dir.join("environment");
    // Whole or not at all: somebody may wait for it.
    let unfinished = dir.join("environment.new");
    fs::write(&unfinished, text)?;
    fs::rename(&unfinished, &file)?;
    Ok(file)
}

fn program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

type Variables = Vec<(&'static str, String)>;

fn variables(dir: &Path, laboratory: &Laboratory) -> Result<Variables> {
    let within = |name: &str| dir.join(name).display().to_string();
    let Laboratory { rabbit, s3, .. } = laboratory;
    let mut variables = vec![
        ("CALLFERRY_AMQP_URL", rabbit.amqp_url()),
        (
            "CALLFERRY_AMQP_MANAGEMENT_URL",
            rabbit.management().url_with_credentials()?,
        ),
        ("CALLFERRY_DATABASE_URL", laboratory.database_url.clone()),
        (
            "CALLFERRY_STAGING_URL",
            format!("file://{}", within("staging")),
        ),
        ("CALLFERRY_KEYRING_FILE", within("keyring")),
        ("CALLFERRY_STS_ENDPOINT", s3.endpoint()),
        ("CALLFERRY_ALLOW_HTTP", "true".to_owned()),
        ("CALLFERRY_ALLOWED_PRIVATE_RANGES", "127.0.0.0/8".to_owned()),
        ("CALLFERRY_OPS_ADDR", format!("127.0.0.1:{}", free_port()?)),
        ("AWS_CONFIG_FILE", within("aws-config")),
        ("AWS_SHARED_CREDENTIALS_FILE", within("aws-none")),
        ("AWS_PROFILE", "callferry".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("STAGING", within("staging")),
        ("S3_ENDPOINT", s3.endpoint()),
    ];
    if let Some(azure) = &laboratory.azure {
        let ca = azure.azurite.ca_file().context("Azurite speaks no TLS")?;
        variables.extend([
            ("CALLFERRY_ENTRA_AUTHORITY", azure.entra.authority()),
            ("CALLFERRY_EXTRA_CA_FILE", ca.display().to_string()),
            ("BLOB_ENDPOINT", azure.azurite.endpoint(STORAGE.0)),
            ("TENANT_ID", TENANT.to_owned()),
            ("CLIENT_ID", azure.client_id.clone()),
        ]);
    }
    Ok(variables)
}

/// Two profiles: who runs the fleet, and the customer's administrator.
fn aws_config(laboratory: &Laboratory) -> String {
    let endpoint = laboratory.s3.endpoint();
    let profile = |name: &str, (id, secret): (&str, &str)| {
        format!(
            "[profile {name}]\nregion = {REGION}\nendpoint_url = {endpoint}\n\
             aws_access_key_id = {id}\naws_secret_access_key = {secret}\n\n"
        )
    };
    profile("callferry", OURS) + &profile("customer", ADMINISTRATOR)
}

/// The real command line, where it is installed.
fn aws() -> String {
    let tool = environment::local().join("tools/aws/bin/aws");
    let tool = tool.display();
    format!(
        "#!/bin/sh\n\
         [ -x '{tool}' ] || {{ echo 'first: deploy/local/install.sh kit' >&2; exit 1; }}\n\
         exec '{tool}' \"$@\"\n"
    )
}

/// A stand-in for Azure's: Azurite knows neither directories nor roles, so that the application and
/// the container are there from the beginning, and it only answers as if it had made them.
fn az(laboratory: &Laboratory) -> String {
    let Some(azure) = &laboratory.azure else {
        return "#!/bin/sh\necho 'az: no Azurite here' >&2\nexit 1\n".to_owned();
    };
    let (client, secret, account) = (&azure.client_id, &azure.client_secret, STORAGE.0);
    format!(
        "#!/bin/sh
# Stands in for Azure's command line: Azurite knows no directories and no roles. The application and
# the container are there from the beginning. What it does not know it refuses.
echo \"az (a stand-in): $1 $2 $3\" >&2
group=/subscriptions/laboratory/resourceGroups/laboratory
case \"$1 $2 $3\" in
'storage account show') echo \"$group/providers/Microsoft.Storage/storageAccounts/{account}\" ;;
'storage container-rm create' | 'role definition create' | 'role definition list') ;;
'role assignment create' | 'ad sp create') ;;
'ad app create') echo {client} ;;
'ad app credential') [ \"$4\" = list ] || echo {secret} ;;
'ad sp show') echo 22223333-bbbb-4444-cccc-5555dddd6666 ;;
'account show --query') echo {TENANT} ;;
*) echo \"az (a stand-in) does not know: $*\" >&2; exit 2 ;;
esac
"
    )
}
