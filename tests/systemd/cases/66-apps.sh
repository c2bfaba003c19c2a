# shellcheck shell=bash disable=SC2329
# Apps that are programs: below dormouse, in the sandbox of its service.

THREE="$(run_app pass '' 'socket = "pass"')
$(run_app unix '"--unix", "{socket}"' 'socket = "unix"')
$(run_app port '')"

wakes_and_sleeps() {
    app_program
    configure "$FAST_SLEEP$ROUTES$THREE"
    local name first again
    for name in pass unix port; do
        first=$(asked "/$name/first?x=1")
        is_process "$first"
        falls_asleep
        is_gone "$first"
        again=$(asked "/$name/again")
        [[ $again != "$first" ]]
    done
    falls_asleep
    nothing_lingers
    no_failed_unit
}

has_an_environment_of_its_own() {
    configure "$(run_app env '' 'env = { MODE = "test", ADDRESS = "127.0.0.1:{port}" }')"
    local app state=/var/lib/dormouse/dormouse all
    app=$(asked /env/)
    all=$(inside /bin/sh -c "tr '\\0' '\\n' </proc/$app/environ")
    equal 'its variables' 'ADDRESS HOME MODE PATH PORT USER' \
        "$(cut -d = -f 1 <<<"$all" | grep -v '^LANG$' | sort | paste -sd ' ')"
    contains 'its environment' "HOME=$state" "$all"
    contains 'its environment' "ADDRESS=127.0.0.1:$(sed -n 's/^PORT=//p' <<<"$all")" "$all"
    equal 'its folder' "$state" "$(inside readlink "/proc/$app/cwd")"
}

# What is asked of an app that sleeps is not what dormouse sleeps by: it leaves with its last app, at once.
leaves_with_its_last_app() {
    configure $'[sleep]\nafter = "1s"\nmin_awake = "0s"\n'"$(run_app wiki '' 'sleep_after = "3s"')"
    local mark
    mark=$(journal_mark)
    asked /wiki/ >/dev/null
    wait_until 10 has_slept_since "$mark"
    messages_since "$mark"
    is_asleep
}

is_named_while_it_is_awake() {
    configure "$(run_app wiki '')"
    asked /wiki/ >/dev/null
    wait_until 5 status_has 'app wiki'
    local text
    text=$(inside dormouse why dormouse)
    grep -E '^ +app +wiki +' <<<"$text" || { echo "$text" && return 1; }
}

leaves_nothing_in_the_cgroup() {
    configure "$(run_app family '"--family",')"
    asked /family/ >/dev/null
    equal 'processes, dormouse included' 6 "$(processes_of_dormouse | wc -l)"
    inside systemctl stop dormouse.socket dormouse.service
    nothing_lingers
    equal 'its result' success "$(property dormouse.service Result)"
    inside systemctl start dormouse.socket
    # The socket is armed: nothing has kept the unit from being over.
    asked /family/ >/dev/null
    inside systemctl stop dormouse.service
    nothing_lingers
}

# Who has asked is answered, by an app that was started for it; then both end.
stopped_while_an_app_starts() {
    configure "$(run_app slow '"--slow", "2"')"
    get /slow/ >"$MACHINE_DIR/answer" &
    local client=$!
    wait_until 5 runs_app
    inside systemctl stop dormouse.service
    wait "$client"
    contains 'the answer' ' /slow/' "$(cat "$MACHINE_DIR/answer")"
    nothing_lingers
    equal 'its result' success "$(property dormouse.service Result)"
}
runs_app() { [[ $(processes_of_dormouse) == *"$APP_PROGRAM"* ]]; }

# One that takes longer than the drain is given up.
given_up_while_it_starts() {
    configure $'[sleep]\ndrain = "1s"\n'"$(run_app slow '"--deaf", "--slow", "60"')"
    status_and_body /slow/ >"$MACHINE_DIR/answer" &
    local client=$! began=$SECONDS
    wait_until 5 runs_app
    inside systemctl stop dormouse.service
    ((SECONDS - began <= 9)) || { echo "it took $((SECONDS - began)) s" && return 1; }
    wait "$client" || true # answered or cut
    nothing_lingers
    no_failed_unit
}

a_deaf_one_is_killed() {
    configure "$(run_app deaf '"--deaf"' 'stop_within = "1s"')"
    local app began took_ms mark
    app=$(asked /deaf/)
    mark=$(journal_mark)
    began=${EPOCHREALTIME/[.,]/}
    inside systemctl stop dormouse.service
    took_ms=$(((${EPOCHREALTIME/[.,]/} - began) / 1000))
    ((took_ms >= 1000 && took_ms < 5000)) || { echo "it took $took_ms ms" && return 1; }
    is_gone "$app"
    nothing_lingers
    says_since "$mark" 'app deaf did not end within 1s of SIGTERM (stop_within): killed'
    equal 'its result' success "$(property dormouse.service Result)"
}

# The longest stop there is: a request that never ends, and then an app that does not hear. It has five seconds more than
# the drain, whatever its own stop_within, and that is less than systemd waits.
the_longest_stop_is_short_enough() {
    configure $'[sleep]\ndrain = "2s"\n'"$(run_app deaf '"--deaf"' 'stop_within = "10m"')"
    local mark client began
    mark=$(journal_mark)
    status_and_body /deaf/never >"$MACHINE_DIR/answer" &
    client=$!
    wait_until 5 says_since "$mark" 'never answers'
    began=$SECONDS
    inside systemctl stop dormouse.service
    ((SECONDS - began >= 6 && SECONDS - began <= 10)) || { echo "it took $((SECONDS - began)) s" && return 1; }
    wait "$client" || true
    nothing_lingers
    messages_since "$mark"
    refute says_since "$mark" 'timed out'
}

ends_with_a_killed_dormouse() {
    configure "$(run_app family '"--family",')"
    local app before pid
    app=$(asked /family/)
    before=$(property dormouse.service InvocationID)
    pid=$(property dormouse.service MainPID)
    inside /bin/sh -c "kill -9 $pid"
    wait_until 5 is_gone "$app"
    [[ $(asked /family/) != "$app" ]]
    [[ $before != "$(property dormouse.service InvocationID)" ]]
    equal 'processes, dormouse included' 6 "$(processes_of_dormouse | wc -l)"
    inside systemctl stop dormouse.service
    nothing_lingers
    no_failed_unit
}

# node writes memory that it then runs, which the sandbox does not let it.
wants_the_drop_in() {
    put /srv/app/server.js <<<"require('http').createServer((request, answer) =>
        answer.end('node ' + request.url + '\n')).listen(process.env.PORT, '127.0.0.1')"
    configure "$FAST_SLEEP$(app node 'run = ["node", "/srv/app/server.js"]')"
    equal 'denies before' yes "$(property dormouse.service MemoryDenyWriteExecute)"
    local mark page said
    mark=$(journal_mark)
    page=$(status_and_body /node/)
    contains 'the page' ' 502' "$page"
    said=$(messages_since "$mark")
    contains 'the journal' 'programs.conf' "$said"
    local id
    id=$(sed -n 's/.*app node failed (id \([^)]*\)).*/\1/p' <<<"$said" | head -n 1)
    contains 'the page' "${id:-no id in the journal}" "$page"
    said=$(inside dormouse check)
    contains 'check' 'warning: app node' "$said"
    # As it says:
    inside /bin/sh -euc "$(grep -E '^(mkdir|cp|systemctl) ' <<<"$said")"
    equal 'what verify says' '' "$(inside systemd-analyze verify --man=no dormouse.service 2>&1)"
    equal 'denies after' no "$(property dormouse.service MemoryDenyWriteExecute)"
    refute grep warning <<<"$(inside dormouse check)"
    equal 'the answer' 'node /node/' "$(get /node/)"
    falls_asleep
    equal 'the answer' 'node /node/again' "$(get /node/again)"
    falls_asleep
    nothing_lingers
    inside rm -r /etc/systemd/system/dormouse.service.d
    inside systemctl daemon-reload
}

check 'programs wake with a request and sleep: a passed socket, a path, a port' wakes_and_sleeps
check 'a program has an environment of its own' has_an_environment_of_its_own
check 'dormouse leaves with its last app' leaves_with_its_last_app
check 'the status and `dormouse why` name an app that is awake' is_named_while_it_is_awake
check 'stopped, it leaves nothing of an app in the cgroup' leaves_nothing_in_the_cgroup
check 'stopped while an app starts, it answers who has asked' stopped_while_an_app_starts
check 'an app that starts for too long is given up at a stop' given_up_while_it_starts
check 'an app that does not hear SIGTERM is killed' a_deaf_one_is_killed
check 'the longest stop is shorter than TimeoutStopSec' the_longest_stop_is_short_enough
check 'no app survives a killed dormouse' ends_with_a_killed_dormouse
check 'node says that it wants programs.conf, and runs with it' wants_the_drop_in
