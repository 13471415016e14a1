#!/usr/bin/env bash
# secrets.sh FOLDER: makes every password that callferry needs, and the files that carry them.
#
#   FOLDER/broker/USER, FOLDER/database/USER   the passwords, one file each, made where missing
#   FOLDER/callferry-definitions.json          the broker's users, with hashes (rabbitmq/users.sh)
#   FOLDER/passwords.sql                       the database's users, to be run after roles.sql
#   FOLDER/ROLE.toml                           what a process may log in with: its CALLFERRY_CONFIG
#   FOLDER/pg_service.conf                     for psql as the owner: PGSERVICE=callferry
#   FOLDER/pg_superuser.conf                   the same as the superuser of compose's PostgreSQL
#   FOLDER/scaler-broker, scaler-database      for KEDA
#   FOLDER/superuser, grafana                  passwords of PostgreSQL's own superuser and of
#                                              Grafana's administrator
#   FOLDER/keyring                             the key that secrets of destinations are kept under
#                                              in the ledger, as `callferry keyring new` makes it;
#                                              keep a copy apart from the database's
#   FOLDER/aws-credentials                     empty, for you to fill where the platform's own AWS
#                                              identity is a key rather than a role
#   FOLDER/ROLE.aws-credentials                empty, for a key of one role's own, as staging in
#                                              a bucket wants it
#   FOLDER/jwt-keys                            empty, for you to fill with the public keys of whoever
#                                              issues the tokens of playback, if they are in a file
#
# Repeating it, as every upgrade does, keeps the passwords and writes the other files anew; delete
# a password to change it.
# It serves every shape of deployment; where servers are is told by the environment:
#
#   BROKER=rabbitmq:5672 BROKER_SCHEME=amqp BROKER_API=http://rabbitmq:15672
#   DATABASE=postgres:5432 DATABASE_NAME=callferry DATABASE_SSLMODE=disable
#
# FOLDER is closed to all but its owner. The files in it are not: mounted into a container one by
# one, they must be readable to whoever it runs as. The key ring is refused if others may read it,
# so it is given to the container's user (65532), where root runs this.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,32s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(dirname "$(realpath "$0")")
folder=$1
broker=${BROKER:-rabbitmq:5672}
scheme=${BROKER_SCHEME:-amqp}
api=${BROKER_API:-http://rabbitmq:15672}
database=${DATABASE:-postgres:5432}
name=${DATABASE_NAME:-callferry}
sslmode=${DATABASE_SSLMODE:-disable}
umask 077
mkdir -p "$folder/broker" "$folder/database"
chmod 700 "$folder"

# 32 random bytes in hexadecimal: nothing in it must be escaped, anywhere.
password() { # FILE
  [ -s "$1" ] || od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$1"
  cat "$1"
}
amqp() { # USER
  printf '%s://callferry-%s:%s@%s/callferry' "$scheme" "$1" \
    "$(password "$folder/broker/callferry-$1")" "$broker"
}
postgres() { # USER SSLMODE
  printf 'postgres://callferry_%s:%s@%s/%s?sslmode=%s' "$1" \
    "$(password "$folder/database/callferry_$1")" "$database" "$name" "$2"
}
# callferry verifies wherever it uses TLS; psql (from 16 on, by the system's authorities) and KEDA
# must be told to.
verified=$sslmode
[ "$sslmode" != require ] || verified=verify-full
management() { # USER
  printf '%s://callferry-%s:%s@%s' "${api%%://*}" "$1" \
    "$(password "$folder/broker/callferry-$1")" "${api#*://}"
}

for role in transfer cleanup housekeeping; do
  printf 'amqp_url = "%s"\ndatabase_url = "%s"\n' "$(amqp $role)" "$(postgres $role "$sslmode")" \
    >"$folder/$role.toml"
done
# Playback is told by nobody: what it has done goes through the ledger.
printf 'database_url = "%s"\n' "$(postgres playback "$sslmode")" >"$folder/playback.toml"
# Those who act for a person: the schema's owner, the command line, the topology, a recorder.
printf 'database_url = "%s"\n' "$(postgres owner "$sslmode")" >"$folder/owner.toml"
printf 'database_url = "%s"\n' "$(postgres operator "$sslmode")" >"$folder/operator.toml"
printf 'amqp_url = "%s"\namqp_management_url = "%s"\n' "$(amqp topology)" \
  "$(management topology)" >"$folder/topology.toml"
printf 'amqp_url = "%s"\n' "$(amqp recorder)" >"$folder/recorder.toml"

printf '%s/callferry' "$(management scaler)" >"$folder/scaler-broker"
postgres scaler "$verified" >"$folder/scaler-database"
service() { # USER PASSWORD
  printf '[callferry]\nhost=%s\nport=%s\ndbname=%s\nuser=%s\npassword=%s\nsslmode=%s\n' \
    "${database%:*}" "${database##*:}" "$name" "$1" "$2" "$verified"
  [ "$verified" != verify-full ] || echo sslrootcert=system
}
service callferry_owner "$(password "$folder/database/callferry_owner")" >"$folder/pg_service.conf"
service postgres "$(password "$folder/superuser")" >"$folder/pg_superuser.conf"
{
  echo '-- Not into the log of the server, which shows statements as they came.'
  echo 'set log_statement = none; set log_min_duration_statement = -1;'
  echo 'set log_min_error_statement = panic;'
  for user in owner transfer cleanup housekeeping playback operator scaler; do
    echo "alter role callferry_$user password '$(password "$folder/database/callferry_$user")';"
  done
} >"$folder/passwords.sql"
"$here/../rabbitmq/users.sh" "$folder/broker" >"$folder/callferry-definitions.json"
password "$folder/grafana" >/dev/null
touch "$folder/aws-credentials" "$folder/jwt-keys"
for role in transfer cleanup housekeeping playback operator setup; do
  touch "$folder/$role.aws-credentials"
done
if [ ! -s "$folder/keyring" ]; then
  id=k-$(od -An -N4 -tx1 /dev/urandom | tr -d ' \n')
  printf 'current = "%s"\n\n[keys]\n%s = "%s"\n' "$id" "$id" "$(head -c 32 /dev/urandom | base64)" \
    >"$folder/keyring"
fi
find "$folder" -maxdepth 1 -type f ! -name keyring -exec chmod 644 {} +
chmod 400 "$folder/keyring"
[ "$(id -u)" != 0 ] || chown "${CONTAINER_USER:-65532}" "$folder/keyring"
