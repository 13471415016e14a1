#!/usr/bin/env bash
# install.sh WHAT: gets what is missing on a Debian or Ubuntu machine, and nothing else.
#
#   build   a C compiler, for the cryptography
#   lint    build + rustfmt and clippy, by rustup
#   test    lint + RabbitMQ, PostgreSQL, curl, moto (an S3 and STS emulator in Python), Azurite,
#           Prometheus, Grafana's types, a browser
#   demo    build + RabbitMQ, PostgreSQL, curl, real telephone audio, Azurite
#   moto    only moto, into .local/tools
#   audio   only the audio, into .local/audio
#   azurite only Azurite (an emulator of Azure Blob storage), into .local/tools
#   prometheus       only Prometheus and Alertmanager
#   dashboard-types  only Grafana's types, into .local/tools
#   kit     what set-up kits are judged by, and the AWS command line, into .local/tools
#   lab     demo without the audio + the AWS command line
#   schemathesis     only what makes requests from the OpenAPI document, into .local/tools
#   manifests        only the schemas that the manifests of deploy/ are validated with
#   dashboard        prometheus + Grafana's panels and a browser that draws them
#   player           only a browser that listens on the player page, and what drives it
#
# Quick when everything is there. Starts no service and makes no database cluster: tests and demo
# start private servers of their own. But Debian's packages enable their units, so that a machine
# with systemd starts RabbitMQ at its next boot unless told otherwise (it is said when it happens).
set -euo pipefail
script=$(realpath "$0")
cd "$(dirname "$script")/../.."
local_dir=$PWD/.local
mkdir -p "$local_dir"

say() { echo "install: $*"; }
fail() { echo "install: $*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo -- "$@"
  else fail "needs root for: $* (neither root nor sudo here)"; fi
}

exec 9>"$local_dir/install.lock"
flock 9 # only one at a time: several tests may find moto missing at the same moment

have_postgres() {
  [ -x "$(pg_config --bindir 2>/dev/null)/initdb" ] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

have_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }

apt_wait=(-o DPkg::Lock::Timeout=300) # a fresh machine may be busy with its own upgrades
apt_updated=
apt_update() {
  [ -n "$apt_updated" ] && return 0
  command -v apt-get >/dev/null || fail "no apt-get here; install by hand: $*"
  say "package lists"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q "${apt_wait[@]}" \
    >"$local_dir/apt.log" 2>&1 \
    || { tail -5 "$local_dir/apt.log" >&2; fail "apt-get update failed, still missing: $*"; }
  apt_updated=yes
}

# Files that keep the packages' own scripts from starting services or making a cluster. Ours are
# taken away again; what the machine has of its own stays as it is.
quiet_files=()
hush() { # PATH MODE TEXT
  [ -e "$1" ] && return 0
  quiet_files+=("$1")
  as_root install -D -m "$2" /dev/stdin "$1" <<<"$3"
}
unhush() {
  for file in "${quiet_files[@]}"; do as_root rm -f "$file"; done
  quiet_files=()
}
trap unhush EXIT

apt_install() {
  [ $# -gt 0 ] || return 0
  apt_update "$@"
  say "apt-get install $*"
  hush /usr/sbin/policy-rc.d 755 $'#!/bin/sh\nexit 101'
  hush /etc/postgresql-common/createcluster.d/callferry.conf 644 'create_main_cluster = false'
  # needrestart only lists: which services of this machine restart is not ours to decide.
  as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l \
    apt-get install -q -y --no-install-recommends "${apt_wait[@]}" \
    -o Dpkg::Options::=--force-confold "$@" >>"$local_dir/apt.log" 2>&1 </dev/null \
    || { tail -15 "$local_dir/apt.log" >&2; fail "apt-get install failed: $*"; }
  unhush
  if [[ " $* " =~ \ (rabbitmq-server|postgresql)\  ]] && [ -d /run/systemd/system ]; then
    say "note: not started now, but Debian enables the packages' units for the next boot;" \
      "if that is not wanted: systemctl disable rabbitmq-server postgresql"
  fi
}

missing=()
want_build() {
  command -v cargo >/dev/null || fail "no Rust toolchain (cargo) on PATH"
  command -v cc >/dev/null || missing+=(gcc)
  [ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
}
want_lints() {
  local tool absent=()
  for tool in fmt clippy; do cargo "$tool" --version >/dev/null 2>&1 || absent+=("$tool"); done
  [ ${#absent[@]} -gt 0 ] || return 0
  if command -v rustup >/dev/null; then
    say "rustup component add rustfmt clippy"
    rustup component add rustfmt clippy && return 0
  fi
  say "WARNING: no cargo ${absent[*]} here, nor by rustup: the lints WILL FAIL" >&2
}
want_servers() {
  [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || missing+=(rabbitmq-server)
  have_postgres || missing+=(postgresql)
  command -v psql >/dev/null || missing+=(postgresql-client)
  command -v setpriv >/dev/null || missing+=(util-linux)
  command -v curl >/dev/null || missing+=(curl) # the client that checks ours
}

get_moto() {
  [ -x "$local_dir/tools/moto/bin/moto_server" ] && return 0
  say "moto, into .local/tools/moto"
  python3 -m venv "$local_dir/tools/moto" && "$local_dir/tools/moto/bin/pip" install -q \
    --disable-pip-version-check 'moto[server]==5.2.5' \
    || { rm -rf "$local_dir/tools/moto"; return 1; } # a half-made one must not look whole
}

# Downloaded and unpacked rather than installed: the packages would bring a telephone exchange.
get_audio() {
  [ -e "$local_dir/audio/complete" ] && return 0
  command -v dpkg-deb >/dev/null || fail "no dpkg-deb here to unpack the audio"
  local names=(asterisk-core-sounds-en-{wav,g722,gsm}) work=$local_dir/audio.new
  say "audio, into .local/audio"
  rm -rf "$work" && mkdir -p "$work"
  download() { (cd "$work" && apt-get download -q "${names[@]}" >"$local_dir/apt.log" 2>&1); }
  download || { apt_update "${names[@]}"; download; } || fail "the audio cannot be downloaded"
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/tree"; done
  rm -rf "$local_dir/audio" && mv "$work/tree/usr/share/asterisk/sounds" "$local_dir/audio"
  rm -rf "$work" && touch "$local_dir/audio/complete"
}

# Prometheus with promtool, and Alertmanager with amtool: what the dashboard and the alerts are
# tested with. Debian enables both units; neither is started now (see hush).
install_prometheus() {
  local absent=()
  { command -v prometheus && command -v promtool; } >/dev/null || absent+=(prometheus)
  { command -v prometheus-alertmanager && command -v amtool; } >/dev/null \
    || absent+=(prometheus-alertmanager)
  [ ${#absent[@]} -gt 0 ] || return 0
  apt_install "${absent[@]}"
  if [ -d /run/systemd/system ]; then
    say "note: not started now, but Debian enables the packages' units for the next boot;" \
      "if that is not wanted: systemctl disable ${absent[*]}"
  fi
}

# What the dashboard is checked and drawn with, exactly as locked, into .local.
install_dashboards_tools() { # types | render
  local from=tests/tools/grafana/$1 to=$local_dir/tools/grafana-$1 absent=()
  { command -v node && command -v npm; } >/dev/null || absent+=(nodejs npm)
  if [ "$1" = render ]; then
    command -v chromium >/dev/null || absent+=(chromium)
    # Grafana is set in Inter, which its libraries do not bring.
    compgen -G "/usr/share/fonts/*/inter/*" >/dev/null || absent+=(fonts-inter)
  fi
  [ ${#absent[@]} -eq 0 ] || apt_install "${absent[@]}"
  if ! cmp -s "$from/package-lock.json" "$to/complete"; then
    say "Grafana's libraries to $1 with, into .local/tools/grafana-$1"
    rm -rf "$to" && mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to/"
    (cd "$to" && npm ci --no-progress >"$local_dir/npm.log" 2>&1) \
      || { tail -5 "$local_dir/npm.log" >&2; rm -rf "$to"; return 1; }
    cp "$from/package-lock.json" "$to/complete"
  fi
  ln -sfn "$to/node_modules" "$from/node_modules" # where the programs look for their libraries
}

# A browser, and what drives it through the player page, exactly as locked, into .local/tools.
install_player_tools() {
  local from=tests/tools/player to=$local_dir/tools/player absent=()
  { command -v node && command -v npm; } >/dev/null || absent+=(nodejs npm)
  command -v chromium >/dev/null || absent+=(chromium)
  [ ${#absent[@]} -eq 0 ] || apt_install "${absent[@]}"
  if ! cmp -s "$from/package-lock.json" "$to/complete"; then
    say "what drives a browser, into .local/tools/player"
    rm -rf "$to" && mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to/"
    (cd "$to" && npm ci --no-progress >"$local_dir/npm.log" 2>&1) \
      || { tail -5 "$local_dir/npm.log" >&2; rm -rf "$to"; return 1; }
    cp "$from/package-lock.json" "$to/complete"
  fi
  ln -sfn "$to/node_modules" "$from/node_modules" # where the program looks for its libraries
}

# What the manifests of deploy/ are validated with: the schemas of Kubernetes, of compose files, of
# KEDA and of the Prometheus operator, all inside of the packages. Into .local/tools.
install_manifest_tools() {
  local venv=$local_dir/tools/manifests from=tests/tools/deployment absent=()
  local to=$local_dir/tools/deployment wanted=(kubernetes-validate==1.37.0 check-jsonschema==0.39.0)
  have_venv || absent+=(python3 python3-venv)
  { command -v node && command -v npm; } >/dev/null || absent+=(nodejs npm)
  [ ${#absent[@]} -eq 0 ] || apt_install "${absent[@]}"
  if [ "$(cat "$venv/complete" 2>/dev/null)" != "${wanted[*]}" ]; then
    say "schemas of Kubernetes and compose files, into .local/tools/manifests"
    rm -rf "$venv"
    python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check \
      "${wanted[@]}" || { rm -rf "$venv"; return 1; }
    echo "${wanted[*]}" >"$venv/complete"
  fi
  if ! cmp -s "$from/package-lock.json" "$to/complete"; then
    say "schemas of KEDA and the Prometheus operator, into .local/tools/deployment"
    rm -rf "$to" && mkdir -p "$to"
    cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to/"
    (cd "$to" && npm ci --no-progress >"$local_dir/npm.log" 2>&1) \
      || { tail -5 "$local_dir/npm.log" >&2; rm -rf "$to"; return 1; }
    cp "$from/package-lock.json" "$to/complete"
  fi
  ln -sfn "$to/node_modules" "$from/node_modules" # where the program looks for its libraries
}

# Microsoft's emulator of Azure Blob storage, exactly as locked, into .local/tools. It asks for a
# newer Node than Debian's and runs on it all the same.
install_azurite() {
  local from=tests/tools/azurite to=$local_dir/tools/azurite absent=()
  { command -v node && command -v npm; } >/dev/null || absent+=(nodejs npm)
  [ ${#absent[@]} -eq 0 ] || apt_install "${absent[@]}"
  cmp -s "$from/package-lock.json" "$to/complete" && return 0
  say "Azurite, into .local/tools/azurite"
  rm -rf "$to" && mkdir -p "$to"
  cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to/"
  (cd "$to" && npm ci --no-progress >"$local_dir/npm.log" 2>&1) \
    || { tail -5 "$local_dir/npm.log" >&2; rm -rf "$to"; return 1; }
  cp "$from/package-lock.json" "$to/complete"
}

# What the set-up kit is judged by: linters of CloudFormation and shell scripts, readers of Terraform
# and Bicep; and the AWS command line, which customers run it with. Two places: their libraries
# do not agree.
install_kit_tools() {
  local absent=() wanted=(cfn-lint==1.58.0 python-hcl2==8.1.4 pycep-parser==0.7.1)
  have_venv || absent+=(python3 python3-venv)
  command -v shellcheck >/dev/null || absent+=(shellcheck)
  [ ${#absent[@]} -eq 0 ] || apt_install "${absent[@]}"
  python_tools kit "${wanted[@]}"
}
install_aws() {
  have_venv || apt_install python3 python3-venv
  python_tools aws awscli==1.46.2
}
# What makes up requests from the OpenAPI document, into .local/tools.
install_schemathesis() {
  have_venv || apt_install python3 python3-venv
  python_tools schemathesis schemathesis==4.32.5
}
python_tools() { # NAME REQUIREMENT…
  local venv=$local_dir/tools/$1
  shift
  [ "$(cat "$venv/complete" 2>/dev/null)" = "$*" ] && return 0
  say "$*, into $venv"
  rm -rf "$venv"
  python3 -m venv "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "$@" \
    || { rm -rf "$venv"; return 1; } # a half-made one must not look whole
  echo "$*" >"$venv/complete"
}

case ${1:-} in
build) want_build; apt_install "${missing[@]}" ;;
lint) want_build; apt_install "${missing[@]}"; want_lints ;;
test)
  want_build; want_servers
  have_venv || missing+=(python3 python3-venv)
  apt_install "${missing[@]}"
  want_lints
  get_moto || say "WARNING: moto could not be installed; its tests will be skipped"
  (trap unhush EXIT; install_azurite) \
    || say "WARNING: Azurite could not be installed; the tests with it will be skipped"
  (trap unhush EXIT; install_prometheus) \
    || say "WARNING: no Prometheus; the tests of dashboard and alerts will be skipped"
  (trap unhush EXIT; install_dashboards_tools types) \
    || say "WARNING: no types of Grafana; the test with them will be skipped"
  (trap unhush EXIT; install_manifest_tools) \
    || say "WARNING: no schemas of Kubernetes and others; manifests will not be validated"
  (trap unhush EXIT; install_kit_tools) \
    || say "WARNING: no linters for set-up kits; their documents will not be judged"
  (trap unhush EXIT; install_aws) \
    || say "WARNING: no AWS command line; what customers run with it will be skipped"
  (trap unhush EXIT; install_schemathesis) \
    || say "WARNING: no schemathesis; the HTTP interface will not be fuzzed"
  (trap unhush EXIT; install_player_tools) \
    || say "WARNING: no browser; nobody will listen on the player page" ;;
demo)
  want_build; want_servers; apt_install "${missing[@]}"; get_audio
  (trap unhush EXIT; install_azurite) \
    || say "WARNING: Azurite could not be installed; the demo goes without Azure" ;;
prometheus) install_prometheus ;;
dashboard-types) install_dashboards_tools types ;;
dashboard) install_prometheus; install_dashboards_tools render ;;
manifests) install_manifest_tools ;;
kit) install_kit_tools; install_aws ;;
lab)
  want_build; want_servers; apt_install "${missing[@]}"
  (trap unhush EXIT; install_azurite) \
    || say "WARNING: Azurite could not be installed; the laboratory goes without Azure"
  (trap unhush EXIT; install_aws) \
    || say "WARNING: no AWS command line could be installed: bring your own" ;;
schemathesis) install_schemathesis ;;
player) install_player_tools ;;
azurite) install_azurite ;;
moto) have_venv || apt_install python3 python3-venv; get_moto ;;
audio) get_audio ;;
*) sed -n '2,24s/^# \{0,1\}//p' "$script"; exit 2 ;;
esac
