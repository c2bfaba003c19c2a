# shellcheck shell=bash disable=SC2329
# `sleep.drain` and not TimeoutStopSec= decides: systemd is asked for more time before its own is over.
stop_takes_longer_than_its_timeout() {
    slow_file 40000000
    inside mkdir -p /run/systemd/system/dormouse.service.d
    put /run/systemd/system/dormouse.service.d/timeout.conf <<<$'[Service]\nTimeoutStopSec=2s'
    inside systemctl daemon-reload
    get /hello >/dev/null
    local began
    download &
    local client=$!
    wait_until 5 is_downloading
    began=$SECONDS
    inside systemctl stop dormouse.service
    ((SECONDS - began >= 4)) || { echo 'it did not wait for the download' && return 1; }
    wait "$client"
    download_is_whole
    equal 'its result' success "$(property dormouse.service Result)"
    equal 'its exit status' 0 "$(property dormouse.service ExecMainStatus)"
}

# At any moment of the start: before its signal handlers, while it reads its config, before READY=1.
stopped_while_it_starts() {
    configure "$ROUTES"
    local i
    mkdir -p "$MACHINE_DIR/answers"
    for ((i = 0; i < 25; i++)); do
        get /hello >"$MACHINE_DIR/answers/$i" &
        inside /bin/bash -c 'until test "$(systemctl is-active dormouse.service)" != inactive; do :; done
            sleep "0.$(printf %03d $((RANDOM % 80)))"
            systemctl --quiet stop dormouse.service'
        wait $!
        equal 'the answer' hello "$(cat "$MACHINE_DIR/answers/$i")"
    done
    no_failed_unit
    inside systemctl --quiet stop dormouse.service
    equal 'its result' success "$(property dormouse.service Result)"
}

# The socket goes on listening, so the next client starts it again.
stop_of_the_service_loses_nothing() {
    configure "$ROUTES"
    get /hello >/dev/null
    local before
    before=$(property dormouse.service InvocationID)
    # One that is just being started is let be: a start that a client wants may replace the stop.
    under_load --fresh 2 --keepalive 2 --http2 1 -- /bin/sh -c 'for i in 1 2 3 4 5; do
        until systemctl --quiet is-active dormouse.service; do :; done
        systemctl --quiet stop dormouse.service || exit 1
    done'
    [[ $before != "$(property dormouse.service InvocationID)" ]]
    is_awake
    no_failed_unit
}

check 'a stop may take longer than TimeoutStopSec: the request is finished' stop_takes_longer_than_its_timeout
check 'stopped while it starts it ends well, and who waits is answered' stopped_while_it_starts
check 'stopping the service alone loses no request: the next client starts it' stop_of_the_service_loses_nothing
