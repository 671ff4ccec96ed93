#!/bin/sh
# Resolves the *.in files again and writes the locks: exact versions with hashes for every platform,
# the same versions on every Python that is supported.
set -eu
cd "$(dirname "$0")"
tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3 -m venv "$tool"
"$tool/bin/pip" install --quiet uv
for name in service dev audit; do
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
        --overrides overrides.txt --generate-hashes --no-header --no-annotate --output-file "$name.lock" "$@" "$name.in"
done
