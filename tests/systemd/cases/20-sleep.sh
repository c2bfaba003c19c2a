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
}

sleeps_when_started_by_hand() {
    inside systemctl start dormouse.service
    is_awake
    falls_asleep
}

health_is_json() {
    get /healthz | python3 -c 'import json, sys; print(json.load(sys.stdin)["phase"])'
    falls_asleep
}

wake_once() {
    equal 'the answer' hello "$(get /hello)"
    falls_asleep
}

many_wakes() {
    configure $'[sleep]\nafter = "20ms"\nmin_awake = "0s"\n'"$ROUTES"
    local mark invocations i started=$SECONDS
    mark=$(journal_mark)
    for ((i = 0; i < 60; i++)); do wake_once; done
    echo "60 wakes took $((SECONDS - started)) s"
    no_failed_unit
    invocations=$(journal_since "$mark" | grep -o '"_SYSTEMD_INVOCATION_ID":"[0-9a-f]*"' | sort -u | wc -l)
    equal 'processes that wrote to the journal' 60 "$invocations"
}

nothing_lost_at_the_edge() {
    configure "$EDGE_SLEEP$ROUTES"
    under_load --edge 4 --after 0.055 -- sleep 5
    no_failed_unit
    falls_asleep
}

check 'it sleeps after `after` and wakes again' sleeps_and_wakes_again
check 'started by hand it sleeps too' sleeps_when_started_by_hand
check 'show = "health" answers with JSON' health_is_json
check '60 wakes in a row fail no unit' many_wakes
check 'no request is lost where it is about to fall asleep' nothing_lost_at_the_edge
