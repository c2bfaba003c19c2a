# shellcheck shell=bash disable=SC2329
awake_with() {
    configure "$1$ROUTES"
    equal 'the answer' hello "$(get /hello)"
}

stop_ends_both() {
    awake_with ''
    inside systemctl stop dormouse.socket
    equal 'the service' inactive "$(state_of dormouse.service)"
    equal 'the socket' inactive "$(state_of dormouse.socket)"
    equal 'its result' success "$(property dormouse.service Result)"
    refute get /hello
    inside systemctl start dormouse.socket
    equal 'the answer' hello "$(get /hello)"
}

# wrk counts a connection that was closed in order as a read error unless its last answer announced it.
restarts_lose_nothing() {
    awake_with ''
    local before wrk=$MACHINE_DIR/wrk client
    before=$(property dormouse.service InvocationID)
    # Not by `beside`: the signal must reach wrk itself.
    nsenter --target "$LEADER" --net -- nice wrk --threads 1 --connections 4 --duration 10m --timeout 20s \
        http://127.0.0.1:8080/hello >"$wrk" 2>&1 &
    client=$!
    under_load --fresh 2 --keepalive 2 --http2 2 -- \
        /bin/sh -c 'for i in $(seq 100); do systemctl restart dormouse.service || exit 1; done'
    kill -INT "$client"
    wait "$client"
    cat "$wrk"
    contains 'what wrk says' 'requests in' "$(cat "$wrk")"
    refute grep -E 'Socket errors|Non-2xx' "$wrk"
    [[ $before != "$(property dormouse.service InvocationID)" ]]
    no_failed_unit
}

reload_loses_nothing() {
    awake_with ''
    local before
    before=$(property dormouse.service InvocationID)
    under_load --fresh 2 --keepalive 2 -- \
        /bin/sh -c 'for i in 1 2 3 4 5; do systemctl reload dormouse.service || exit 1; done'
    equal 'the process' "$before" "$(property dormouse.service InvocationID)"
}

# A long download must not make anybody else wait for the restart that waits for it: 15 s, less than `sleep.drain`.
restart_waits_for_a_download() {
    slow_file 60000000
    get /hello >/dev/null
    local client began=$SECONDS
    download &
    client=$!
    wait_until 5 is_downloading
    under_load --fresh 2 --keepalive 1 --http2 1 --slowest 1 -- systemctl restart dormouse.service
    ((SECONDS - began >= 5)) || { echo 'the restart did not wait for the download' && return 1; }
    wait "$client"
    download_is_whole
}

socket_restart_leaves_a_live_port() {
    awake_with "$FAST_SLEEP"
    local i
    for ((i = 0; i < 8; i++)); do # more often than a start limit would allow
        inside systemctl restart dormouse.socket
        equal 'the answer' hello "$(get /hello)"
    done
    falls_asleep
    equal 'the answer' hello "$(get /hello)"
    no_failed_unit
}

reload_of_systemd_at_the_edge() {
    configure "$EDGE_SLEEP$ROUTES"
    under_load --edge 3 --after 0.054 -- /bin/sh -c "for i in 1 2 3 4 5 6; do systemctl $1 || exit 1; sleep 0.1; done"
    no_failed_unit
    falls_asleep
}

pings_the_watchdog() {
    awake_with ''
    local first
    inside mkdir -p /run/systemd/system/dormouse.service.d
    put /run/systemd/system/dormouse.service.d/watchdog.conf <<<$'[Service]\nWatchdogSec=1s'
    inside systemctl daemon-reload
    inside systemctl restart dormouse.service
    first=$(property dormouse.service InvocationID)
    under_load --fresh 1 -- sleep 3
    equal 'the process' "$first" "$(property dormouse.service InvocationID)"
}

check 'stopping the socket stops both' stop_ends_both
check '100 restarts under load lose no request' restarts_lose_nothing
check 'a reload under load loses no request' reload_loses_nothing
check 'a restart waits for a download, and nobody else does' restart_waits_for_a_download
check 'restarting the socket leaves a live port' socket_restart_leaves_a_live_port
check 'daemon-reload where it falls asleep loses no request' reload_of_systemd_at_the_edge daemon-reload
check 'daemon-reexec where it falls asleep loses no request' reload_of_systemd_at_the_edge daemon-reexec
check 'the watchdog is pinged' pings_the_watchdog
