# shellcheck shell=bash disable=SC2329
# One cycle, and its story: a wake line and a sleep line of the service's own process, at priority info.
story_of_one_cycle() {
    local mark
    configure "$1$ROUTES"
    mark=$(journal_mark)
    equal 'the answer' hello "$(get /hello)"
    falls_asleep
    journal_since "$mark" | python3 "$HERE/story.py"
}

survives_a_restart_of_journald() {
    configure $'[sleep]\nafter = "3s"\n'"$ROUTES" # awake while journald is away, and a while longer
    equal 'the answer' hello "$(get /hello)"
    local mark
    mark=$(journal_mark)
    inside systemctl restart systemd-journald.service
    is_awake
    falls_asleep
    contains 'the journal' 'asleep: ' "$(journal_since "$mark")"
}

explains_itself() { contains 'journalctl -x' 'dormouse is awake' "$(inside journalctl --catalog --unit=dormouse)"; }

check 'the journal tells of the wake and the sleep' story_of_one_cycle "$FAST_SLEEP"
check 'also for a process that lives for 50 ms' story_of_one_cycle "$EDGE_SLEEP"
check 'journalctl -x explains the lines' explains_itself
check 'it goes on telling after a restart of journald' survives_a_restart_of_journald
