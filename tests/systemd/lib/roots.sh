# Debian roots to boot: made once by debootstrap and kept; every test works on an overlay of one.
# shellcheck shell=bash

ROOTS=${DORMOUSE_ROOTS:-/var/tmp/dormouse-roots}
# Part of the cache's name, so that a changed list makes new roots.
ROOT_PACKAGES=systemd,systemd-sysv,libpam-systemd,dbus,curl,polkitd,python3,nodejs

# base_root SUITE: prints the folder of the base root, making it first when it is not there.
base_root() {
    local suite=$1 base log
    base=$ROOTS/$suite-$(printf '%s' "$ROOT_PACKAGES" | cksum | cut -d' ' -f1)
    mkdir -p "$ROOTS"
    (
        flock 9 # two runs at once must not make the same root
        if [[ ! -d $base ]]; then
            echo "making the $suite root (once; a minute or two)" >&2
            log=$(mktemp)
            rm -rf "$base.new"
            # An empty mirror is debootstrap's own default.
            if ! debootstrap --variant=minbase --include="$ROOT_PACKAGES" \
                "$suite" "$base.new" ${DORMOUSE_DEBIAN_MIRROR:+"$DORMOUSE_DEBIAN_MIRROR"} >"$log" 2>&1; then
                tail -n 20 "$log" "$base.new/debootstrap/debootstrap.log" >&2
                rm -rf "$base.new" "$log"
                exit 1
            fi
            rm -rf "$log" "$base.new"/var/cache/apt/archives/*.deb
            mv "$base.new" "$base"
        fi
    ) 9>"$ROOTS/.$suite.lock"
    printf '%s\n' "$base"
}
