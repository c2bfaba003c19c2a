# shellcheck shell=bash disable=SC2329
# Jobs that dormouse itself keeps: across sleeps, stops, kills and a boot.

STATE=/var/lib/dormouse/dormouse

# job_route ARGV [LINE...]: a route /jobs.
job_route() {
    local argv=$1
    shift
    printf '%s\n' '[[route]]' 'path = "/jobs"' "job = $argv" "$@"
}
# Writes down that it began, and that it ended.
RUNS='["sh", "-c", "echo began >>ran; sleep 3; echo ended >>ran"]'

submit() { inside curl --silent --show-error --max-time 20 --data "${1-x}" http://127.0.0.1:8080/jobs | id_of; }
id_of() { python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])'; }
state_of_job() { get "/jobs/$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])'; }
is_done() { [[ $(state_of_job "$1") == "done" ]]; }
ran() { inside cat "$STATE/ran" 2>/dev/null | grep -c "$1" || true; }
has_run() { (($(ran "$1") >= $2)); }
no_marker() { inside test ! -e "$STATE/jobs/due"; }
# No job of the case before.
anew() {
    inside systemctl --quiet stop dormouse.service
    inside rm -rf "$STATE/ran" "$STATE/jobs"
    configure "$@"
}

result_outlasts_the_sleep() {
    anew "$FAST_SLEEP$(job_route '["wc", "-c"]')"
    local id
    id=$(submit 'five!')
    wait_until 10 is_done "$id"
    falls_asleep
    no_marker
    wait_until 20 is_off dormouse-jobs
    contains 'the job' '"output":"5\n"' "$(get "/jobs/$id")"
    falls_asleep
    nothing_lingers
}

keeps_it_awake() {
    anew "$FAST_SLEEP$(job_route "$RUNS")"
    local mark
    mark=$(journal_mark)
    submit >/dev/null
    wait_until 5 status_has 'job /jobs'
    wait_until 20 has_slept_since "$mark"
    equal 'what has ended' 1 "$(ran ended)"
}

outlives_a_kill() {
    anew "$(job_route "$RUNS")"
    local id
    id=$(submit)
    wait_until 5 has_run began 1
    inside /bin/sh -c "kill -9 $(property dormouse.service MainPID)"
    wait_until 20 has_run ended 1 # Restart= brings it back, and nobody asks
    wait_until 5 is_done "$id"
    equal 'attempts' 2 "$(ran began)"
    no_failed_unit
}

stop_puts_it_back() {
    anew $'[sleep]\ndrain = "1s"\n'"$(job_route "$RUNS")"
    local mark
    mark=$(journal_mark)
    submit >/dev/null
    wait_until 5 has_run began 1
    inside systemctl stop dormouse.service
    nothing_lingers
    equal 'what has ended' 0 "$(ran ended)"
    wait_until 40 has_run ended 1
    says_since "$mark" 'woken by a job that is due'
    no_failed_unit
}

stopped_with_the_socket_it_stays() {
    anew $'[sleep]\ndrain = "1s"\n'"$(job_route "$RUNS")"
    submit >/dev/null
    wait_until 5 has_run began 1
    inside systemctl stop dormouse.socket dormouse.service
    stays 35 nothing_runs
    inside systemctl start dormouse.socket
    wait_until 40 has_run ended 1
}

# Meanwhile nothing runs but what waits.
sleeps_until_a_retry() {
    # shellcheck disable=SC2016
    anew "$FAST_SLEEP$(job_route '["sh", "-c", "echo began >>ran; test $JOB_ATTEMPT = 2"]' 'retries = 1' 'backoff = "45s"')"
    local mark
    mark=$(journal_mark)
    submit >/dev/null
    wait_until 10 has_slept_since "$mark"
    nothing_lingers
    waits
    equal 'attempts' 1 "$(ran began)"
    mark=$(journal_mark)
    wait_until 80 has_run began 2
    falls_asleep
    says_since "$mark" 'woken by a job that is due'
    no_marker
    no_failed_unit
}

# A worker that waits for a job is told goodbye, and costs nothing; the job is for the next who asks.
worker_may_wait() {
    anew "$FAST_SLEEP"$'[[route]]\npath = "/jobs"\npull = true'
    local id
    inside curl --silent --max-time 40 --output /dev/null --write-out '%{http_code}' -X POST \
        'http://127.0.0.1:8080/jobs/lease?wait=30s' >"$MACHINE_DIR/answer"
    equal 'what it is told' 204 "$(cat "$MACHINE_DIR/answer")"
    falls_asleep
    id=$(submit 'to be done')
    falls_asleep
    no_marker
    contains 'the lease' "$id" "$(inside curl --silent -X POST 'http://127.0.0.1:8080/jobs/lease?wait=30s')"
}

is_done_after_a_boot() {
    wait_until 60 has_run ended 1
    no_failed_unit
}

check 'the result of a job outlasts the sleep' result_outlasts_the_sleep
check 'a job keeps it awake until it is done' keeps_it_awake
check 'a killed dormouse loses no job' outlives_a_kill
check 'a stop puts a job back, and it is run again by itself' stop_puts_it_back
check 'stopped with its socket, jobs wait until that is started' stopped_with_the_socket_it_stays
check 'it sleeps until a retry is due' sleeps_until_a_retry
check 'a worker that waits for a job does not keep it awake' worker_may_wait
anew $'[sleep]\ndrain = "1s"\n'"$(job_route "$RUNS")"
submit >/dev/null
wait_until 5 has_run began 1
reboot_machine
check 'a job is run after a boot, without a request' is_done_after_a_boot
inside rm -f "$STATE/ran"
