# shellcheck shell=bash disable=SC2329
# Processes whose program is or was dormouse; the root has no pgrep.
processes() { inside /bin/sh -c 'ls -l /proc/[0-9]*/exe 2>/dev/null | grep /usr/bin/dormouse || true'; }

remove_leaves_nothing_running() {
    get /hello >/dev/null
    inside curl --silent --unix-socket /run/dormouse-blog.sock http://blog/hello
    inside dpkg --remove dormouse
    equal 'processes' '' "$(processes)"
    refute get /hello
    inside test ! -e /run/dormouse-blog.sock
    # Its link stays for the next time it is installed, as for every Debian package; it leads nowhere.
    equal 'units' '' "$(inside systemctl list-units --all --plain --no-legend 'dormouse*' | grep -v ' not-found ')"
    equal 'links' '' "$(inside find /etc/systemd/system -type l -name '*dormouse*@*')"
    inside test -e "$CONFIG"
    inside test -d /var/lib/dormouse
}

comes_back() {
    inside dpkg --install /root/dormouse.deb
    equal 'the answer' hello "$(get /hello)"
}

purge_leaves_nothing() {
    get /hello >/dev/null
    # What the administrator wrote is the administrator's.
    inside rm -rf /etc/dormouse/blog.toml /etc/systemd/system/dormouse@blog.socket.d
    inside dpkg --purge dormouse
    equal 'processes' '' "$(processes)"
    equal 'units' '' "$(inside systemctl list-units --all --plain --no-legend 'dormouse*')"
    inside rm -f /root/dormouse.deb
    equal 'files' '' "$(inside find / -xdev -name '*dormouse*' -not -path '/proc/*' -not -path '/root/*')"
    equal 'files in /run' '' "$(inside find /run -name '*dormouse*')"
}

installs_where_the_port_is_taken() {
    put /root/dormouse.deb <"$DEB"
    nsenter --target "$LEADER" --net -- python3 -m http.server --bind 127.0.0.1 8080 >/dev/null 2>&1 &
    local other=$! output
    # shellcheck disable=SC2064 # this one, now
    trap "kill $other" EXIT
    wait_until 5 get / >/dev/null 2>&1
    output=$(inside dpkg --install /root/dormouse.deb 2>&1)
    contains 'what it says' 'systemctl edit dormouse.socket' "$output"
    equal 'lines it says' 1 "$(grep -c dormouse: <<<"$output")"
    equal 'the package' 'install ok installed' "$(inside dpkg-query -W -f '${Status}' dormouse)"
    kill "$other"
    trap - EXIT
    wait "$other" || true
    inside systemctl start dormouse.socket
    get / >/dev/null
    inside dpkg --purge dormouse
}

configure "$ROUTES"
check 'removing leaves nothing running, instances included' remove_leaves_nothing_running
check 'installed again it serves with the config it had' comes_back
check 'purging leaves nothing at all' purge_leaves_nothing
check 'it installs where the port is taken, and says what to do' installs_where_the_port_is_taken
