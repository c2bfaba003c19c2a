# The .rpm, looked at with rpm itself; its scriptlets run in a root of their own with a stub systemctl.
# shellcheck shell=bash disable=SC2329

rpm_is_complete() {
    local files scripts file
    files=$(rpm -qpl "$DORMOUSE_RPM")
    for file in /usr/bin/dormouse /usr/lib/systemd/system/dormouse{,@}.{socket,service} \
        /usr/lib/systemd/system/dormouse-jobs{,@}.{path,service} \
        /usr/lib/systemd/system-preset/80-dormouse.preset /usr/lib/sysusers.d/dormouse.conf \
        /usr/lib/systemd/catalog/dormouse.catalog /usr/share/dormouse/{dormouse.schema.json,programs.conf} \
        /usr/share/polkit-1/rules.d/50-dormouse.rules \
        /usr/share/doc/dormouse/{README,node}.md \
        /usr/share/man/man1/dormouse.1.gz /usr/share/man/man5/dormouse.toml.5.gz; do
        grep -qx "$file" <<<"$files" || { echo "no $file" && return 1; }
    done
    equal 'config files' /etc/dormouse/dormouse.toml "$(rpm -qpc "$DORMOUSE_RPM")"
    contains requires systemd "$(rpm -qp --requires "$DORMOUSE_RPM")"
    scripts=$(rpm -qp --scripts "$DORMOUSE_RPM")
    for file in preinstall postinstall preuninstall postuninstall; do
        contains scriptlets "$file scriptlet" "$scripts"
    done
}

rpm_installs() {
    local root=$WORK/rpm-root
    mkdir "$root"
    rpm --root "$root" --initdb
    rpm --root "$root" --install --nodeps --noscripts --ignorearch "$DORMOUSE_RPM"
    rpm --root "$root" --verify --nodeps dormouse
    "$root/usr/bin/dormouse" check --config "$root/etc/dormouse/dormouse.toml"
    rpm --root "$root" --erase --nodeps --noscripts dormouse
    equal 'what is left' '' "$(find "$root" -type f -path '*dormouse*' -not -path '*/rpm/*')"
}

# scriptlet NAME ARGUMENT: runs one as rpm would. What it tells systemctl is in $WORK/calls; the answers of the stub
# are in $WORK/stub.sh. Paths of the machine become paths below $WORK/root.
scriptlet() {
    local body
    # "postinstall scriptlet (using /bin/sh):" stands before each in rpm's own output.
    body=$(rpm -qp --scripts "$DORMOUSE_RPM" |
        awk -v name="$1" '/^[a-z]+install scriptlet/ { inside = ($1 == name); next } inside')
    [[ -n $body ]]
    : >"$WORK/calls"
    sed -E "s#(/run/|/etc/|/usr/lib/systemd/)#$WORK/root\1#g" <<<"$body" >"$WORK/scriptlet"
    env "PATH=$WORK/bin:$PATH" sh -e "$WORK/scriptlet" "$2"
}

# stub_systemctl [SHELL CODE]: systemd runs, the socket and one instance are at work.
stub_systemctl() {
    rm -rf "${WORK:?}"/{root,bin}
    mkdir -p "$WORK/bin" "$WORK/root/run/systemd/system" "$WORK/root/usr/lib/systemd/system" \
        "$WORK/root/etc/systemd/system/sockets.target.wants"
    cp "$REPO"/systemd/*.socket "$WORK/root/usr/lib/systemd/system/"
    ln -s /dev/null "$WORK/root/etc/systemd/system/sockets.target.wants/dormouse@blog.socket"
    cat >"$WORK/bin/systemctl" <<STUB
#!/bin/sh
echo "\$*" >>"$WORK/calls"
${1-}
case "\$*" in
    list-units*--all*) printf '%s\n' 'dormouse@blog.socket loaded' 'dormouse@blog.service loaded' ;;
    list-units*) printf '%s\n' 'dormouse.socket loaded' 'dormouse@blog.socket loaded' ;;
esac
STUB
    printf '#!/bin/sh\n' >"$WORK/bin/systemd-sysusers"
    chmod +x "$WORK"/bin/*
}

called() { grep -qx -- "$1" "$WORK/calls" || { echo "systemctl was not called with: $1" && cat "$WORK/calls" && return 1; }; }
not_called() { refute grep -E -- "$1" "$WORK/calls"; }

rpm_first_install() {
    stub_systemctl
    scriptlet preinstall 1
    scriptlet postinstall 1
    called 'preset dormouse.socket'
    called 'start dormouse.socket'
    not_called 'service'
}

rpm_install_without_systemd() {
    stub_systemctl
    rmdir "$WORK/root/run/systemd/system"
    local output
    output=$(scriptlet postinstall 1)
    contains 'what it says' 'systemd is not running' "$output"
    equal lines 1 "$(wc -l <<<"$output")"
    called 'preset dormouse.socket'
    not_called '^start|daemon-reload'
}

rpm_install_where_the_port_is_taken() {
    stub_systemctl '[ "$1" != start ] || exit 1'
    local output
    output=$(scriptlet postinstall 1)
    contains 'what it says' 'systemctl edit dormouse.socket' "$output"
    equal lines 1 "$(wc -l <<<"$output")"
}

rpm_upgrade() {
    stub_systemctl
    scriptlet preinstall 2
    scriptlet postinstall 2
    not_called '^(start|stop|restart|try-restart) .*(\.socket|dormouse\.service|dormouse@)'
    called 'restart dormouse-jobs.path dormouse-jobs@blog.path'
    called 'try-restart dormouse-jobs\*.service'
    scriptlet preuninstall 1
    equal 'calls of the old preun' '' "$(cat "$WORK/calls")"
    scriptlet postuninstall 1
    called 'try-restart dormouse.service dormouse@\*.service'
    not_called '^(start|stop|restart) .*socket'
}

rpm_upgrade_with_another_socket() {
    stub_systemctl
    scriptlet preinstall 2
    sed -i 's/^ListenStream=.*/ListenStream=127.0.0.1:8090/' "$WORK/root/usr/lib/systemd/system/dormouse.socket"
    scriptlet postinstall 2
    called 'restart dormouse.socket'
    not_called 'restart dormouse@blog.socket'
}

rpm_removal() {
    stub_systemctl
    mkdir -p "$WORK/root/run/dormouse" "$WORK/root/etc/dormouse"
    scriptlet preuninstall 0
    called '--no-reload disable dormouse.socket dormouse.service dormouse@blog.socket'
    grep -E '^stop dormouse.socket dormouse.service .*dormouse@blog.socket.*dormouse@blog.service' "$WORK/calls"
    scriptlet postuninstall 0
    called 'daemon-reload'
    [[ ! -e $WORK/root/run/dormouse && ! -e $WORK/root/etc/dormouse ]]
}
