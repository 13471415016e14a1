#!/usr/bin/env bash
# install.sh SECRETS [ROOT]: puts units, users, configuration and the binary in their places.
#
# SECRETS is the folder that compose/secrets.sh made. ROOT is put before every path, for a package
# or a look without consequences; without it systemd is told afterwards. Nothing is started.
set -euo pipefail
{ [ $# = 1 ] || [ $# = 2 ]; } && [ -d "$1" ] || { sed -n '2,5s/^# \{0,1\}//p' "$0" >&2; exit 2; }
secrets=$(realpath "$1")
root=${2:-}
cd "$(dirname "$(realpath "$0")")"
binary=${CALLFERRY_BINARY:-../../target/release/callferry}
[ -x "$binary" ] || { echo "install: no $binary: make build" >&2; exit 1; }
files=(transfer.toml cleanup.toml housekeeping.toml playback.toml owner.toml topology.toml
  operator.toml pg_service.conf keyring)
for file in "${files[@]}"; do # before anything is changed
  [ -r "$secrets/$file" ] || {
    echo "install: no $secrets/$file: run compose/secrets.sh again, as before the first start:" \
      "it makes what is new and keeps the passwords" >&2
    exit 1
  }
done

install -D -m 755 "$binary" "$root/usr/local/bin/callferry"
install -D -m 644 ../postgres/grants.sql "$root/usr/local/share/callferry/grants.sql"
install -D -m 644 callferry.sysusers "$root/usr/lib/sysusers.d/callferry.conf"
for unit in callferry.target callferry@.service callferry-setup.service; do
  install -D -m 644 "$unit" "$root/etc/systemd/system/$unit"
done
for role in transfer cleanup housekeeping playback; do
  install -D -m 644 "callferry@$role.service.d/role.conf" \
    "$root/etc/systemd/system/callferry@$role.service.d/role.conf"
done
# systemd reads them as root and hands each process its own; nobody else needs to.
install -d -m 700 "$root/etc/callferry"
for file in "${files[@]}"; do
  install -m 600 "$secrets/$file" "$root/etc/callferry/$file"
done
# What you fill, there or here: an empty file takes the place of none that is filled.
filled() { # NAME SOURCE...
  local name=$1 source
  shift
  for source in "$@"; do
    [ ! -s "$source" ] || { install -m 600 "$source" "$root/etc/callferry/$name"; return; }
  done
  [ -e "$root/etc/callferry/$name" ] || install -m 600 /dev/null "$root/etc/callferry/$name"
}
filled jwt-keys "$secrets/jwt-keys"
for role in transfer cleanup housekeeping playback operator setup; do
  filled "$role.aws-credentials" "$secrets/$role.aws-credentials" "$secrets/aws-credentials"
done
[ -e "$root/etc/callferry/callferry.env" ] \
  || install -m 644 callferry.env "$root/etc/callferry/callferry.env"
if [ -z "$root" ]; then
  systemd-sysusers
  install -d -m 2770 -g callferry-staging /srv/recordings
  systemctl daemon-reload
fi
echo "installed; next: systemctl start callferry-setup, then systemctl enable --now callferry.target" \
  "(after an upgrade: systemctl restart callferry.target)"
