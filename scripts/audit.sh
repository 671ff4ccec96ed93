#!/usr/bin/env bash
# Asks an advisory service about every locked dependency. pip-audit comes into an environment that is thrown away.
set -euo pipefail

root=$(readlink -f "$(dirname "${BASH_SOURCE[0]}")/..")

show_help() {
    cat <<END
usage: scripts/audit.sh [--help] [OPTION OF PIP-AUDIT...]

Asks about every dependency of requirements/dev.lock, which has all of requirements/service.lock.
Options go to pip-audit: --ignore-vuln ID, --vulnerability-service osv, ...
It ends with
  0  no advisory is known for any of them
  1  there are advisories; they are printed
  3  not everything was asked: no network, no advisory service, or one that does not know a dependency
END
}

not_checked() {
    echo "audit.sh: NOT CHECKED: $*. Nothing is known about advisories." >&2
    exit 3
}

[[ ${1-} == --help ]] && show_help && exit
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

python3 -m venv "$scratch/venv" || not_checked "no virtual environment could be made; see above"
"$scratch/venv/bin/python" -m pip install -qq --no-input --disable-pip-version-check --no-deps --require-hashes \
    --only-binary :all: --requirement "$root/requirements/audit.lock" ||
    not_checked "pip-audit could not be installed, is there a network? See above"

# Strict: a dependency that cannot be asked about ends it. Only findings are written to the file.
status=0
"$scratch/venv/bin/python" -m pip_audit --strict --disable-pip --require-hashes --progress-spinner off \
    --output "$scratch/findings" --requirement "$root/requirements/dev.lock" "$@" || status=$?
((status)) || exit 0
[[ -s $scratch/findings ]] || not_checked "the advisory service could not be asked about everything; see above"
cat "$scratch/findings"
exit 1
