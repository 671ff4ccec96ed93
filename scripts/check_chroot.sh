#!/usr/bin/env bash
# Proves that the set-up works in an empty Debian, made with debootstrap.
set -euo pipefail

repository=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")
usage="usage: scripts/check_chroot.sh [--tests] [--help] [bookworm] [trixie]"

show_help() {
    cat <<END
$usage

For each release (both, if none is named) makes an empty Debian in a temporary directory (TMPDIR says where, 4 GB each)
and starts the service in it: as root and as an ordinary user, and a second time with the network unplugged.
  --tests   runs ./run_tests.sh in it as well, as both users
Needs root, ${tools[*]}.
END
}

say() {
    echo "== $*"
}

fail() {
    echo "check_chroot.sh: $*" >&2
    exit 1
}

tools=(debootstrap curl ip git python3 unshare nsenter)

check_tools() {
    local missing=() tool
    [[ $(id -u) == 0 ]] || fail "it needs root"
    for tool in "${tools[@]}"; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || fail "not installed: ${missing[*]}" \
        "('apt-get install debootstrap curl iproute2 git python3 util-linux' brings them)"
}

# Namespaces of their own make every mount and every process end with the check, however it ends.
check_release() ( # RELEASE
    system=$(mktemp -d)
    trap 'rm -rf --one-file-system "$system"' EXIT
    unshare --mount --pid --fork --kill-child --mount-proc "$0" "$1" "$system" "$tests"
)

if [[ $$ != 1 ]]; then
    tests='' releases=()
    for argument; do
        case $argument in
        --tests) tests=yes ;;
        --help) show_help && exit ;;
        bookworm | trixie) releases+=("$argument") ;;
        *) printf '%s\n' "check_chroot.sh: unknown argument '$argument'." "$usage" >&2 && exit 2 ;;
        esac
    done
    check_tools
    ((${#releases[@]})) || releases=(bookworm trixie)
    for release in "${releases[@]}"; do
        check_release "$release"
    done
    exit
fi

release=$1 system=$2 tests=$3
trap 'exit 130' INT TERM

make_system() {
    say "Debian $release in $system"
    debootstrap --variant=minbase "$release" "$system" >"$system.log" 2>&1 || { tail "$system.log" && exit 1; }
    rm "$system.log"
    # Debian as people have it: without its security updates a browser may be too old for the tests.
    sed -nE 's|^deb (.*)/debian/? (\S+) main$|deb \1/debian-security \2-security main|p' \
        "$system/etc/apt/sources.list" >"$system/etc/apt/sources.list.d/security.list"
    chmod 755 "$system"
    mount -t proc proc "$system/proc"
    mount -t sysfs sysfs "$system/sys"
    mount --rbind /dev "$system/dev"
    chroot "$system" useradd --create-home --shell /bin/bash someone
    take_configuration
}

certificates=/etc/ssl/certs/ca-certificates.crt
environment=()

# How this machine reaches its package registries, as far as pip and npm need to be told. The certificates
# get a name of their own, for apt-get writes the usual file anew.
take_configuration() {
    local file name
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/npmrc; do
        [[ ! -e $file ]] || cp -L "$file" "$system$file"
    done
    if [[ -e $certificates ]]; then
        cp -L "$certificates" "$system/etc/machine-certificates.crt"
        for name in PIP_CERT SSL_CERT_FILE NODE_EXTRA_CA_CERTS; do
            environment+=("$name=/etc/machine-certificates.crt")
        done
    fi
    for name in PIP_FIND_LINKS PIP_INDEX_URL http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
        [[ -z ${!name-} ]] || environment+=("$name=${!name}")
    done
    if [[ -d /opt/wheels ]]; then
        mkdir -p "$system/opt/wheels"
        mount -o bind,ro /opt/wheels "$system/opt/wheels"
    fi
}

copy_project() { # USER HOME
    mkdir -p "$system$2/project"
    git -C "$repository" ls-files -coz --exclude-standard |
        tar -C "$repository" --null --files-from=- --ignore-failed-read -c | tar -C "$system$2/project" -x
    chroot "$system" chown -R "$1:" "$2/project"
}

# shellcheck disable=SC2016  # the inner shell expands it
unplugged=(unshare --net bash -c 'ip link set lo up && exec "$@"' bash)
network=()

# Becomes COMMAND in that user's copy of the project; with network=("${unplugged[@]}") there is only loopback.
as() { # USER HOME COMMAND...
    local user=$1 home=$2
    shift 2
    exec "${network[@]}" chroot --userspec="$user:$user" "$system" env -i "${environment[@]}" \
        HOME="$home" USER="$user" LANG=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        bash -c 'cd ~/project && exec "$@"' bash "$@"
}

# Starts the service, waits up to LIMIT seconds until it is ready, and stops it.
try_start() { # WHAT LIMIT USER HOME
    local what=$1 limit=$2 began=$SECONDS pid
    say "$what"
    (as "$3" "$4" ./run_gunicorn.sh --workers 2 --pool-size 4 --bind "127.0.0.1:$port") &
    pid=$!
    until nsenter -t "$pid" -n curl -sf -o /dev/null "http://127.0.0.1:$port/api/ready/"; do
        kill -0 "$pid" 2>/dev/null || fail "$what: it ended before it was ready"
        ((SECONDS - began < limit)) || fail "$what: not ready after $limit s"
        sleep 0.2
    done
    say "$what: ready after $((SECONDS - began)) s"
    kill "$pid"
    wait "$pid" || fail "$what: it ended with $? when it was stopped"
}

try_twice() { # USER HOME
    try_start "first start as $1" 900 "$1" "$2"
    network=("${unplugged[@]}")
    try_start "second start as $1, network unplugged" 60 "$1" "$2"
    network=()
}

try_tests() { # USER HOME
    say "tests as $1"
    if [[ -d $repository/../shared ]]; then # real clips, where there are some
        mkdir -p "$system$2/shared"
        mount -o bind,ro "$repository/../shared" "$system$2/shared"
    fi
    (as "$1" "$2" ./run_tests.sh)
}

refuse_bare_system() {
    local said status=0
    say "someone's start without Python and libraries"
    said=$( (as someone /home/someone ./run_gunicorn.sh) 2>&1) || status=$?
    echo "$said"
    [[ $status == 1 && $said == *"sudo apt-get install"* ]] || fail "it ended with $status and did not say what to install"
}

make_system
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
copy_project root /root
copy_project someone /home/someone
refuse_bare_system
try_twice root /root
try_twice someone /home/someone
if [[ $tests ]]; then
    try_tests root /root
    try_tests someone /home/someone
fi
say "passed: Debian $release"
