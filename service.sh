#!/usr/bin/env bash
# Starts, watches and ends the service on a machine without systemd.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "$(readlink -f "$0")")/scripts/setup.sh"

show_help() {
    cat <<END
usage: ./service.sh VERB [ARGUMENT...]

  start [FLAG...]             requests and jobs; FLAGs are those of ./run_gunicorn.sh
  start_workers [FLAG...]     requests alone
  start_background [FLAG...]  jobs alone; FLAGs are those of ./run_workers.sh
  stop                        end both, when open sessions had their time (FACE_DRAIN_S)
  restart [FLAG...]           stop, then start what ran, with the same flags unless others are given
  reload                      replace every worker by a new one, which loads the code anew
  scale N                     keep N workers, until the service is stopped
  status [--json]             workers, CPU, memory, threads, pools and queues
  logs [OPTION...]            follow the logs; OPTIONs are those of tail
  rollback [FLAG...]          stop, then serve with one process of Uvicorn
start waits until the service is ready, or says why it is not. What is so already is told, and no fault.
It ends with 0 if all is well, 1 if something failed, 2 for wrong usage, 3 if status finds nothing that runs, 7 if nothing
runs that could be reloaded or scaled. Every variable is in docs/configuration.md.
END
}

refuse() {
    printf '%s\n' "service.sh: $*." "see ./service.sh --help" >&2
    exit 2
}

(($#)) || refuse "which verb"
case $1 in
reload) set_up=anew ;; # A new release may need other packages.
start | start_workers | start_background | restart | rollback) set_up=once ;;
stop | scale | status | logs) set_up='' ;;
--help | -h | help) show_help && exit ;;
*) refuse "unknown verb '$1'" ;;
esac

# What it starts does the whole set-up by itself, and here only Python is needed.
if [[ $set_up == anew || ($set_up == once && ! -x $python) ]]; then
    check_system
    install service
fi
[[ -x $python ]] || fail "nothing was ever started here: there is no $venv."
cd "$root/face_recognition_app"
exec "$python" -m supervision "$@"
