#!/usr/bin/env bash
# users.sh FOLDER: definitions.json with passwords, on standard output.
#
# FOLDER holds one file for each user of definitions.json, named as the user, with the password in
# its first line. What is written has salted hashes (RabbitMQ's rabbit_password_hashing_sha256),
# not the passwords; keep it from curious eyes all the same. For `load_definitions` in
# rabbitmq.conf, or `rabbitmqctl import_definitions FILE`, which changes passwords of users that
# exist and breaks no connection.
set -euo pipefail
[ $# = 1 ] && [ -d "$1" ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1
definitions=$(dirname "$(realpath "$0")")/definitions.json
least=16 # characters: these are made by machines and typed by nobody

fail() { echo "users: $*" >&2; exit 1; }

# The salt's four bytes, then the digest of salt and password, in base64.
hash_of() { # PASSWORD
  local salt digest
  salt=$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
  digest=$({ bytes "$salt"; printf %s "$1"; } | sha256sum | cut -d' ' -f1)
  bytes "$salt$digest" | base64 -w0
}
bytes() { printf %b "$(sed 's/../\\x&/g' <<<"$1")"; } # HEXADECIMAL

text=$(<"$definitions")
users=$(sed -nE 's/.*"name": "([^"]+)", "password_hash": "".*/\1/p' <<<"$text")
[ -n "$users" ] || fail "no users in $definitions"
for user in $users; do
  [ -r "$folder/$user" ] || fail "$folder/$user is missing: it holds that user's password"
  IFS= read -r password <"$folder/$user" || [ -n "$password" ] || fail "$folder/$user is empty"
  [ ${#password} -ge $least ] || fail "the password in $folder/$user is shorter than $least"
  empty="\"name\": \"$user\", \"password_hash\": \"\""
  filled="\"name\": \"$user\", \"password_hash\": \"$(hash_of "$password")\""
  text=${text/"$empty"/"$filled"}
done
printf '%s\n' "$text"
