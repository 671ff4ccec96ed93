#!/usr/bin/env bash
# Runs a worker of background jobs; on a fresh machine it does the set-up first.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "$(readlink -f "$0")")/scripts/setup.sh"

usage="usage: ./run_workers.sh [--mode MODE] [--concurrency N] [--priorities NAMES] [--job-types NAMES] [--print-config]
       [--help]"

show_help() {
    cat <<END_OF_HELP
$usage

Sets up what is missing (virtual environment, dependencies, models, database), then runs jobs until it is told to end.
  --mode MODE         thin, default, specialized, job-specialized or scheduler-only (WORKER_MODE)
  --concurrency N     jobs at once, each in a process of its own (WORKER_CONCURRENCY)
  --priorities NAMES  high, normal, low, with commas: what a specialized worker takes (WORKER_PRIORITIES)
  --job-types NAMES   with commas: what a job-specialized worker takes (WORKER_JOB_TYPES)
  --print-config      print the configuration that would be used, and end
A flag beats its variable. Without REDIS_URL one worker, thin, takes jobs from the database, and ./run_gunicorn.sh runs it
already. SIGTERM ends a worker after 15 s at most: jobs that have not ended by then are queued again.
END_OF_HELP
}

refuse() {
    printf '%s\n' "run_workers.sh: $*." "$usage" >&2
    exit 2
}

# Names of modes, priorities and types are checked with the rest of the configuration.
check_names() {
    [[ $2 =~ ^[a-z][a-z_-]*(,[a-z][a-z_-]*)*$ ]] || refuse "$1 takes names with commas between them, not '$2'"
}

check_number() {
    [[ $2 =~ ^[1-9][0-9]{0,3}$ ]] || refuse "$1 takes a whole number from 1 to 1000, not '$2'"
}

print_config() {
    {
        check_system
        install service
    } >&2
    manage jobs worker --print-config
}

work() {
    check_system
    install service
    progress "Models and database"
    "$python" manage.py prepare
    progress "Job worker"
    manage jobs worker
}

# Takes this process's place, so that signals reach the worker.
manage() {
    exec "$python" manage.py "$@"
}

action=work
while (($#)); do
    [[ $1 == --*=* ]] && set -- "${1%%=*}" "${1#*=}" "${@:2}"
    case $1 in
    --mode) check_names "$1" "${2-}" && export WORKER_MODE=$2 && shift ;;
    --concurrency) check_number "$1" "${2-}" && export WORKER_CONCURRENCY=$2 && shift ;;
    --priorities) check_names "$1" "${2-}" && export WORKER_PRIORITIES=$2 && shift ;;
    --job-types) check_names "$1" "${2-}" && export WORKER_JOB_TYPES=$2 && shift ;;
    --print-config) action=print_config ;;
    --help) show_help && exit ;;
    *) refuse "unknown argument '$1'" ;;
    esac
    shift
done

cd "$root/face_recognition_app"
"$action"
