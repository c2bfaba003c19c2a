# Named checks: each prints one line, and its output when it failed.
# shellcheck shell=bash

PASSED=0 FAILED=0

# check NAME COMMAND...: the command runs in a subshell under `set -e`, so any failing line fails the check.
check() {
    local name=$1 output status
    shift
    # Not `if output=$(...)`: bash ignores `set -e` in whatever a condition calls.
    set +e
    output=$(set -e && "$@" 2>&1)
    status=$?
    set -e
    if ((status == 0)); then
        PASSED=$((PASSED + 1))
        printf 'ok      %s\n' "$name"
    else
        FAILED=$((FAILED + 1))
        printf 'FAILED  %s\n' "$name"
        printf '%s\n' "$output" | tail -n 60 | sed 's/^/        | /'
    fi
}

# wait_until SECONDS COMMAND...: polls until the command succeeds, or fails after so many seconds.
wait_until() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        if ((${EPOCHREALTIME/[.,]/} > deadline)); then
            echo "not within the time: $*" >&2
            return 1
        fi
        sleep 0.05
    done
}

# equal WHAT EXPECTED ACTUAL, contains WHAT NEEDLE TEXT: say what differs.
equal() {
    [[ $2 == "$3" ]] || { printf '%s: expected %q, got %q\n' "$1" "$2" "$3" && return 1; }
}
contains() {
    [[ $3 == *"$2"* ]] || { printf '%s: no %q in:\n%s\n' "$1" "$2" "$3" && return 1; }
}
refute() { if "$@"; then echo "should have failed: $*" && return 1; fi; }

# totals: the closing line, and a status for it.
totals() {
    printf '%d passed, %d failed\n' "$PASSED" "$FAILED"
    ((FAILED == 0 && PASSED > 0))
}
