# shellcheck shell=bash
# Set-up that run_gunicorn.sh, run_workers.sh and run_tests.sh share; to be sourced.

root=$(readlink -f "${BASH_SOURCE[0]%/*}/..")
venv=$root/.venv
python=$venv/bin/python
step=0
steps=5

progress() {
    step=$((step + 1))
    echo "[$step/$steps] $*"
}

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Installs Debian packages as root; false, with nothing done, where that cannot be.
apt_install() {
    local log
    [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null || return 1
    echo "      installing $* (apt-get)"
    if ! log=$(export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq -y --no-install-recommends install "$@" 2>&1); then
        echo "$log" >&2
        return 1
    fi
}

usable_python() {
    "$1" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if usable_python "$candidate"; then
            system_python=$(command -v "$candidate")
            return
        fi
    done
    return 1
}

# MediaPipe loads these two, and nothing of ours brings them.
has_libraries() {
    "$system_python" -c 'import ctypes; [ctypes.CDLL(name) for name in ("libEGL.so.1", "libGLESv2.so.2")]' 2>/dev/null
}

is_system_ready() {
    find_python && has_libraries
}

# Sets `system_python`.
check_system() {
    local packages=(python3 python3-venv libegl1 libgles2)
    if ! is_system_ready && ! { apt_install "${packages[@]}" && is_system_ready; }; then
        fail "Python 3.11, 3.12 or 3.13 with venv, libEGL and libGLESv2 are needed:" \
            "run 'sudo apt-get install ${packages[*]}' and start again."
    fi
    progress "Python $("$system_python" -c 'import platform; print(platform.python_version())') ($system_python)"
}

# The machine, where it is not one that the service was tried on: the locks may lack a wheel for it.
untried_machine() {
    "$system_python" -c 'import platform, sys
machine, libc = platform.machine(), platform.libc_ver()[0] or "a C library of another kind"
if (sys.platform, machine, libc) != ("linux", "x86_64", "glibc"):
    print(f"The service was tried on Linux on x86-64 with glibc; this is {sys.platform} on {machine} with {libc}.")'
}

# What a finished installation of a lock leaves in the environment: another lock or Python does not match it.
stamp_of() {
    sha256sum <"$1"
    "$python" -c 'import sys; print(sys.version_info[:2])'
}

is_installed() {
    [[ -x $python && ! -e $venv/installing && -e $venv/$1.stamp ]] &&
        [[ $(stamp_of "$root/requirements/$1.lock" 2>&1) == "$(<"$venv/$1.stamp")" ]]
}

are_installed() {
    local lock
    for lock in "$@"; do
        is_installed "$lock" || return 1
    done
}

# An environment that an interrupted start left half made is made anew. One that has all of the locks needs no pip.
make_environment() {
    if are_installed "$@" || {
        usable_python "$python" && [[ ! -e $venv/installing ]] && "$python" -m pip --version >/dev/null 2>&1
    }; then
        progress "Virtual environment: $venv"
        return
    fi
    local free_mb
    free_mb=$("$system_python" -c 'import shutil, sys; print(shutil.disk_usage(sys.argv[1]).free // 1_000_000)' "$root")
    ((free_mb > 1500)) ||
        fail "the virtual environment needs 1.5 GB and $root has $free_mb MB free: make room and start again."
    progress "Virtual environment: making $venv"
    "$system_python" -m venv --clear "$venv" || fail "the virtual environment could not be made; see above."
}

install_lock() {
    local lock=requirements/$1.lock
    if is_installed "$1"; then
        progress "Dependencies: $lock is installed"
        return
    fi
    progress "Dependencies: installing $lock (a minute or two)"
    touch "$venv/installing"
    "$python" -m pip install -qq --no-input --disable-pip-version-check --no-deps --require-hashes \
        --only-binary :all: --requirement "$root/$lock" ||
        fail "the dependencies could not be installed; see above, and start again when that is mended. $(untried_machine)"
    stamp_of "$root/$lock" >"$venv/$1.stamp"
    rm "$venv/installing"
}

# Locks the file that is open as 9, for as long as it is open here. Not every system has flock(1).
lock_setup() {
    "$system_python" -c 'import fcntl
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("      waiting for another set-up to end", flush=True)
    fcntl.flock(9, fcntl.LOCK_EX)'
}

# install LOCK... makes the environment with these locks in it. It takes no network and writes nothing
# when everything is there. Two of one environment take turns: the directory $set_up_in, the project's own unless it is
# set, is locked. Needs check_system before.
install() {
    local lock
    exec 9<"${set_up_in:-$root}"
    lock_setup
    make_environment "$@"
    for lock in "$@"; do
        install_lock "$lock"
    done
    exec 9<&-
}

# Models beside the checkout, where there are some: a machine that checks may reach no other source of all of them.
if [[ -z ${FACE_MODEL_MIRROR-} && -d $root/../shared/models ]]; then
    export FACE_MODEL_MIRROR=$root/../shared/models
fi
