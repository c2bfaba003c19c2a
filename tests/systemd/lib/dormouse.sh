# What the cases say about dormouse in the machine.
# shellcheck shell=bash disable=SC2034

CONFIG=/etc/dormouse/dormouse.toml
FAST_SLEEP=$'[sleep]\nafter = "1s"\nmin_awake = "200ms"\n'
EDGE_SLEEP=$'[sleep]\nafter = "50ms"\nmin_awake = "0s"\n'
ROUTES='
[[route]]
path = "/hello"
text = "hello"

[[route]]
path = "/healthz"
show = "health"
'

# configure TOML: puts the config in place for the next start; a service that runs is stopped.
configure() {
    put "$CONFIG" <<<"$1"
    inside systemctl --quiet stop dormouse.service
}

# tidy: whatever a failed case left behind must not fail the next one.
tidy() {
    inside /bin/sh -c 'rm -rf /etc/systemd/system/dormouse.s*.d /run/systemd/system/dormouse.s*.d
        systemctl daemon-reload; systemctl reset-failed; systemctl restart dormouse.socket' || true
}

get() { inside curl --silent --show-error --max-time 20 "http://127.0.0.1:8080${1-/}"; }
status_of() { inside curl --silent --max-time 20 --output /dev/null --write-out '%{http_code}' "http://127.0.0.1:8080$1"; }

# property UNIT NAME
property() { inside systemctl show --value --property="$2" "$1"; }
state_of() { property "$1" ActiveState; }
is_asleep() { [[ $(state_of "${1-dormouse}.service") == inactive && $(property "${1-dormouse}.socket" SubState) == listening ]]; }
is_awake() { [[ $(state_of "${1-dormouse}.service") == active ]]; }
status_has() { [[ $(property dormouse.service StatusText) == *"$1"* ]]; }
falls_asleep() { wait_until 10 is_asleep "$@"; }

no_failed_unit() { equal 'failed units' '' "$(inside systemctl list-units --failed --plain --no-legend 'dormouse*')"; }

# under_load OPTIONS... -- COMMAND...: runs the command in the machine while clients ask; any lost request fails.
under_load() {
    local options=()
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    beside python3 "$HERE/client.py" "${options[@]}" -- "${INSIDE[@]}" "$@"
}

# A position in the journal, and the unit's lines since then, one JSON object a line.
journal_mark() { inside journalctl --sync && inside journalctl -n 1 -o export | sed -n 's/^__CURSOR=//p'; }
journal_since() {
    inside journalctl --sync
    # Not by `-u`: with it, systemd 252 leaves out the first line after a cursor that is another unit's.
    inside journalctl --after-cursor="$1" -o json |
        { grep -E "\"(_SYSTEMD_UNIT|UNIT)\":\"${2-dormouse}\.service\"" || true; }
}
has_slept_since() { journal_since "$1" | grep '"MESSAGE":"asleep' >/dev/null; }

# slow_file BYTES: a file to download, and a config that serves it. `download` fetches it at 4 MB/s, far slower than it
# could be sent; 10 MB of it may be in the kernel's buffers.
slow_file() {
    inside /bin/sh -c "mkdir -p /srv/www && head -c $1 /dev/urandom >/srv/www/large"
    configure "$ROUTES"$'[[route]]\npath = "/files/"\nfiles = "/srv/www"\n'
}
download() {
    inside curl --silent --fail --limit-rate 4M --output /tmp/large http://127.0.0.1:8080/files/large
}
is_downloading() { inside test -s /tmp/large; }
download_is_whole() {
    inside cmp /srv/www/large /tmp/large
    inside rm -r /tmp/large /srv/www
}

# repacked VERSION [SED...]: the package again as another version, its dormouse.socket edited; prints the path.
repacked() {
    local version=$1 folder=$MACHINE_DIR/repack
    shift
    rm -rf "$folder"
    dpkg-deb --raw-extract "$DEB" "$folder"
    sed -i "s/^Version: .*/Version: $version/" "$folder/DEBIAN/control"
    printf '\n%s\n' "$version" >>"$folder/usr/bin/dormouse" # another program, which does the same
    [[ $# == 0 ]] || sed -i "$@" "$folder/usr/lib/systemd/system/dormouse.socket"
    dpkg-deb --build -Znone --root-owner-group "$folder" "$MACHINE_DIR/$version.deb" >/dev/null
    put "/root/$version.deb" <"$MACHINE_DIR/$version.deb"
    echo "/root/$version.deb"
}

ids_of() {
    local unit
    for unit in "$@"; do property "$unit" InvocationID; done
}
