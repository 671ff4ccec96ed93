#!/usr/bin/env bash
# What is quick, on every other Python that the service supports and this machine has.
set -euo pipefail

# shellcheck source=scripts/setup.sh
source "$(dirname "$(readlink -f "$0")")/setup.sh"
cd "$root"

supported=(3.11 3.12 3.13)
quick_tests=(tests/wire tests/tenants tests/gallery/rates tests/gallery/protection/test_sealed.py tests/gallery/stores/test_store.py
    tests/docs tests/scheduling tests/recognition/tokens)

show_help() {
    cat <<END
usage: scripts/check_pythons.sh [--help]

Checks types for Python ${supported[-1]}; lint.sh does for the oldest. For each Python of ${supported[*]}, side by side, but
the one of .venv, which every check runs with:
  - sources are compiled with it, with warnings as errors,
  - the quick tests run with it: ${quick_tests[*]}.
It is looked for in PATH and in pyenv's versions; one that is not here is named, and is no failure. The environment for
the tests is made in var/pythons, takes 1.2 GB, and stays. All tests, on the Pythons of Debian: scripts/check_chroot.sh.
END
}

# Prints the path of a Python that can make environments.
interpreter() { # VERSION
    local candidate
    for candidate in "$(command -v "python$1")" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        usable_python "$candidate" && echo "$candidate" && return
    done
    return 1
}

# In an environment of its own; its packages are compiled when they are imported, for most never are.
try_python() { # VERSION
    system_python=$(interpreter "$1") || {
        echo "not tested with it: it is not on this machine, or without venv"
        return
    }
    venv=$root/var/pythons/$1 python=$root/var/pythons/$1/bin/python steps=2
    set_up_in=$venv # A service that starts meanwhile need not wait.
    mkdir -p "$venv"
    PIP_COMPILE=0 install dev
    PYTHONPYCACHEPREFIX=$venv/sources "$python" -W error -m compileall -q face_recognition_app tools bench tests
    "$python" -m pytest -q "${quick_tests[@]}"
}

[[ ${1-} == --help ]] && show_help && exit
own=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') || fail "run ./run_tests.sh first"
export PYTHONPATH=$root/face_recognition_app
said=$(mktemp -d)
declare -A running=()
trap 'kill "${running[@]}" 2>/dev/null || true; rm -rf "$said"' EXIT
"$venv/bin/mypy" --python-version "${supported[-1]}" >"$said/types" 2>&1 &
running[types]=$!
for version in "${supported[@]}"; do
    [[ $version == "$own" ]] && continue
    try_python "$version" >"$said/Python $version" 2>&1 &
    running[Python $version]=$!
done
failed=()
for check in types "${supported[@]/#/Python }"; do
    echo "== $check"
    [[ $check == "Python $own" ]] && echo "every check runs with it" && continue
    wait "${running[$check]}" || failed+=("$check")
    cat "$said/$check"
    unset "running[$check]"
done
((${#failed[@]} == 0)) || {
    printf 'check_pythons.sh: failed: %s\n' "${failed[@]}" >&2
    exit 1
}
