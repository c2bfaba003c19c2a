# shellcheck shell=bash disable=SC2329
BAD=$'[sleep]\nafter = "1s"\nafterr = "2s"\n'

refuses_a_bad_reload() {
    configure "$ROUTES"
    equal 'the answer' hello "$(get /hello)"
    local mark before
    before=$(property dormouse.service InvocationID)
    mark=$(journal_mark)
    put "$CONFIG" <<<"$BAD"
    refute inside systemctl reload dormouse.service
    contains 'the journal' 'dormouse.toml:3:1' "$(inside journalctl --sync && inside journalctl -u dormouse --after-cursor="$mark" -o cat)"
    equal 'the answer' hello "$(get /hello)"
    equal 'the process' "$before" "$(property dormouse.service InvocationID)"
}

check_exits_78() {
    local status=0
    inside dormouse check >/dev/null 2>&1 || status=$?
    equal 'dormouse check' 78 "$status"
}

serves_the_last_good_config() {
    put "$CONFIG" <<<"$BAD"
    inside systemctl --quiet stop dormouse.service
    equal 'the answer' hello "$(get /hello)"
    status_names_the_line
}

# Told on change, but at most once a second.
status_names_the_line() { wait_until 3 status_mentions dormouse.toml:3; }
status_mentions() { [[ $(property dormouse.service StatusText) == *"$1"* ]]; }
status_forgets_the_line() { wait_until 3 status_does_not_mention dormouse.toml:3; }
status_does_not_mention() { [[ $(property dormouse.service StatusText) != *"$1"* ]]; }

answers_503_without_a_good_one() {
    inside systemctl --quiet stop dormouse.service
    inside rm -rf /var/lib/dormouse/dormouse
    put "$CONFIG" <<<"$BAD"
    equal 'the status' 503 "$(status_of /hello)"
    status_names_the_line
    no_failed_unit
}

takes_up_the_mended_file() {
    put "$CONFIG" <<<"$ROUTES"
    equal 'the answer' hello "$(get /hello)"
    status_forgets_the_line
    put "$CONFIG" <<<"$FAST_SLEEP$ROUTES"
    equal 'the answer' hello "$(get /hello)" # not quiet for so long that it would leave in the middle of the reload
    inside systemctl reload dormouse.service
    falls_asleep
}

reload_takes_up_a_change() {
    configure "$ROUTES"
    equal 'the status' 404 "$(status_of /new)"
    put "$CONFIG" <<<"$ROUTES"$'[[route]]\npath = "/new"\ntext = "new"\n'
    inside systemctl reload dormouse.service
    wait_until 5 new_route_answers
}

new_route_answers() { [[ $(get /new) == new ]]; }

# Each generation says its number twice: in the body and in a header.
generation() {
    put "$CONFIG" <<<$'[[route]]\npath = "/hello"\ntext = "'"$1"$'"\nheaders = { X-Generation = "'"$1"$'" }\n'
}

# By either way, a bad one in between each time; whoever asks gets all of the old config or all of the new one.
reloads_whole_under_load() {
    generation 1
    inside systemctl --quiet stop dormouse.service
    equal 'the answer' 1 "$(get /hello)"
    local before mark script
    before=$(property dormouse.service InvocationID)
    mark=$(journal_mark)
    # shellcheck disable=SC2016 # for the shell inside
    script='
        says() { until test "$(curl --silent http://127.0.0.1:8080/hello)" = "$1"; do :; done; }
        # Whole, as an editor does it: half a file may be a good config too.
        write() {
            { sed "s/\"1\"/\"$1\"/" /root/generation.toml; echo "${2-}"; } >"$CONFIG.new"
            mv "$CONFIG.new" "$CONFIG"
        }
        for ((i = 2; i <= 21; i += 2)); do
            write $i
            systemctl reload dormouse.service
            says $i
            write $i "pathh = 1"
            ! systemctl reload dormouse.service 2>/dev/null
            systemctl kill --kill-whom=main --signal=HUP dormouse.service
            write $((i + 1))
            systemctl kill --kill-whom=main --signal=HUP dormouse.service
            says $((i + 1))
        done'
    inside cp "$CONFIG" /root/generation.toml
    under_load --fresh 2 --keepalive 2 --http2 2 --generations -- env CONFIG="$CONFIG" timeout 60 /bin/bash -ec "$script"
    equal 'the process' "$before" "$(property dormouse.service InvocationID)"
    journal_names "$mark" dormouse.toml:6:1
    no_failed_unit
}

refuses_a_bad_sighup() {
    generation 1
    inside systemctl --quiet stop dormouse.service
    equal 'the answer' 1 "$(get /hello)"
    local mark
    mark=$(journal_mark)
    put "$CONFIG" <<<"$BAD"
    inside systemctl kill --kill-whom=main --signal=HUP dormouse.service
    wait_until 5 journal_names "$mark" dormouse.toml:3:1
    equal 'the answer' 1 "$(get /hello)"
    status_names_the_line
    generation 2
    inside systemctl kill --kill-whom=main --signal=HUP dormouse.service
    wait_until 5 generation_is 2
    status_forgets_the_line
}
journal_names() { journal_since "$1" | grep "$2" >/dev/null; } # not -q: it would break the pipe
generation_is() { [[ $(get /hello) == "$1" ]]; }

# It has been quiet for longer than the new `after` allows. Leaving at once, it would be gone while systemd still waits for
# the reload, which then counts as cancelled.
reload_is_over_before_it_sleeps() {
    configure "$ROUTES"
    equal 'the answer' hello "$(get /hello)"
    sleep 0.5
    put "$CONFIG" <<<$'[sleep]\nafter = "400ms"\nmin_awake = "0s"\n'"$ROUTES"
    local mark
    mark=$(journal_mark)
    inside systemctl reload dormouse.service
    falls_asleep
    journal_since "$mark" | python3 -c 'import json, sys
at = {str(entry["MESSAGE"]).split(":")[0]: int(entry.get("_SOURCE_REALTIME_TIMESTAMP", 0)) for entry in map(json.loads, sys.stdin)}
gap_ms = (at["asleep"] - at["config reloaded"]) / 1000
assert gap_ms >= 390, f"it left {gap_ms} ms after the reload"'
}

names_what_the_sandbox_hides() {
    configure $'[[route]]\npath = "/tmp/"\nfiles = "/tmp/site"\n[[route]]\npath = "/root/"\nfiles = "/root"\n'
    inside mkdir -p /tmp/site
    local mark lines
    mark=$(journal_mark)
    equal 'the status of what is hidden' 500 "$(status_of /tmp/page)"
    equal 'the status of what is forbidden' 403 "$(status_of /root/page)"
    lines=$(inside journalctl --sync && inside journalctl -u dormouse --after-cursor="$mark" -o cat | grep '^files: ')
    grep -E '/tmp/site.*dormouse.*PrivateTmp=' <<<"$lines" && grep -E 'dormouse.*/root.*ProtectHome=' <<<"$lines" ||
        { printf 'path, user and directive are not named:\n%s\n' "$lines" && return 1; }
    inside rmdir /tmp/site
}

check 'a reload with a bad config is refused, and it serves on' refuses_a_bad_reload
check 'dormouse check exits 78' check_exits_78
check 'a start with a bad config serves the last good one' serves_the_last_good_config
check 'without a last good one the port answers 503' answers_503_without_a_good_one
check 'a mended config is taken up at the next request' takes_up_the_mended_file
check 'a reload takes up a change' reload_takes_up_a_change
check 'reloads under load, by systemctl and SIGHUP: all of the old config or all of the new' reloads_whole_under_load
check 'a reload to a shorter `after` is over before it sleeps' reload_is_over_before_it_sleeps
check 'SIGHUP with a bad config is refused with its place in the journal' refuses_a_bad_sighup
check 'a path the sandbox hides is named in the journal, with user and directive' names_what_the_sandbox_hides
