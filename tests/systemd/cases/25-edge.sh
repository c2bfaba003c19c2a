# shellcheck shell=bash disable=SC2329
# Where it is about to fall asleep. DORMOUSE_LONG=1 goes on for ten thousand rounds.
EDGE_ROUNDS=250
[[ -z ${DORMOUSE_LONG-} ]] || EDGE_ROUNDS=10000
EDGE_PATH=/run/dormouse-edge.sock

# Both kinds of sockets, and a process that leaves after 50 ms of quiet.
at_the_edge() {
    configure "$EDGE_SLEEP$ROUTES"
    put /run/systemd/system/dormouse.socket.d/path.conf <<<$'[Socket]\nListenStream='"$EDGE_PATH"
    inside systemctl daemon-reload
    inside systemctl restart dormouse.socket
}

sleeps_since() { journal_since "$1" | grep -c '"MESSAGE":"asleep: '; }

nothing_lost_at_the_edge() {
    at_the_edge
    local mark sleeps
    mark=$(journal_mark)
    under_load --edge 4 --after 0.054 --rounds "$EDGE_ROUNDS" -- true
    no_failed_unit
    falls_asleep
    sleeps=$(sleeps_since "$mark")
    ((sleeps >= EDGE_ROUNDS / 10)) || { echo "it slept only $sleeps times" && return 1; }
}

burst() {
    beside python3 "$HERE/burst.py" --after 0.054 --path "/proc/$LEADER/root$EDGE_PATH" "$@"
}

bursts_are_answered() {
    at_the_edge
    local mark sleeps
    mark=$(journal_mark)
    burst --rounds 12 "$@"
    no_failed_unit
    falls_asleep
    sleeps=$(sleeps_since "$mark")
    ((sleeps >= 3)) || { echo "it slept only $sleeps times" && return 1; }
    equal 'the answer' hello "$(get /hello)"
}

# wakes COUNT: one client after the other, by turns at either socket, each of which finds it asleep.
wakes() {
    inside timeout 120 /bin/bash -ec "for ((i = 0; i < $1; i++)); do
        state='' options=(); ((i % 2)) || options=(--unix-socket $EDGE_PATH)
        test \"\$(curl --silent \"\${options[@]}\" http://127.0.0.1:8080/hello)\" = hello
        until [[ \$state == *ActiveState=inactive* ]]; do
            state=\$(systemctl show --property=ActiveState,StatusText dormouse.service)
        done
        [[ \$state == *StatusText=asleep* ]] || { echo \"the last that systemd heard: \$state\"; exit 1; }
    done"
}

# Five and more a second, where a start limit allows one in two and a trigger limit ten.
many_wakes() {
    at_the_edge
    configure $'[sleep]\nafter = "20ms"\nmin_awake = "0s"\n'"$ROUTES"
    local mark journal line inode densest
    mark=$(journal_mark)
    inode=$(inside stat -c %i "$EDGE_PATH")
    wakes 100
    no_failed_unit
    equal 'the socket' listening "$(property dormouse.socket SubState)"
    equal 'the inode of its path' "$inode" "$(inside stat -c %i "$EDGE_PATH")"
    equal 'restarts' 0 "$(property dormouse.service NRestarts)"
    journal=$(journal_since "$mark")
    for line in awake asleep; do
        equal "lines that begin with $line" 100 "$(grep -c "\"MESSAGE\":\"$line: " <<<"$journal")"
    done
    equal 'processes' 100 "$(grep -o '"_SYSTEMD_INVOCATION_ID":"[0-9a-f]*"' <<<"$journal" | sort -u | wc -l)"
    densest=$(grep '"MESSAGE":"awake: ' <<<"$journal" | densest_ten_seconds)
    ((densest > 20)) || { echo "only $densest wakes within ten seconds: no limit would have stopped them" && return 1; }
}

densest_ten_seconds() {
    python3 -c 'import json, sys
times = sorted(int(json.loads(line)["__REALTIME_TIMESTAMP"]) for line in sys.stdin)
print(max(sum(first <= time < first + 10_000_000 for time in times) for first in times))'
}

# Stops that come at any moment around the end of the quiet. systemd tells what it was told: one STOPPING=1 a process, and
# one BARRIER=1, without which the last messages of a process that is gone at once may reach nobody.
stopped_at_the_edge() {
    at_the_edge
    local mark
    mark=$(journal_mark)
    inside systemctl log-level debug
    inside timeout 120 /bin/bash -ec 'for ((i = 0; i < 30; i++)); do
        test "$(curl --silent http://127.0.0.1:8080/hello)" = hello
        sleep "0.$(printf %03d $((RANDOM % 50)))"
        if ((i % 2)); then systemctl --quiet stop dormouse.service; else
            systemctl --quiet kill --kill-whom=main --signal=TERM dormouse.service || true # it may be gone
            while test "$(systemctl is-active dormouse.service)" != inactive; do :; done
        fi
        end=$(systemctl show --property=Result,ExecMainCode,ExecMainStatus dormouse.service | sort | xargs)
        test "$end" = "ExecMainCode=1 ExecMainStatus=0 Result=success" || { echo "it ended with $end"; exit 1; }
    done'
    inside systemctl log-level info
    no_failed_unit
    inside journalctl --sync
    inside journalctl --after-cursor="$mark" --output=json |
        python3 "$HERE/ends.py" 30 "$(inside systemctl --version | sed -n 's/^systemd \([0-9]*\).*/\1/p')"
    equal 'the answer' hello "$(get /hello)"
}

gives_up_while_it_starts() {
    at_the_edge
    local mark
    mark=$(journal_mark)
    # Whoever asked is gone before anybody has read it; a mute one is gone before it is accepted.
    burst --rounds 3 --quitting 1
    burst --rounds 3 --mute 1
    wait_until 10 has_slept_since "$mark"
    falls_asleep
    equal 'its result' success "$(property dormouse.service Result)"
    no_failed_unit
    equal 'the answer' hello "$(get /hello)"
    falls_asleep
}

check 'nothing is lost where it is about to fall asleep' nothing_lost_at_the_edge
check '100 wakes in a row fail no unit, keep socket and path, and each tells its story' many_wakes
check 'a burst of clients by TCP and by path is answered at the edge of sleep' bursts_are_answered --asking 100
check 'a flood of connections at the edge of sleep fails no unit' \
    bursts_are_answered --asking 5 --mute 60 --quitting 60
check 'it sleeps again after a client that gave up while it started' gives_up_while_it_starts
check 'a stop at the edge of sleep is one end, and never a failure' stopped_at_the_edge
inside rm -f "$EDGE_PATH"
