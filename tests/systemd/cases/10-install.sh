# shellcheck shell=bash disable=SC2329
installs() {
    put /root/dormouse.deb <"$DEB"
    local output
    output=$(inside dpkg --install /root/dormouse.deb 2>&1)
    refute grep -iE 'error|warning|fail|dormouse:' <<<"$output"
}

only_the_socket_is_enabled() {
    equal 'enabled units' dormouse.socket \
        "$(inside systemctl list-unit-files --state=enabled --plain --no-legend 'dormouse*' | cut -d ' ' -f 1)"
    equal 'the socket' listening "$(property dormouse.socket SubState)"
    equal 'the service' inactive "$(state_of dormouse.service)"
}

verify_is_clean() {
    local output
    output=$(inside systemd-analyze verify --man=no \
        /usr/lib/systemd/system/dormouse{,@}.{socket,service} \
        /usr/lib/systemd/system/dormouse-jobs{,@}.{path,service} 2>&1)
    equal 'systemd-analyze verify' '' "$output"
}

sandbox_is_tight() {
    # The threshold is the score times ten.
    inside systemd-analyze security --offline=yes --threshold=25 /usr/lib/systemd/system/dormouse.service | tail -n 1
    inside systemd-analyze security --offline=yes --threshold=15 /usr/lib/systemd/system/dormouse-jobs.service | tail -n 1
}

shows_the_welcome_page() {
    local page
    page=$(get /)
    contains 'the page' '<html' "${page,,}"
    contains 'the page' dormouse "$page"
    is_awake
}

status_says_what_it_does() {
    get / >/dev/null
    contains 'systemctl status' 'Status: "' "$(inside systemctl status dormouse.service)"
}

service_is_set_up() {
    local expected
    for expected in Type=notify KillMode=mixed OOMPolicy=continue Restart=on-failure RestartUSec=500ms User=dormouse \
        StartLimitIntervalUSec=0 RuntimeDirectoryPreserve=yes WatchdogUSec=30s TimeoutStopUSec=35s; do
        equal "${expected%%=*}" "${expected#*=}" "$(property dormouse.service "${expected%%=*}")"
    done
    equal TriggerLimitIntervalUSec 0 "$(property dormouse.socket TriggerLimitIntervalUSec)"
    equal 'dormouse@.socket: TriggerLimitIntervalUSec' 0 "$(property dormouse@x.socket TriggerLimitIntervalUSec)"
}

owns_its_folders() {
    get / >/dev/null
    equal /var/lib/dormouse/dormouse dormouse:dormouse "$(inside stat -c %U:%G /var/lib/dormouse/dormouse)"
    equal /run/dormouse/dormouse dormouse:dormouse "$(inside stat -c %U:%G /run/dormouse/dormouse)"
    falls_asleep_with_the_shipped_config
}

falls_asleep_with_the_shipped_config() {
    # Half a minute is long for a test; only the shipped value is changed, as a user would.
    inside sed -i 's/^after = "30s"$/after = "1s"/' "$CONFIG"
    get / >/dev/null # not quiet for so long that it would leave in the middle of the reload
    inside systemctl reload dormouse.service
    falls_asleep
    inside sed -i 's/^after = "1s"$/after = "30s"/' "$CONFIG"
}

examples_in_the_config_work() {
    # Everything that looks like a setting or a table loses its '#'.
    inside sed -E 's/^#(\[|[a-z_]+ = )/\1/' "$CONFIG" | put /etc/dormouse/examples.toml
    inside mkdir -p /srv/www
    inside dormouse check examples
    inside rm /etc/dormouse/examples.toml
}

check 'the package installs' installs
check 'only the socket is enabled, and it listens' only_the_socket_is_enabled
check 'systemd-analyze verify is clean for every unit' verify_is_clean
check 'the sandbox is tight' sandbox_is_tight
check 'the welcome page is there right after' shows_the_welcome_page
check 'systemctl status shows what it does' status_says_what_it_does
check 'the units are set up as designed' service_is_set_up
check 'state and runtime folders are its own; it sleeps with the shipped config' owns_its_folders
check 'the examples in the shipped config work' examples_in_the_config_work
