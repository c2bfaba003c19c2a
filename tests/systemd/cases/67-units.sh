# shellcheck shell=bash disable=SC2329
# Apps that are units: what polkit lets dormouse do, asked from inside the sandbox of its service, and dormouse doing it.

# as_dormouse COMMAND: a line of shell, run as dormouse.service would run it; what it says.
as_dormouse() {
    put /etc/asker.sh <<<"$1"
    {
        printf '%s\n' [Unit] StartLimitIntervalSec=0 [Service] Type=oneshot 'ExecStart=/bin/sh -eu /etc/asker.sh' \
            StandardOutput=truncate:/run/asker StandardError=truncate:/run/asker
        sed -n '/^User=/,$p' "$HERE/../../systemd/dormouse.service" | sed 's|=dormouse/dormouse$|=dormouse/asker|'
    } | put /etc/systemd/system/asker.service
    inside systemctl daemon-reload
    inside rm -f /run/asker
    local status=0
    inside systemctl --quiet start asker.service 2>/dev/null || status=$?
    inside cat /run/asker # not there if systemd did not even try
    return "$status"
}

# refused COMMAND: dormouse is not allowed to.
refused() {
    local said
    if said=$(as_dormouse "$1"); then echo "was allowed: $1" && return 1; fi
    [[ $said == *'Access denied'* || $said == *'nteractive authentication'* ]] || { echo "$1: $said" && return 1; }
}

CTL='systemctl --no-ask-password'
app_units() {
    local name
    for name in dormouse-app-wiki wiki dormouse-app-many@; do
        put "/etc/systemd/system/$name.service" <<<$'[Service]\nType=exec\nExecStart=/bin/sleep infinity'
    done
    inside ln -sf wiki.service /etc/systemd/system/dormouse-app-alias.service
    inside systemctl daemon-reload
}

starts_and_stops_what_is_named_for_it() {
    app_units
    as_dormouse "$CTL start dormouse-app-wiki.service"
    equal 'its state' active "$(state_of dormouse-app-wiki.service)"
    as_dormouse "$CTL stop dormouse-app-wiki.service"
    equal 'its state' inactive "$(state_of dormouse-app-wiki.service)"
}

does_nothing_else_with_it() {
    inside systemctl start dormouse-app-wiki.service
    local verb
    for verb in restart try-restart reload kill freeze 'set-property --runtime'; do
        refused "$CTL $verb dormouse-app-wiki.service $([[ $verb != set-property* ]] || echo CPUWeight=50)"
    done
    inside systemctl stop dormouse-app-wiki.service
}

touches_no_other_unit() {
    local unit
    for unit in wiki dormouse-app-alias dormouse-app-many@one dormouse ssh; do
        refused "$CTL start $unit.service"
    done
    equal 'its state' inactive "$(state_of wiki.service)"
}

# From 257 on systemd asks polkit the same for a unit that somebody brings along, which would be a command as root.
brings_no_unit_along() {
    refused 'systemd-run --no-ask-password --unit=dormouse-app-mine.service touch /run/mine'
    refute inside test -e /run/mine
}

as_nobody_else() {
    refute inside runuser -u nobody -- systemctl --no-ask-password start dormouse-app-wiki.service
}

is_running() { [[ $(state_of "$1.service") == active ]]; }
has_ended() { [[ $(state_of "$1.service") == inactive ]]; }

unit_wakes_and_sleeps() {
    app_program
    app_unit "$WIKI"
    configure "$FAST_SLEEP$ROUTES$(unit_app "$WIKI")"
    inside systemctl stop "$WIKI.service"
    local i app last='' mark
    for i in 1 2; do
        mark=$(journal_mark)
        app=$(asked "/wiki/$i")
        [[ $app != "$last" ]]
        equal 'the process' "$app" "$(property "$WIKI.service" MainPID)"
        wait_until 5 status_names_wiki
        falls_asleep
        has_ended "$WIKI"
        has_slept_since "$mark"
        last=$app
    done
    equal 'its result' success "$(property "$WIKI.service" Result)"
    no_failed_unit
}
status_names_wiki() { [[ $(property dormouse.service StatusText) == *'app wiki'* ]]; }

unit_on_a_path() {
    app_unit "$WIKI" RuntimeDirectory=wiki UMask=0 \
        "ExecStart=/usr/bin/python3 $APP_PROGRAM --slow 0.3 --unix /run/wiki/wiki.sock"
    configure "$FAST_SLEEP$(unit_app "$WIKI" 'address = "unix:/run/wiki/wiki.sock"' 'ready = "GET /ready"')"
    asked /wiki/path >/dev/null
    falls_asleep
    has_ended "$WIKI"
}

# It is systemd's: a stop or a crash of dormouse leaves it running, for the next one.
unit_is_taken_over() {
    app_unit "$WIKI"
    configure "$FAST_SLEEP$ROUTES$(unit_app "$WIKI")"
    local app mark
    app=$(asked /wiki/)
    inside systemctl stop dormouse.service
    is_running "$WIKI"
    mark=$(journal_mark)
    equal 'the answer' hello "$(get /hello)"
    wait_until 5 says_since "$mark" 'app wiki runs already'
    equal 'the process' "$app" "$(asked /wiki/)"
    falls_asleep
    has_ended "$WIKI"

    app=$(asked /wiki/)
    inside /bin/sh -c "kill -9 $(property dormouse.service MainPID)"
    wait_until 5 has_restarted
    equal 'the process' "$app" "$(asked /wiki/)"
    falls_asleep
    has_ended "$WIKI"
    no_failed_unit
}
has_restarted() { is_awake && (($(property dormouse.service NRestarts) > 0)); }

# By hand, while nobody asks: the next request starts it again.
unit_is_stopped_by_others() {
    app_unit "$WIKI"
    configure "$ROUTES$(unit_app "$WIKI")"
    local app mark
    app=$(asked /wiki/)
    mark=$(journal_mark)
    inside systemctl stop "$WIKI.service"
    wait_until 15 says_since "$mark" "$WIKI.service has stopped"
    wait_until 5 answers_again "$app"
    is_running "$WIKI"
    inside systemctl stop dormouse.service "$WIKI.service"
}
answers_again() {
    local app
    app=$(get /wiki/)
    [[ $app == *' /wiki/' && $app != "$1 "* ]]
}

stopped_while_a_unit_starts() {
    app_unit "$WIKI" ExecStartPre='/bin/sleep 2' "ExecStart=/usr/bin/python3 $APP_PROGRAM"
    configure "$FAST_SLEEP$ROUTES$(unit_app "$WIKI")"
    get /wiki/ >"$MACHINE_DIR/answer" &
    local client=$!
    wait_until 5 is_starting "$WIKI"
    inside systemctl stop dormouse.service
    wait "$client"
    contains 'the answer' ' /wiki/' "$(cat "$MACHINE_DIR/answer")"
    is_running "$WIKI"
    nothing_lingers
    get /hello >/dev/null
    falls_asleep
    has_ended "$WIKI"
}
is_starting() { [[ $(state_of "$1.service") == activating ]]; }

# One that takes longer than the drain goes on by itself; the next dormouse waits for it, and puts it to sleep.
next_one_waits_for_a_start() {
    app_unit "$WIKI" ExecStartPre='/bin/sleep 5' "ExecStart=/usr/bin/python3 $APP_PROGRAM"
    configure $'[sleep]\nafter = "1s"\nmin_awake = "200ms"\ndrain = "500ms"\n'"$ROUTES$(unit_app "$WIKI")"
    local mark client
    status_and_body /wiki/ >"$MACHINE_DIR/answer" &
    client=$!
    wait_until 5 is_starting "$WIKI"
    inside systemctl stop dormouse.service
    wait "$client" || true # cut
    is_starting "$WIKI"
    mark=$(journal_mark)
    equal 'the answer' hello "$(get /hello)"
    wait_until 10 says_since "$mark" 'app wiki is up'
    falls_asleep
    has_ended "$WIKI"
}

# failure: asks for the app; prints the journal's reason, which stands under the id that the page has.
failure() {
    local mark page id said
    mark=$(journal_mark)
    page=$(status_and_body /wiki/)
    contains 'the page' ' 502' "$page" >&2 || return
    said=$(messages_since "$mark" | grep '^app wiki failed')
    id=$(sed 's/.*(id \([^)]*\)).*/\1/' <<<"$said")
    contains 'the page' "${id:-no id}" "$page" >&2 || return
    echo "$said"
}

other_units_want_a_rule() {
    app_unit wiki
    configure "$FAST_SLEEP$(unit_app wiki)"
    local rule=/etc/polkit-1/rules.d/50-dormouse-wiki.rules said
    contains 'the reason' "$rule" "$(failure)"
    has_ended wiki
    said=$(inside dormouse check)
    contains 'check' 'warning: app wiki' "$said"
    # As it says:
    inside /bin/sh -euc "$(sed -n '/^cat /,/^END$/p' <<<"$said")"
    inside test -s "$rule"
    refute grep warning <<<"$(inside dormouse check)"
    wait_until 20 answers_again none # polkit reads it soon
    is_running wiki
    falls_asleep
    has_ended wiki
    inside rm "$rule"
}

says_why_a_unit_does_not_start() {
    configure "$(unit_app "$WIKI")"
    app_unit "$WIKI" ExecStart=/nonexistent
    contains 'no program' "$WIKI.service did not start" "$(failure)"
    fresh
    app_unit "$WIKI" ExecStart=/bin/false
    contains 'ends at once' "journalctl -u $WIKI.service" "$(failure)"
    fresh
    inside systemctl mask --runtime --quiet "$WIKI.service" 2>/dev/null || true
    inside rm "/etc/systemd/system/$WIKI.service"
    inside systemctl daemon-reload
    contains 'masked' masked "$(failure)"
    fresh
    inside systemctl unmask --runtime --quiet "$WIKI.service"
    inside systemctl daemon-reload
    contains 'not there' "systemd knows no $WIKI.service" "$(failure)"
}
# An app that has just failed is left alone for a moment; another process does not know.
fresh() { inside /bin/sh -c 'systemctl stop dormouse.service; systemctl reset-failed'; }

# systemd would go on with it, and nobody would stop it again.
gives_up_a_unit_that_is_slow() {
    app_unit "$WIKI" 'ExecStartPre=/bin/sleep 20' "ExecStart=/usr/bin/python3 $APP_PROGRAM"
    configure "$(unit_app "$WIKI" 'start_within = "1s"')"
    contains 'the reason' 'did not start within 1 s' "$(failure)"
    wait_until 5 runs_no_more "$WIKI"
    app_unit "$WIKI" "ExecStart=/usr/bin/python3 $APP_PROGRAM --slow 20"
    fresh
    contains 'the reason' 'nothing listened where it should, within start_within (1s)' "$(failure)"
    wait_until 5 runs_no_more "$WIKI"
}
runs_no_more() { [[ $(state_of "$1.service") == inactive || $(state_of "$1.service") == failed ]]; }

units_gone() {
    inside /bin/sh -c 'systemctl stop wiki dormouse-app-wiki; cd /etc/systemd/system
        rm -f wiki.service dormouse-app-*.service asker.service /etc/asker.sh /run/asker; systemctl daemon-reload
        systemctl reset-failed; rm -rf /var/lib/dormouse/asker /run/dormouse/asker'
}

check 'dormouse starts and stops a unit that is named for it' starts_and_stops_what_is_named_for_it
check 'it does nothing else with that unit' does_nothing_else_with_it
check 'it starts no other unit, alias or instance' touches_no_other_unit
check 'it brings no unit along' brings_no_unit_along
check 'another user may not even start that unit' as_nobody_else
check 'a unit wakes with a request and sleeps' unit_wakes_and_sleeps
check 'a unit may listen on a path, and say when it is ready' unit_on_a_path
check 'stopped or killed, dormouse leaves a unit to the next one' unit_is_taken_over
check 'a unit that others have stopped is started again' unit_is_stopped_by_others
check 'stopped while a unit starts, it answers who has asked' stopped_while_a_unit_starts
check 'a start that takes longer is left to the next dormouse' next_one_waits_for_a_start
check 'a unit of another name wants the rule that `dormouse check` prints' other_units_want_a_rule
check 'the journal says why a unit does not start' says_why_a_unit_does_not_start
check 'a unit that is not up in time is stopped' gives_up_a_unit_that_is_slow
units_gone
