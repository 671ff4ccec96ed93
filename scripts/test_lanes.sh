#!/usr/bin/env bash
# All tests, in three lanes side by side, and the lines that the first of them covers.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit
export PYTHONPATH=$PWD/face_recognition_app
python=$PWD/.venv/bin/python

# What starts servers or a browser mostly waits; what draws and judges faces for long needs no tracer.
servers=(tests/service)
pictures=(tests/bench tests/core/liveness tests/demo tests/server tests/testkit)
untraced=("${servers[@]}" "${pictures[@]}")

show_help() {
    cat <<END
usage: scripts/test_lanes.sh [--help]

Runs every test once, in three processes side by side:
  - with the tracer of line coverage, all tests but those of the other lanes;
  - without it: ${servers[*]};
  - without it: ${pictures[*]}.
The first prints as it goes, the others when they have ended. It ends with 1 if a test failed, if a lane could not run
to its end, or if too few lines are covered. Ctrl-C ends all of them.
END
}

# In a process group of its own: else it would ignore the interrupt that lets pytest end the servers of its tests.
start() { # COMMAND...
    set -m
    "$@" </dev/null &
    set +m
    lanes+=($!)
}

show() { # WHAT FILE
    echo "== without the tracer: $1"
    cat "$2"
}

stop() {
    trap '' INT TERM
    kill -INT "${lanes[@]}" 2>/dev/null
    wait
    cat "$said"/*
    rm -r "$said"
    exit 130
}

[[ ${1-} == --help ]] && show_help && exit
lanes=() failed=()
said=$(mktemp -d) || exit
"$python" -m coverage erase || exit
trap stop INT TERM
start "$python" -m pytest "${servers[@]}" >"$said/servers" 2>&1
start "$python" -m pytest "${pictures[@]}" >"$said/pictures" 2>&1
echo "== with the tracer: all but ${untraced[*]}"
start "$python" -m coverage run -m pytest "${untraced[@]/#/--ignore=}"
wait "${lanes[2]}" || failed+=("tests with the tracer")
wait "${lanes[1]}" || failed+=("${pictures[*]}")
show "${pictures[*]}" "$said/pictures"
wait "${lanes[0]}" || failed+=("${servers[*]}")
show "${servers[*]}" "$said/servers"
trap - INT TERM
rm -r "$said"
echo "== python -m coverage report"
"$python" -m coverage report || failed+=("coverage")
((${#failed[@]} == 0)) || {
    printf 'test_lanes.sh: failed: %s\n' "${failed[@]}" >&2
    exit 1
}
