#!/usr/bin/env bash
# Serves the application; on a fresh machine it does the set-up first.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "$(readlink -f "$0")")/scripts/setup.sh"

usage="usage: ./run_gunicorn.sh [--workers N] [--pool-size N] [--bind HOST:PORT] [--single] [--print-config]
       [--help]"

show_help() {
    cat <<END
$usage

Sets up what is missing (virtual environment, dependencies, models, database), then serves.
  --workers N        worker processes (GUNICORN_WORKERS)
  --pool-size N      FaceMesh instances in each worker (FACE_MESH_POOL_SIZE)
  --bind HOST:PORT   where to listen (GUNICORN_BIND, 0.0.0.0:8003)
  --single           one process of Uvicorn in place of Gunicorn and its workers: see ./service.sh rollback
  --print-config     print each value that would be used and where it came from, and end
A flag beats its variable. Every variable is in docs/configuration.md.
END
}

refuse() {
    printf '%s\n' "run_gunicorn.sh: $*." "$usage" >&2
    exit 2
}

check_number() {
    [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || refuse "$1 takes a whole number from 1 to 9999, not '$2'"
}

check_address() {
    if ! [[ $2 =~ ^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[1-9][0-9]{0,4}$ && ${2##*:} -le 65535 ]]; then
        refuse "$1 takes HOST:PORT, as in 127.0.0.1:8003, not '$2'"
    fi
}

# Sets a variable from a flag, and remembers that it came from there.
give() { # VARIABLE FLAG VALUE
    export "$1=$3"
    given+=("$1=$2")
}

# So that a second server is told before minutes of set-up; gunicorn itself would retry for seconds, or share the port.
check_port() {
    "$system_python" - "$bind" <<'END' || exit 1
import errno, socket, sys

host, _, port = sys.argv[1].rpartition(":")
if host.startswith("unix") or not port.isdecimal():
    sys.exit()
reasons = {
    errno.EADDRINUSE: "is taken: stop what listens there, or choose another with --bind HOST:PORT",
    errno.EACCES: "may not be used by this user: choose one above 1023 with --bind HOST:PORT",
}
try:
    family, kind, _, _, address = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen()
except (OSError, OverflowError) as error:
    reason = reasons.get(getattr(error, "errno", None), f"cannot be used ({error}): choose another with --bind HOST:PORT")
    sys.exit(f"run_gunicorn.sh: port {port} on {host} {reason}.")
END
}

print_config() {
    {
        check_system
        install service
    } >&2
    "$python" -m server.explained "${given[@]/#/--flag=}"
}

serve() {
    check_system
    check_port
    install service
    progress "Models and database"
    "$python" manage.py prepare
    progress "${server^} on $bind"
    "$server"
}

# Through the environment's Python: the script's first line names the path that the environment was made at.
gunicorn() {
    exec "$python" "$venv/bin/gunicorn" face_app.asgi:application -c gunicorn_config.py
}

# Its open sockets and requests have as long to end as those of a worker.
uvicorn() {
    local host=${bind%:*} where
    host=${host#[}
    where=(--host "${host%]}" --port "${bind##*:}")
    [[ $bind != unix:* ]] || where=(--uds "${bind#unix:}")
    export GUNICORN_WORKERS=1
    exec "$python" -m uvicorn face_app.asgi:application "${where[@]}" --timeout-graceful-shutdown 15
}

action=serve server=gunicorn
given=()
while (($#)); do
    [[ $1 == --*=* ]] && set -- "${1%%=*}" "${1#*=}" "${@:2}"
    case $1 in
    --workers) check_number "$1" "${2-}" && give GUNICORN_WORKERS "$@" && shift ;;
    --pool-size) check_number "$1" "${2-}" && give FACE_MESH_POOL_SIZE "$@" && shift ;;
    --bind) check_address "$1" "${2-}" && give GUNICORN_BIND "$@" && shift ;;
    --single) server=uvicorn ;;
    --print-config) action=print_config ;;
    --help) show_help && exit ;;
    *) refuse "unknown argument '$1'" ;;
    esac
    shift
done

bind=${GUNICORN_BIND:-0.0.0.0:8003}
cd "$root/face_recognition_app"
"$action"
