# shellcheck shell=bash disable=SC2329
# Apps that are units: what polkit lets dormouse do, asked from inside the sandbox of its service.

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

programs_wanted_the_drop_in() {
    equal 'denies before' yes "$(property dormouse.service MemoryDenyWriteExecute)"
    inside mkdir -p /etc/systemd/system/dormouse.service.d
    inside ln -sf /usr/share/dormouse/programs.conf /etc/systemd/system/dormouse.service.d/
    inside systemctl daemon-reload
    equal 'what verify says' '' "$(inside systemd-analyze verify --man=no dormouse.service 2>&1)"
    equal 'denies after' no "$(property dormouse.service MemoryDenyWriteExecute)"
    configure "$FAST_SLEEP$ROUTES"
    equal 'the answer' hello "$(get /hello)"
    falls_asleep
    inside rm -r /etc/systemd/system/dormouse.service.d
    inside systemctl daemon-reload
}

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
check 'with the drop-in for programs it serves as before' programs_wanted_the_drop_in
units_gone
