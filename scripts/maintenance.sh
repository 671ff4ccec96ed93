#!/usr/bin/env bash
# What an operator looks at each day and each week.
set -uo pipefail

root=$(dirname "$(dirname "$(readlink -f "$0")")")
python=$root/.venv/bin/python
data=${FACE_DATA_DIR:-$root/var}
bind=${GUNICORN_BIND:-0.0.0.0:8003}
url=http://127.0.0.1:${bind##*:}
admin=http://${FACE_ADMIN_BIND:-127.0.0.1:${bind##*:}}

show_help() {
    cat <<END
usage: scripts/maintenance.sh daily|weekly [--dry-run] [--help]

Changes nothing of the service, but for a rotation of logs in the weekly look. Ends with 1 if a look found a fault.
  daily      readiness, pools, errors in the logs, room on the disk and in memory, jobs, the audit trail
  weekly     the same, then logrotate, outdated packages and known advisories
  --dry-run  print the commands instead
Variables are those of the service: FACE_DATA_DIR, GUNICORN_BIND, FACE_ADMIN_BIND.
END
}

# Errors of the last day, in every log file of the service. None is right.
recent_errors() {
    [[ -d $data/log ]] || return 0
    local day
    day=$(date --utc --date='1 day ago' +%Y-%m-%dT%H:%M)
    find "$data/log" -name '*.log*' ! -name '*.lock' -mtime -1 -exec cat {} + |
        awk -v day="$day" '/ (ERROR|CRITICAL) |"level": "(error|critical)"/ {
            at = match($0, /[0-9-]+T[0-9:]+/) ? substr($0, RSTART, 16) : ""
            if (at >= day) { print; found = 1 }
        } END { exit found }'
}

room() {
    df -h "$data"
}

rotate() {
    local file=/etc/logrotate.d/face-service
    [[ ! -e $file ]] || logrotate --force "$file"
}

manage() {
    "$python" "$root/face_recognition_app/manage.py" "$@"
}

daily=(
    "curl -fsS $url/api/ready/"
    "curl -sS $admin/api/pool/status/"
    "recent_errors"
    "room"
    "free -m"
    "manage jobs doctor"
    "manage verify_audit"
)
weekly=(
    "${daily[@]}"
    "rotate"
    "$python -m pip list --outdated"
    "$root/scripts/audit.sh"
)

case ${1-} in
daily) looks=("${daily[@]}") ;;
weekly) looks=("${weekly[@]}") ;;
--help) show_help && exit ;;
*) show_help >&2 && exit 2 ;;
esac
case ${2-} in
'') ;;
--dry-run) printf '%s\n' "${looks[@]}" && exit ;;
*) show_help >&2 && exit 2 ;;
esac

faults=()
for look in "${looks[@]}"; do
    printf '== %s\n' "$look"
    read -ra words <<<"$look"
    "${words[@]}" || faults+=("$look")
    echo
done
((${#faults[@]} == 0)) || {
    printf 'maintenance.sh: fault: %s\n' "${faults[@]}" >&2
    exit 1
}
