# shellcheck shell=bash disable=SC2329
kill_loses_only_what_is_in_flight() {
    configure "$ROUTES"
    local i before pid
    for ((i = 0; i < 4; i++)); do
        get /hello >/dev/null
        before=$(property dormouse.service InvocationID)
        pid=$(property dormouse.service MainPID)
        # Until it is gone: kill(2) does not wait for that.
        under_load --fresh 3 --keepalive 3 --http2 2 --may-lose -- \
            /bin/sh -c "kill -9 $pid && while test -d /proc/$pid; do :; done"
        [[ $before != "$(property dormouse.service InvocationID)" ]] || { echo 'it lives on' && return 1; }
    done
    no_failed_unit
}

# Without start and trigger limits it is RestartSec= that keeps a broken program from being started all the time.
crash_at_the_start_is_paced() {
    configure "$ROUTES"
    inside mkdir -p /run/systemd/system/dormouse.service.d
    put /run/systemd/system/dormouse.service.d/broken.conf <<<$'[Service]\nExecStart=\nExecStart=/bin/false'
    inside systemctl daemon-reload
    local mark starts elapsed_ms
    mark=$(journal_mark)
    elapsed_ms=${EPOCHREALTIME/[.,]/}
    inside curl --silent --max-time 60 http://127.0.0.1:8080/hello >"$MACHINE_DIR/answer" & # from the first crash on
    wait_until 20 has_crashed "$mark" 4
    starts=$(crashes_since "$mark")
    elapsed_ms=$(((${EPOCHREALTIME/[.,]/} - elapsed_ms) / 1000))
    # RestartSec=500ms; a tenth is allowed for systemd's timers.
    ((starts <= 2 + elapsed_ms / 450)) || { echo "$starts crashes in $elapsed_ms ms" && return 1; }
    equal 'the socket' active "$(state_of dormouse.socket)"
    inside rm /run/systemd/system/dormouse.service.d/broken.conf
    inside systemctl daemon-reload
    wait $!
    equal 'the answer to who has waited' hello "$(cat "$MACHINE_DIR/answer")"
    is_awake
    no_failed_unit
}
crashes_since() { journal_since "$1" | grep -c '"MESSAGE":"dormouse.service: Main process exited' || true; }
has_crashed() { (($(crashes_since "$1") >= $2)); }

check 'kill -9 under load loses only what was in flight' kill_loses_only_what_is_in_flight
check 'a program that crashes at its start is started at a steady pace; its port lives on' crash_at_the_start_is_paced
