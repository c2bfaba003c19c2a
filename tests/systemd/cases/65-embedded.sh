# shellcheck shell=bash disable=SC2329
# What the daemon cannot be told to do, seen on a program with the same engine in a unit with the same settings.

# asleep_but_not_gone: the fixture has said goodbye and looked for the last time, and its process is still there.
asleep_but_not_gone() {
    fixture_unit
    close_gate
    equal 'the answer' ok "$(ask_fixture /)"
    wait_until 10 is_leaving fixture
}

answers_what_comes_after_the_last_look() {
    asleep_but_not_gone
    local first second path tcp
    first=$(property fixture.service InvocationID)
    # Two requests on their way, one in each queue, before the process that will not answer them is gone.
    tcp=$MACHINE_DIR/tcp path=$MACHINE_DIR/path
    ask_fixture / >"$tcp" &
    local by_tcp=$!
    inside curl --silent --max-time 20 --unix-socket "$FIXTURE_PATH" http://fixture/ >"$path" &
    local by_path=$!
    wait_until 5 waits_in_the_queue "$FIXTURE_PORT"
    equal 'the process' "$first" "$(property fixture.service InvocationID)"
    is_leaving fixture
    open_gate
    wait "$by_tcp" "$by_path"
    equal 'the answer by TCP' ok "$(cat "$tcp")"
    equal 'the answer by the path' ok "$(cat "$path")"
    second=$(property fixture.service InvocationID)
    [[ $first != "$second" ]] || { echo 'the process that had said goodbye answered' && return 1; }
    falls_asleep fixture
    equal 'its result' success "$(property fixture.service Result)"
    equal 'restarts' 0 "$(property fixture.service NRestarts)"
}

# A listener's Recv-Q is the length of its queue (proc_net_tcp: rx_queue, of a socket in state 0A).
waits_in_the_queue() {
    local row
    row=$(inside cat /proc/net/tcp | awk -v port="$(printf ':%04X' "$1")" '$4 == "0A" && index($2, port) { print $5 }')
    [[ -n $row && $row != *:00000000 ]]
}

# systemd closes the port, so nobody can serve who waits there: it is the administrator's wish.
stopped_socket_cuts_off_its_queue() {
    asleep_but_not_gone
    ask_fixture / >/dev/null 2>&1 &
    local client=$! status=0
    wait_until 5 waits_in_the_queue "$FIXTURE_PORT"
    inside systemctl stop --no-block fixture.socket
    open_gate
    wait "$client" || status=$?
    # curl: 52 no answer, 56 reset.
    [[ $status == 52 || $status == 56 ]] || { echo "curl ended with $status" && return 1; }
    wait_until 5 is_stopped fixture
    inside systemctl start fixture.socket
    equal 'the answer' ok "$(ask_fixture /)"
}
is_stopped() { [[ $(state_of "$1.socket") == inactive && $(state_of "$1.service") == inactive ]]; }

ends_with_its_children() {
    fixture_unit Environment=FIXTURE_AFTER=2000 # time to look at the child
    local child first
    child=$(ask_fixture /child)
    first=$(property fixture.service InvocationID)
    inside test -d "/proc/$child"
    falls_asleep fixture
    inside test ! -d "/proc/$child" || { echo 'the child lives on' && return 1; }
    equal 'its result' success "$(property fixture.service Result)"
    equal 'the answer' ok "$(ask_fixture /)"
    [[ $first != "$(property fixture.service InvocationID)" ]]
}

blocked_process_is_replaced() {
    fixture_unit WatchdogSec=1s
    local first mark client status=0
    mark=$(journal_mark)
    first=$(ask_fixture / && property fixture.service InvocationID)
    # It says nothing more to whoever asked for it; the next one, who waits in the queue, gets an answer.
    ask_fixture /block >/dev/null 2>&1 &
    client=$!
    wait_until 5 is_blocked
    equal 'the answer' ok "$(ask_fixture /)"
    wait "$client" || status=$?
    [[ $status == 52 || $status == 56 ]] || { echo "the one who blocked it: curl ended with $status" && return 1; }
    [[ $first != "ok$(property fixture.service InvocationID)" ]]
    contains 'the journal' 'Watchdog timeout' "$(journal_since "$mark" fixture)"
    contains 'the journal' 'status=6/ABRT' "$(journal_since "$mark" fixture)"
    falls_asleep fixture
}
# Alive, and not the next process already: its port answers nobody.
is_blocked() { refute ask_fixture / 0.2 >/dev/null 2>&1; }

check 'a request after the last look is answered by the next process, by TCP and by path' \
    answers_what_comes_after_the_last_look
check 'stopping the socket cuts off whoever waits in its queue, and starting it serves again' \
    stopped_socket_cuts_off_its_queue
check 'a child that is left behind ends with the service, and the socket listens again' ends_with_its_children
check 'a blocked process is killed by the watchdog, and the next request is answered' blocked_process_is_replaced
fixture_gone
