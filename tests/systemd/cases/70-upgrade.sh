# shellcheck shell=bash disable=SC2329
# runs_version UNIT VERSION: the program it runs is the one that this version brought.
runs_version() {
    local program
    program=/proc/$(property "$1" MainPID)/exe
    equal "the program of $1" /usr/bin/dormouse "$(inside readlink "$program")"
    equal "the version of $1" "$2" "$(inside tail -n 1 "$program")"
}
runs_anew() { [[ $(ids_of "$1") != "$2" ]] || { echo "$1 was not restarted" && return 1; }; }

upgrade_loses_nothing() {
    slow_file 30000000
    # Awake before, and still awake afterwards though nobody asks it anything.
    put /etc/dormouse/blog.toml <<<$'[sleep]\nmin_awake = "1m"\n[[route]]\npath = "/hello"\ntext = "blog"\n'
    inside systemctl --quiet stop dormouse@blog.service
    get /hello >/dev/null
    inside curl --silent --unix-socket /run/dormouse-blog.sock http://blog/hello
    local package sockets services
    package=$(repacked 0.1.1-1)
    sockets=$(ids_of dormouse.socket dormouse@blog.socket)
    services=$(ids_of dormouse.service dormouse@blog.service)
    download &
    local client=$!
    wait_until 5 is_downloading
    under_load --fresh 2 --keepalive 2 --http2 1 --slowest 3 -- dpkg --install "$package"
    wait "$client"
    download_is_whole
    equal 'the sockets' "$sockets" "$(ids_of dormouse.socket dormouse@blog.socket)"
    runs_anew dormouse.service "$(head -n 1 <<<"$services")"
    runs_anew dormouse@blog.service "$(tail -n 1 <<<"$services")"
    runs_version dormouse.service 0.1.1-1
    runs_version dormouse@blog.service 0.1.1-1
    no_failed_unit
}

upgrade_wakes_nobody() {
    configure "$FAST_SLEEP$ROUTES"
    inside systemctl --quiet stop dormouse@blog.service
    local package
    package=$(repacked 0.1.2-1)
    inside dpkg --install "$package"
    is_asleep dormouse
    is_asleep dormouse@blog
    equal 'the answer' hello "$(get /hello)"
    runs_version dormouse.service 0.1.2-1
}

upgrade_keeps_what_is_disabled() {
    inside systemctl disable --now dormouse.socket
    inside dpkg --install "$(repacked 0.1.3-1)"
    equal 'the socket' inactive "$(state_of dormouse.socket)"
    equal 'the socket' disabled "$(inside systemctl is-enabled dormouse.socket || true)"
    inside systemctl enable --now dormouse.socket
}

upgrade_with_another_socket() {
    configure "$ROUTES"
    get /hello >/dev/null
    local package before
    package=$(repacked 0.1.4-1 's/^ListenStream=.*/&\nListenStream=127.0.0.1:8090/')
    before=$(ids_of dormouse@blog.socket)
    inside dpkg --install "$package"
    equal 'the answer' hello "$(get /hello)"
    equal 'the answer on the new port' hello "$(inside curl --silent --max-time 20 http://127.0.0.1:8090/hello)"
    equal 'the socket whose unit did not change' "$before" "$(ids_of dormouse@blog.socket)"
    no_failed_unit
}

# A program ends with the dormouse that has started it, and the next one starts it again; a unit goes on.
upgrade_with_apps() {
    app_program
    app_unit "$WIKI"
    configure "$ROUTES$(run_app program '"--family",')"$'\n'"$(unit_app "$WIKI" 'sleep_after = "never"')"
    local package program unit before
    program=$(asked /program/)
    unit=$(asked /wiki/)
    before=$(ids_of dormouse.service)
    package=$(repacked 0.1.2-2)
    under_load --fresh 2 --keepalive 2 --http2 1 --slowest 3 --path /program/x -- dpkg --install "$package"
    runs_anew dormouse.service "$before"
    is_gone "$program"
    equal 'the unit' "$unit" "$(asked /wiki/)"
    asked /program/ >/dev/null
    equal 'processes, dormouse included' 6 "$(processes_of_dormouse | grep -vc dormouse-blog)"
    no_failed_unit
    inside systemctl stop dormouse.service "$WIKI.service"
    inside rm "/etc/systemd/system/$WIKI.service"
    inside systemctl daemon-reload
}

check 'an upgrade under load, during a download, loses nothing; what runs is restarted' upgrade_loses_nothing
check 'an upgrade wakes nobody; the next wake runs the new program' upgrade_wakes_nobody
check 'an upgrade under load with apps loses nothing; programs end, a unit goes on' upgrade_with_apps
check 'an upgrade keeps a disabled socket disabled' upgrade_keeps_what_is_disabled
check 'an upgrade with another socket unit opens it' upgrade_with_another_socket
