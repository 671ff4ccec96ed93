#!/usr/bin/env bash
# The static checks: run_tests.sh runs all of them, and pre-commit each by its name.
set -uo pipefail

cd "$(dirname "$(readlink -f "$0")")/.." || exit
export PATH=$PWD/.venv/bin:$PATH PYTHONPATH=$PWD/face_recognition_app

checks=(ruff format mypy imports shellcheck codespell end-of-file)

show_help() {
    cat <<END
usage: scripts/lint.sh [--list] [--help] [CHECK...]

Runs these checks, or all of them: ${checks[*]}.
  --list   prints their names, one a line
The tools come with the development dependencies, which ./run_tests.sh installs. It ends with 1 if a check failed.
END
}

# Names of text files, each ended by a NUL; no hidden directory but .ci, and not what the service keeps in var.
text_files() { # OPTION OF GREP...
    grep -rIlZ --exclude-dir='.?*' --exclude-dir=__pycache__ --exclude-dir=var "$@" '' . .ci/run
}

# A text file ends with one newline.
check_ends() {
    local file status=0
    while IFS= read -rd '' file; do
        case $(tail -c 2 "$file" && echo .) in
        $'\n\n.' | *[!$'\n'].) echo "$file: does not end with one newline" && status=1 ;;
        esac
    done < <(text_files --exclude='*.py') # ruff format sees to Python's
    return "$status"
}

run() { # CHECK
    case $1 in
    ruff) ruff check ;;
    format) ruff format --check ;;
    mypy) mypy ;;
    imports) lint-imports ;;
    shellcheck) text_files --include='*.sh' --include=run | xargs -0 shellcheck ;;
    codespell) codespell ;;
    end-of-file) check_ends ;;
    *) echo "lint.sh: unknown check '$1', see --help" >&2 && return 1 ;;
    esac
}

case ${1-} in
--help) show_help && exit ;;
--list) printf '%s\n' "${checks[@]}" && exit ;;
esac
(($#)) && checks=("$@")
failed=()
for check in "${checks[@]}"; do
    echo "== $check"
    run "$check" || failed+=("$check")
done
((${#failed[@]} == 0)) || {
    echo "lint.sh: failed: ${failed[*]}" >&2
    exit 1
}
