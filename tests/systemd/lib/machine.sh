# A booted machine: systemd-nspawn on an overlay of a base root, in a cgroup and a network of its own.
# shellcheck shell=bash

MACHINE='' MACHINE_DIR='' MACHINE_ROOT='' NSPAWN='' LEADER='' INSIDE=()

# overlay_root BASE: mounts a throw-away copy of BASE at $MACHINE_ROOT.
overlay_root() {
    local base=$1
    MACHINE_DIR=$(mktemp -d "${TMPDIR:-/var/tmp}/dormouse-machine.XXXXXX")
    MACHINE=$(basename "$MACHINE_DIR" | tr . - | tr '[:upper:]' '[:lower:]')-$$
    MACHINE_ROOT=$MACHINE_DIR/root
    mkdir "$MACHINE_DIR"/{upper,work,root}
    # /tmp may itself be an overlay (in a container), and an overlay is no place for another one's upper layer.
    if ! mount -t overlay overlay -o "lowerdir=$base,upperdir=$MACHINE_DIR/upper,workdir=$MACHINE_DIR/work" \
        "$MACHINE_ROOT" 2>/dev/null; then
        cp -a --reflink=auto "$base/." "$MACHINE_ROOT/"
    fi
    echo uninitialized >"$MACHINE_ROOT/etc/machine-id"
    # No console to log in at, and no questions at the first boot.
    ln -sf /dev/null "$MACHINE_ROOT/etc/systemd/system/console-getty.service"
    ln -sf /dev/null "$MACHINE_ROOT/etc/systemd/system/systemd-firstboot.service"
}

# boot_machine BASE: returns when systemd inside says that it is up.
boot_machine() {
    overlay_root "$1"
    start_machine
}

# Its disk stays. Not in a check, which is a subshell: what is known of the machine changes.
reboot_machine() {
    inside systemctl poweroff 2>/dev/null || true # it may be gone before it has answered
    wait_until 60 gone "$NSPAWN"
    wait "$NSPAWN" 2>/dev/null || true
    start_machine
}

start_machine() {
    local options=(--directory="$MACHINE_ROOT" --machine="$MACHINE" --register=no --private-network --boot --quiet)
    # Without a systemd outside there is no scope to be had, and without a cgroup of its own the machine would
    # share its services with every other one that runs.
    if [[ ! -d /run/systemd/system ]]; then
        options+=(--keep-unit)
    fi
    (
        local hierarchy
        for hierarchy in $(own_cgroups); do
            mkdir -p "$hierarchy"
            echo "$BASHPID" >"$hierarchy/cgroup.procs"
        done
        # systemd 257 and later boot on the unified hierarchy only; 252 wants the one the host has.
        [[ -e $MACHINE_ROOT/usr/share/doc/systemd && $(root_suite) == bookworm ]] ||
            export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
        exec systemd-nspawn "${options[@]}" </dev/null >"$MACHINE_DIR/console" 2>&1
    ) &
    NSPAWN=$!
    if ! wait_until 60 machine_is_up; then
        echo "the machine did not come up:" >&2
        tail -n 30 "$MACHINE_DIR/console" >&2
        return 1
    fi
}

# The machine's cgroup in every hierarchy that systemd manages.
own_cgroups() {
    local hierarchy
    [[ ! -d /run/systemd/system ]] || return 0
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
        [[ ! -e $hierarchy/cgroup.procs ]] || echo "$hierarchy/$MACHINE"
    done
}

root_suite() { sed -n 's/^VERSION_CODENAME=//p' "$MACHINE_ROOT/etc/os-release"; }

machine_is_up() {
    LEADER=$(pgrep -P "$NSPAWN" | head -n 1) || return 1
    INSIDE=(nsenter --target "$LEADER" --all -- /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
        DEBIAN_FRONTEND=noninteractive SYSTEMD_PAGER=cat SYSTEMD_COLORS=0)
    local state
    state=$(inside systemctl is-system-running 2>/dev/null) || true
    [[ $state == running || $state == degraded ]]
}

# inside COMMAND...: runs it in the machine, in a clean environment.
inside() { "${INSIDE[@]}" "$@"; }

# beside COMMAND...: runs a program of this machine in the network of that one.
beside() { nsenter --target "$LEADER" --net -- "$@"; }

# put PATH: writes standard input to a file in the machine.
put() { inside /bin/sh -c 'mkdir -p "$(dirname "$1")" && cat >"$1"' put "$1"; }

stop_machine() {
    trap '' TERM INT
    if [[ -n $NSPAWN ]]; then
        # Only the nspawn that we started; its pid namespace dies with it.
        kill -TERM "$NSPAWN" 2>/dev/null || true
        wait_until 15 gone "$NSPAWN" || kill -KILL "$NSPAWN" "$LEADER" 2>/dev/null || true
        wait "$NSPAWN" 2>/dev/null || true
    fi
    if [[ -n $MACHINE_DIR ]]; then
        umount "$MACHINE_ROOT" 2>/dev/null || umount --lazy "$MACHINE_ROOT" 2>/dev/null || true
        rm -rf --one-file-system "$MACHINE_DIR"
        local hierarchy
        for hierarchy in $(own_cgroups); do
            [[ ! -d $hierarchy ]] || find "$hierarchy" -depth -type d -exec rmdir {} + 2>/dev/null || true
        done
    fi
    MACHINE='' MACHINE_DIR='' MACHINE_ROOT='' NSPAWN='' LEADER=''
    trap - TERM INT
}

gone() { ! kill -0 "$1" 2>/dev/null; }
