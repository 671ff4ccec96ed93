#!/usr/bin/env bash
# Lets clients reach the service from outside, and nobody its database and its broker.
set -euo pipefail

show_help() {
    cat <<END
usage: deploy/firewall.sh [--port PORT] [--dry-run] [--help]

Tells ufw to let connections in to PORT (8003; 443 behind a proxy on this machine) and to refuse those to PostgreSQL (5432)
and Redis (6379). It does not turn ufw on: let ssh in first (ufw allow OpenSSH), then run ufw enable.
  --dry-run   print the commands, and do nothing
END
}

refuse() {
    echo "firewall.sh: $*, see --help" >&2
    exit 2
}

port=8003 run=()
while (($#)); do
    case $1 in
    --port) [[ ${2-} =~ ^[1-9][0-9]{0,4}$ && $2 -le 65535 ]] || refuse "--port takes a number from 1 to 65535"
        port=$2 && shift ;;
    --dry-run) run=(echo) ;;
    --help) show_help && exit ;;
    *) refuse "unknown argument '$1'" ;;
    esac
    shift
done
[[ ${run[*]} ]] || command -v ufw >/dev/null || refuse "ufw is not installed (apt-get install ufw)"
"${run[@]}" ufw allow "$port/tcp"
"${run[@]}" ufw deny 5432/tcp
"${run[@]}" ufw deny 6379/tcp
