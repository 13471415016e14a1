//! The customer's side on Azure: the kit's script against a stand-in for `az` that knows when a
//! secret ends. Each account has a file of its own, a secret that is good is kept, and one that has
//! ended is not called good.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use callferry_tests::scratch::Scratch;
use tokio::process::Command;

use super::documents::must;
use super::setting::Setting;

/// Remembers each application's secrets in a file `CLIENT.secrets` (the secret, its end), and
/// understands of queries what the script asks.
const AZ: &str = r#"#!/bin/sh
cd "$(dirname "$0")" || exit 1
option() { # NAME ARGUMENT...
  name=$1
  while [ $# -gt 1 ]; do shift; [ "$1" != "$name" ] || { echo "$2"; return; }; done
}
id=$(option --id "$@")
case "$1 $2 $3" in
'storage account show') echo /subscriptions/s/resourceGroups/g/providers/m/storageAccounts/a ;;
'role definition create' | 'role definition list' | 'role assignment create') ;;
'ad app create') option --display-name "$@" | tr ' ' - ;;
'ad sp show') echo "object-of-$id" ;;
'account show --query') echo tenant ;;
'ad app credential')
  case $4 in
  list)
    query=$(option --query "$@")
    hint=${query#*hint==\'} && hint=${hint%%\'*}
    now=${query#*endDateTime>\'} && now=${now%%\'*}
    [ ! -e "$id.secrets" ] || while read -r secret ends; do
      case $secret in "$hint"*) ;; *) continue ;; esac
      [ "$(printf '%s\n' "$now" "$ends" | sort | tail -n 1)" = "$now" ] || echo "$ends"
    done <"$id.secrets"
    ;;
  reset)
    number=$(cat ./*.secrets 2>/dev/null | wc -l)
    echo "s$number-secret-of-$id 2999-01-01T00:00:00Z" >>"$id.secrets"
    echo "s$number-secret-of-$id"
    ;;
  *) exit 2 ;;
  esac
  ;;
*) echo "az (a stand-in) does not know: $*" >&2 && exit 2 ;;
esac
"#;

/// A folder with the stand-in, and the scripts of accounts, which are run in one folder.
struct Administrator {
    bin: PathBuf,
    folder: PathBuf,
}

impl Administrator {
    fn new(scratch: &Scratch) -> Result<Self> {
        let bin = scratch.folder("bin")?;
        let az = bin.join("az");
        fs::write(&az, AZ)?;
        fs::set_permissions(&az, fs::Permissions::from_mode(0o755))?;
        let folder = scratch.folder("administrator")?;
        Ok(Self { bin, folder })
    }

    async fn run(&self, script: &Path, own: &[(&str, &str)]) -> Result<String> {
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", self.bin.display());
        command.arg(script).current_dir(&self.folder);
        command.env("PATH", path).envs(own.iter().copied());
        must(&mut command).await
    }

    fn secret(&self, account: &str) -> Result<String> {
        let file = self
            .folder
            .join(format!("callferry-client-secret-{account}"));
        let mode = fs::metadata(&file)?.permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
        Ok(fs::read_to_string(&file)?.trim().to_owned())
    }

    /// Every secret of an account has ended.
    fn time_passes(&self, account: &str) -> Result<()> {
        let name = format!("callferry-recordings-of-{account}.secrets");
        let file = self.bin.join(name);
        let ended = fs::read_to_string(&file)?.replace("2999-", "2001-");
        fs::write(file, ended).context("the stand-in's memory")
    }
}

async fn script(setting: &Setting, account: &str) -> Result<PathBuf> {
    let folder = setting.platform.staging.with_file_name(account);
    let out = folder.display().to_string();
    let ask = ["setup-kit", account, "--format", "azure-cli"];
    let place = ["--storage-account", "recordings", "--container", account];
    let args = [&ask[..], &place, &["--out", &out]].concat();
    let kit = setting.platform.json(&args).await?;
    let next = kit["next"].to_string();
    let file = format!("--client-secret-file callferry-client-secret-{account}");
    assert!(next.contains(&file), "{next}");
    Ok(folder.join("create.sh"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_account_has_a_secret_of_its_own_that_is_kept_until_it_ends() -> Result<()> {
    let mut setting = Setting::new("kit-application").await?;
    let scratch = Scratch::new("kit-administrator")?;
    let administrator = Administrator::new(&scratch)?;
    setting.platform.plain_account("globex").await?;
    setting.platform.plain_account("initech").await?;
    let (globex, initech) = (
        script(&setting, "globex").await?,
        script(&setting, "initech").await?,
    );
    let told = administrator.run(&globex, &[]).await?;
    assert!(told.contains("callferry-client-secret-globex"), "{told}");
    administrator.run(&initech, &[]).await?;
    let first = administrator.secret("globex")?;
    let other = administrator.secret("initech")?;
    assert!(
        first.ends_with("of-globex") && other.ends_with("of-initech"),
        "{first} {other}"
    );
    // Run again, it changes nothing; asked for another, it makes one; one that ended is no secret.
    administrator.run(&globex, &[]).await?;
    assert_eq!(administrator.secret("globex")?, first);
    administrator.run(&globex, &[("RENEW", "1")]).await?;
    let second = administrator.secret("globex")?;
    assert_ne!(second, first);
    administrator.run(&globex, &[]).await?;
    assert_eq!(administrator.secret("globex")?, second);
    administrator.time_passes("globex")?;
    administrator.run(&globex, &[]).await?;
    assert_ne!(administrator.secret("globex")?, second);
    assert_eq!(administrator.secret("initech")?, other);
    Ok(())
}
