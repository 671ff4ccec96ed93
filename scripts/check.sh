#!/usr/bin/env bash
# Every check, in lanes side by side: two cores are busy while servers wait and browsers load.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit
export PYTHONPATH=$PWD/face_recognition_app
python=$PWD/.venv/bin/python

# Drawing and judging faces takes long; what starts servers mostly waits.
pictures=(tests/bench tests/core/liveness tests/testkit)
doors=(tests/server tests/service/doors)
not_others=("${pictures[@]}" "${doors[@]}" tests/demo tests/service/faults tests/service/sessions)

show_help() {
    cat <<END
usage: scripts/check.sh [--coverage] [--help]

Runs every check and every test once, in seven lanes side by side:
  static     linters and types, licences, the other Pythons
  others     all tests but those below
  pictures   ${pictures[*]}
  doors      ${doors[*]}
  page       tests/demo
  faults     tests/service/faults
  sessions   tests/service/sessions
A lane's output is shown when it has ended. The script ends with 1 if a lane failed; Ctrl-C ends all of them. It needs what
./run_tests.sh sets up.
  --coverage   measures which lines of the service the lane "others" covers, for which it takes two thirds longer; fails
               if they are too few
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
    set -m
    "${@:2}" </dev/null >"$said/$1" 2>&1 &
    set +m
    running[$!]=$1
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
start static static
start others "$python" "${tracer[@]}" -m pytest "${not_others[@]/#/--ignore=}"
start pictures "$python" -m pytest "${pictures[@]}"
start doors "$python" -m pytest "${doors[@]}"
start page "$python" -m pytest tests/demo
start faults "$python" -m pytest tests/service/faults
start sessions "$python" -m pytest tests/service/sessions
while ((${#running[@]})); do
    echo "check.sh: running for $SECONDS s: ${running[*]}; their output so far: $said"
    wait -n -p ended "${!running[@]}"
    status=$? lane=${running[$ended]}
    unset "running[$ended]"
    ((status == 0)) || failed+=("$lane")
    echo "== $lane, ended with $status after $SECONDS s"
    cat "$said/$lane"
done
trap - INT TERM
rm -r "$said"
((${#tracer[@]} == 0)) || {
    echo "== coverage"
    "$python" -m coverage report || failed+=("coverage")
}
((${#failed[@]} == 0)) || {
    printf 'check.sh: failed: %s\n' "${failed[@]}" >&2
    exit 1
}
echo "check.sh: every check passed in $SECONDS s"
