# shellcheck shell=bash disable=SC2329
sleeps_and_wakes_again() {
    configure "$FAST_SLEEP$ROUTES"
    local first second
    equal 'the answer' hello "$(get /hello)"
    first=$(property dormouse.service InvocationID)
    falls_asleep
    equal 'its result' success "$(property dormouse.service Result)"
    equal 'the answer' hello "$(get /hello)"
    second=$(property dormouse.service InvocationID)
    [[ $first != "$second" ]]
    falls_asleep
    equal 'restarts' 0 "$(property dormouse.service NRestarts)"
}

sleeps_when_started_by_hand() {
    local mark
    mark=$(journal_mark)
    inside systemctl start dormouse.service
    wait_until 10 has_slept_since "$mark"
    falls_asleep
    equal 'its result' success "$(property dormouse.service Result)"
}

health_is_json() {
    get /healthz | python3 -c 'import json, sys; print(json.load(sys.stdin)["phase"])'
    falls_asleep
}

# As the comments of dormouse.socket and the manual tell.
moves_to_another_port() {
    configure "$FAST_SLEEP$ROUTES"
    put /etc/systemd/system/dormouse.socket.d/port.conf <<<$'[Socket]\nListenStream=\nListenStream=8088'
    inside systemctl daemon-reload
    inside systemctl restart dormouse.socket
    equal 'the answer' hello "$(inside curl --silent --max-time 20 http://127.0.0.1:8088/hello)"
    equal 'the answer on IPv6' hello "$(inside curl --silent --max-time 20 'http://[::1]:8088/hello')"
    refute get /hello
    falls_asleep
    put /etc/systemd/system/dormouse.socket.d/port.conf <<<$'[Socket]\nListenDatagram=127.0.0.1:8080'
    inside systemctl daemon-reload
    inside systemctl restart dormouse.socket
}

# Left in the kernel's queue it would start the service again and again.
is_not_kept_awake_by_datagrams() {
    local mark
    mark=$(journal_mark)
    beside python3 -c 'import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 8080))'
    wait_until 5 has_slept_since "$mark"
    falls_asleep
    equal 'wakes' 1 "$(journal_since "$mark" | grep -c '"MESSAGE":"awake')"
    equal 'the answer' hello "$(get /hello)"
    falls_asleep
}

check 'it sleeps after `after` and wakes again' sleeps_and_wakes_again
check 'started by hand it sleeps too' sleeps_when_started_by_hand
check 'show = "health" answers with JSON' health_is_json
check 'a drop-in moves it to another port' moves_to_another_port
check 'a datagram that nothing handles wakes it once' is_not_kept_awake_by_datagrams
