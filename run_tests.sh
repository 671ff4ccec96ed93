#!/usr/bin/env bash
# Runs every check; on a fresh machine it does the set-up first. Arguments go to pytest, and then only pytest runs.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "$(readlink -f "$0")")/scripts/setup.sh"
cd "$root"

# Servers and browsers that some tests start; without one of them its tests are skipped.
check_test_programs() {
    local missing=() name
    for name in redis-server chromium firefox-esr nginx git; do
        command -v "$name" >/dev/null || missing+=("$name")
    done
    if ((${#missing[@]})) && ! apt_install "${missing[@]}"; then
        echo "      not installed: ${missing[*]}; tests that need them are skipped" \
            "('sudo apt-get install ${missing[*]}' brings them)."
    fi
}

check_system
check_test_programs
install service dev
export PYTHONPATH=$root/face_recognition_app
progress "Models and database"
FACE_DATA_DIR=$root/var "$python" face_recognition_app/manage.py prepare

if (($#)); then
    exec "$python" -m pytest "$@"
fi
exec scripts/check.sh
