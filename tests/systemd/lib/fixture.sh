# A program that has the engine inside and can be told to misbehave: tests/engine/fixture.rs, as a unit in the machine.
# shellcheck shell=bash disable=SC2034

FIXTURE_PORT=8095
FIXTURE_PATH=/run/fixture.sock
FIXTURE_GATE=/run/fixture.gate

# fixture_program: prints its path, built unless DORMOUSE_FIXTURE names one.
fixture_program() {
    if [[ -n ${DORMOUSE_FIXTURE-} ]]; then
        realpath "$DORMOUSE_FIXTURE"
        return
    fi
    (
        cd "$HERE/../.." || exit
        cargo build --quiet --locked --example fixture >&2
        cargo metadata --format-version 1 --no-deps --locked --offline 2>/dev/null |
            sed 's|.*"target_directory":"\([^"]*\)".*|\1/debug/examples/fixture|'
    )
}

# fixture_unit [LINE...]: (re)installs the unit with these lines more in [Service]; it sleeps soon and quickly.
fixture_unit() {
    inside test -e /usr/local/bin/fixture || {
        strip --strip-debug -o "$MACHINE_DIR/fixture" "$(fixture_program)"
        put /usr/local/bin/fixture <"$MACHINE_DIR/fixture"
        inside chmod +x /usr/local/bin/fixture
    }
    put /etc/systemd/system/fixture.socket <<SOCKET
[Unit]
StartLimitIntervalSec=0
[Socket]
ListenStream=127.0.0.1:$FIXTURE_PORT
ListenStream=$FIXTURE_PATH
RemoveOnStop=yes
TriggerLimitIntervalSec=0
ExecStopPost=/bin/true
SOCKET
    {
        sed -n '/^\[Unit\]/,/^WatchdogSec=/p' "$HERE/../../systemd/dormouse.service" |
            sed -e 's/dormouse.socket/fixture.socket/' -e '/^Exec/d; /^Documentation/d'
        printf '%s\n' ExecStart=/usr/local/bin/fixture LimitCORE=0 Environment=FIXTURE_AFTER=100 \
            Environment=FIXTURE_MIN_AWAKE=0 "Environment=FIXTURE_EXIT_GATE=$FIXTURE_GATE" "$@"
    } | put /etc/systemd/system/fixture.service
    inside systemctl daemon-reload
    inside systemctl restart fixture.socket
}

fixture_gone() {
    inside /bin/sh -c 'systemctl stop fixture.socket; rm -f /etc/systemd/system/fixture.* /usr/local/bin/fixture
        systemctl daemon-reload'
}

ask_fixture() { inside curl --silent --show-error --max-time "${2-20}" "http://127.0.0.1:$FIXTURE_PORT$1"; }

# Between close_gate and open_gate a process that has said goodbye is not gone.
close_gate() { inside mkfifo "$FIXTURE_GATE"; }
open_gate() { inside timeout 20 /bin/sh -c "echo >$FIXTURE_GATE; rm $FIXTURE_GATE"; }
is_leaving() { [[ $(state_of "$1.service") == deactivating ]]; }
