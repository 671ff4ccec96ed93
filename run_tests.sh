#!/usr/bin/env bash
# Runs every check; on a fresh machine it does the set-up first. Arguments go to pytest, and then only pytest runs.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "$(readlink -f "$0")")/scripts/setup.sh"
cd "$root"

# Servers and browsers that some tests start; without one of them its tests are skipped.
check_test_programs() {
    local missing=() name
    for name in redis-server chromium firefox-esr nginx git logrotate hey; do
        command -v "$name" >/dev/null || missing+=("$name")
    done
    command -v ab >/dev/null || missing+=(apache2-utils)
    if ((${#missing[@]})) && ! apt_install "${missing[@]}"; then
        echo "      not installed: ${missing[*]}; tests that need them are skipped" \
            "('sudo apt-get install ${missing[*]}' brings them)."
    fi
}

# It checks units; its package brings more than a machine may want to have, and starts nothing.
check_systemd_analyze() {
    command -v systemd-analyze >/dev/null || apt_install systemd ||
        echo "      not installed: systemd-analyze; tests of units are skipped ('sudo apt-get install systemd' brings it)."
}

# The program that tests Prometheus's rules. Its package would start a server, so this alone is taken out of it.
bring_promtool() {
    local place=$root/var/tools folder
    if [[ -x $place/promtool ]] || command -v promtool >/dev/null; then
        return
    fi
    folder=$(mktemp -d)
    if (cd "$folder" && apt-get -qq download prometheus && dpkg -x prometheus_*.deb .) >"$folder/log" 2>&1; then
        mkdir -p "$place"
        mv "$folder/usr/bin/promtool" "$place"
    else
        echo "      not here: promtool; tests that need it are skipped ('apt-get download prometheus' brings it)."
    fi
    rm -r "$folder"
}

check_system
check_test_programs
check_systemd_analyze
bring_promtool
install service dev
export PYTHONPATH=$root/face_recognition_app
progress "Models and database"
FACE_DATA_DIR=$root/var "$python" face_recognition_app/manage.py prepare

if (($#)); then
    exec "$python" -m pytest "$@"
fi
exec scripts/check.sh
