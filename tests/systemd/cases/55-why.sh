# shellcheck shell=bash disable=SC2329
RUNTIME=/run/dormouse/dormouse

# why [ARGUMENT...]: asks about the plain instance.
why() { inside dormouse why dormouse "$@"; }
# why_json EXPRESSION: something of the JSON answer, by python.
why_json() { why --json | python3 -c 'import json, sys; look = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }
answers() { [[ $(why_json 'look["state"]') == "$1" ]]; }

wakes_nobody() {
    configure "$FAST_SLEEP$ROUTES"
    equal 'the answer' hello "$(get /hello)"
    falls_asleep
    local before text
    before=$(property dormouse.service InvocationID)
    text=$(why)
    contains 'what it says' 'dormouse is asleep since' "$text"
    contains 'what it says' 'Served     1 request' "$text"
    contains 'what it says' 'dormouse.socket wakes it' "$text"
    is_asleep
    equal 'the last process' "$before" "$(property dormouse.service InvocationID)"
}

names_a_slow_request() {
    configure "$FAST_SLEEP$ROUTES"$'[[route]]\npath = "/files/"\nfiles = "/srv/www"\n'
    inside /bin/sh -c 'mkdir -p /srv/www && head -c 60000000 /dev/zero >/srv/www/large'
    inside curl --silent --fail --limit-rate 8M --max-time 60 --output /tmp/large http://127.0.0.1:8080/files/large &
    local download=$! text
    wait_until 5 inside test -s /tmp/large
    wait_until 5 answers awake
    text=$(why)
    contains 'what it says' 'Kept awake by:' "$text"
    contains 'what it says' 'GET /files/' "$text"
    contains 'what it says' '127.0.0.1:' "$text"
    contains 'what it says' 'sleep.after' "$text"
    wait "$download"
    inside rm -r /tmp/large /srv/www
}

is_for_the_group() {
    configure "$ROUTES"
    equal 'the answer' hello "$(get /hello)"
    wait_until 5 inside test -S "$RUNTIME/control.sock"
    wait_until 5 answers awake
    equal 'the folder' '750 dormouse:dormouse' "$(inside stat -c '%a %U:%G' "$RUNTIME")"
    equal 'the control socket' '660 dormouse:dormouse' "$(inside stat -c '%a %U:%G' "$RUNTIME/control.sock")"
    equal 'the carry-over file' '640 dormouse:dormouse' "$(inside stat -c '%a %U:%G' "$RUNTIME/carry.json")"
    local status=0 output
    output=$(inside setpriv --reuid=nobody --regid=nogroup --clear-groups dormouse why dormouse) || status=$?
    equal 'the exit code for nobody' 77 "$status"
    contains 'what nobody hears' 'join the group dormouse' "$output"
    output=$(inside setpriv --reuid=nobody --regid=nogroup --groups="$(inside getent group dormouse | cut -d: -f3)" \
        dormouse why dormouse)
    contains 'what the group hears' 'dormouse is awake' "$output"
}

history_survives() {
    configure $'[sleep]\nmin_awake = "1m"\n'"$ROUTES" # to be met awake after a restart that nobody asked for
    local before
    before=$(why_json 'look["wakes"]')
    equal 'the answer' hello "$(get /hello)"
    wait_until 5 answers awake
    inside systemctl stop dormouse.service
    equal 'after a stop' 'stopped stopped' "$(why_json 'look["state"] + " " + look["life"]["end"]')"
    equal 'the answer' hello "$(get /hello)"
    wait_until 5 answers awake
    equal 'the wakes' $((before + 2)) "$(why_json 'look["wakes"]')"
    local pid
    pid=$(property dormouse.service MainPID)
    inside /bin/sh -c "kill -9 $pid"
    # Restart=on-failure brings it back by itself.
    wait_until 10 is_another_process "$pid"
    wait_until 5 answers awake
    equal 'the wakes' $((before + 3)) "$(why_json 'look["wakes"]')"
    equal 'the ends' 'lost stopped' "$(why_json '" ".join(life["end"] for life in look["history"][:2])')"
    no_failed_unit
}
is_another_process() { is_awake && [[ $(property dormouse.service MainPID) != "$1" ]]; }

lists_all() {
    put /etc/dormouse/never.toml <<<"$ROUTES"
    local text
    text=$(inside dormouse why)
    grep -E '^dormouse +(awake|asleep|stopped)' <<<"$text"
    grep -E '^never +not run' <<<"$text"
    inside rm /etc/dormouse/never.toml
    local status=0
    inside dormouse why never || status=$?
    equal 'the exit code for a name that is not there' 64 "$status"
}

check '`dormouse why` tells the last story and wakes nobody' wakes_nobody
check 'it names a slow request' names_a_slow_request
check 'it is for root and the group dormouse' is_for_the_group
check 'wakes and history survive a stop and a kill -9' history_survives
check 'without a name it lists all instances' lists_all
