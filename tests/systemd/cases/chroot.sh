# shellcheck shell=bash disable=SC2329
# Not booted: a root such as an image builder's.
installs_without_systemd_running() {
    cp "$DEB" "$MACHINE_ROOT/root/dormouse.deb"
    local output
    output=$(chroot "$MACHINE_ROOT" dpkg --install /root/dormouse.deb 2>&1)
    equal 'lines it says' 1 "$(grep -c '^dormouse: ' <<<"$output")"
    contains 'what it says' 'systemd is not running' "$output"
    equal 'the socket' enabled "$(chroot "$MACHINE_ROOT" systemctl is-enabled dormouse.socket)"
    chroot "$MACHINE_ROOT" id dormouse
}

purges_without_systemd_running() {
    chroot "$MACHINE_ROOT" dpkg --purge dormouse
    equal 'files' '' "$(find "$MACHINE_ROOT" -xdev -name '*dormouse*' -not -path '*/root/*' -printf '/%P\n')"
}

check 'it installs where systemd is not running, and says so' installs_without_systemd_running
check 'it is purged there too' purges_without_systemd_running
