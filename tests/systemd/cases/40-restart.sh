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

restart_loses_nothing() {
    awake_with ''
    local before
    before=$(property dormouse.service InvocationID)
    under_load --fresh 2 --keepalive 2 -- \
        /bin/sh -c 'for i in 1 2 3; do systemctl restart dormouse.service || exit 1; done'
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

# A long download must not make anybody else wait for the restart that waits for it. 15 s: far more than the kernel
# holds in its buffers, and less than `sleep.drain`.
restart_waits_for_a_download() {
    awake_with "$(printf '[[route]]\npath = "/files/"\nfiles = "/srv/www"\n')"
    inside /bin/sh -c 'mkdir -p /srv/www && head -c 60000000 /dev/zero >/srv/www/large'
    inside curl --silent --fail --limit-rate 4M --output /tmp/large http://127.0.0.1:8080/files/large &
    local download=$! began=$SECONDS
    wait_until 5 inside test -s /tmp/large
    under_load --fresh 2 --slowest 1 -- systemctl restart dormouse.service
    ((SECONDS - began >= 5)) || { echo 'the restart did not wait for the download' && return 1; }
    wait "$download"
    equal 'bytes' 60000000 "$(inside stat -c %s /tmp/large)"
    inside rm -r /tmp/large /srv/www
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

killed_process_is_followed_by_another() {
    awake_with "$FAST_SLEEP"
    inside systemctl kill --kill-whom=main --signal=KILL dormouse.service
    equal 'the answer' hello "$(get /hello)"
    falls_asleep
    equal 'the answer' hello "$(get /hello)"
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
check 'a restart under load loses no request' restart_loses_nothing
check 'a reload under load loses no request' reload_loses_nothing
check 'a restart waits for a download, and nobody else does' restart_waits_for_a_download
check 'restarting the socket leaves a live port' socket_restart_leaves_a_live_port
check 'daemon-reload where it falls asleep loses no request' reload_of_systemd_at_the_edge daemon-reload
check 'daemon-reexec where it falls asleep loses no request' reload_of_systemd_at_the_edge daemon-reexec
check 'after kill -9 the next request is answered' killed_process_is_followed_by_another
check 'the watchdog is pinged' pings_the_watchdog
