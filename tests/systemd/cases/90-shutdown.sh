# shellcheck shell=bash disable=SC2329
# The last case: the machine is gone afterwards.
is_not_started_while_the_machine_shuts_down() {
    put /root/dormouse.deb <"$DEB"
    inside dpkg --install /root/dormouse.deb >/dev/null
    configure "$EDGE_SLEEP$ROUTES"
    contains Conflicts shutdown.target "$(property dormouse.service Conflicts)"
    contains Conflicts shutdown.target "$(property dormouse.socket Conflicts)"
    inside /bin/sh -c 'mkdir -p /var/log/journal && journalctl --flush' # to be read when it is gone
    # Clients that go on and on, at a service that sleeps in between: each of them would start it again.
    beside python3 "$HERE/client.py" --fresh 1 --edge 2 --after 0.054 -- sleep 60 >/dev/null 2>&1 &
    local clients=$!
    wait_until 10 is_awake
    inside systemctl poweroff
    wait_until 30 gone "$NSPAWN"
    kill "$clients" 2>/dev/null || true
    journalctl --directory="$MACHINE_ROOT/var/log/journal" --output=json >"$MACHINE_DIR/journal"
    python3 "$HERE/shutdown.py" <"$MACHINE_DIR/journal"
}

check 'clients do not start it again while the machine shuts down' is_not_started_while_the_machine_shuts_down
