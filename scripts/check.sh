#!/usr/bin/env bash
# Every check, in lanes of which a few run side by side: cores are busy while servers wait and browsers load, and no more
# is asked of them than lets a test's servers answer in the time that they would have on a machine of their own.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit
export PYTHONPATH=$PWD/face_recognition_app
python=$PWD/.venv/bin/python

# Drawing and judging faces takes long; what starts servers mostly waits.
pictures=(tests/bench tests/core/liveness tests/testkit)
doors=(tests/server tests/service/doors tests/service/instances tests/service/script)
gallery=(tests/gallery tests/audit tests/database tests/service/galleries)
jobs=(tests/jobs tests/webhooks tests/recognition/background tests/service/jobs)
not_others=("${pictures[@]}" "${doors[@]}" "${gallery[@]}" "${jobs[@]}" tests/demo tests/service/faults tests/service/sessions)
at_once=$(($(nproc) + 1))

show_help() {
    cat <<END
usage: scripts/check.sh [--coverage] [--help]

Runs every check and every test once, in nine lanes, $at_once side by side:
  others     all tests but those below
  gallery    ${gallery[*]}
  jobs       ${jobs[*]}
  page       tests/demo
  faults     tests/service/faults
  pictures   ${pictures[*]}
  sessions   tests/service/sessions
  doors      ${doors[*]}
  static     linters and types, licences, the other Pythons
A lane's output is shown when it has ended. The script ends with 1 if a lane failed; Ctrl-C ends all of them. It needs what
./run_tests.sh sets up.
  --coverage   measures which lines of the service the lanes "others", "gallery" and "jobs" cover, for which they take
               two thirds longer; fails if they are too few
END
}

static() {
    local status=0
    scripts/lint.sh || status=1
    "$python" -m tools.licences || status=1
    scripts/check_pythons.sh || status=1
    return "$status"
}

declare -A running=()

# In a process group of its own, so that an interrupt reaches pytest, which ends the servers of its tests.
start() { # LANE COMMAND...
    ((${#running[@]} < at_once)) || wait_for_one
    set -m
    "${@:2}" </dev/null >"$said/$1" 2>&1 &
    set +m
    running[$!]=$1
}

wait_for_one() {
    local ended status lane
    echo "check.sh: running for $SECONDS s: ${running[*]}; their output so far: $said"
    wait -n -p ended "${!running[@]}"
    status=$? lane=${running[$ended]}
    unset "running[$ended]"
    ((status == 0)) || failed+=("$lane")
    echo "== $lane, ended with $status after $SECONDS s"
    cat "$said/$lane"
}

# A failed lane's output is far up, among that of the others: what failed is told once more at the end.
show_failures() {
    for lane in "${failed[@]}"; do
        echo "check.sh: failed: $lane"
        [[ ! -e $said/$lane ]] || grep -E "^(FAILED|ERROR) " "$said/$lane"
    done >&2
}

stop() {
    trap '' INT TERM
    for lane in "${!running[@]}"; do
        kill -INT -- "-$lane" 2>/dev/null
    done
    wait
    cat "$said"/*
    rm -r "$said"
    exit 130
}

tracer=()
case ${1-} in
--help) show_help && exit ;;
--coverage) tracer=(-m coverage run) ;;
?*) echo "check.sh: unknown argument '$1', see --help" >&2 && exit 2 ;;
esac
said=$(mktemp -d) || exit
failed=()
trap stop INT TERM
start others "$python" "${tracer[@]}" -m pytest "${not_others[@]/#/--ignore=}"
start gallery "$python" "${tracer[@]}" -m pytest "${gallery[@]}"
start jobs "$python" "${tracer[@]}" -m pytest "${jobs[@]}"
start page "$python" -m pytest tests/demo
start faults "$python" -m pytest tests/service/faults
start pictures "$python" -m pytest "${pictures[@]}"
start sessions "$python" -m pytest tests/service/sessions
start doors "$python" -m pytest "${doors[@]}"
start static static
while ((${#running[@]})); do
    wait_for_one
done
trap - INT TERM
((${#tracer[@]} == 0)) || {
    echo "== coverage"
    "$python" -m coverage combine --quiet && "$python" -m coverage report || failed+=("coverage")
}
show_failures
rm -r "$said"
((${#failed[@]} == 0)) || exit 1
echo "check.sh: every check passed in $SECONDS s"
