# shellcheck shell=bash disable=SC2329
is_open() { equal "$1" active "$(state_of "$1")"; }

sockets_bring_it_along() {
    equal 'the path unit' active "$(state_of dormouse-jobs.path)"
    equal 'the path unit of an instance' active "$(state_of dormouse-jobs@blog.path)"
    equal 'one of no instance' inactive "$(state_of dormouse-jobs@other.path)"
    inside systemctl disable --now --quiet dormouse@blog.socket dormouse.socket
    equal 'the path unit' inactive "$(state_of dormouse-jobs.path)"
    equal 'the path unit of an instance' inactive "$(state_of dormouse-jobs@blog.path)"
    inside systemctl enable --now --quiet dormouse@blog.socket dormouse.socket
    equal 'the path unit' active "$(state_of dormouse-jobs.path)"
    equal 'the path unit of an instance' active "$(state_of dormouse-jobs@blog.path)"
}

is_started_by_the_boot() {
    wait_until 30 is_awake
    wait_until 10 is_awake dormouse@blog
    equal 'requests' 0 "$(inside journalctl -b -u dormouse.service | grep -c 'served [1-9]' || true)"
    refute grep -iE 'ordering cycle|dormouse.*(failed with|refusing)' <<<"$(inside journalctl -b -o cat _PID=1)"
    wait_until 60 has_booted
    no_failed_unit
}
# A machine that waits for a job is up all the same.
has_booted() { [[ $(inside systemctl is-system-running) == running && $(inside systemctl list-jobs) == 'No jobs running.' ]]; }

is_started_when_due() {
    stand_in
    due '+18 seconds'
    wait_until 5 waits
    stays 17 is_off
    wait_until 20 is_awake
    no_job
    wait_until 20 waits_no_more
    stop_all
    inside systemctl start dormouse.socket
}

wakes_it_from_its_sleep() {
    looks_every 0.2
    stand_in 'ExecStart=/bin/sleep 0.5'
    local mark
    mark=$(journal_mark)
    due '-1 second'
    wait_until 20 has_started "$mark" 3
    no_job
    wait_until 5 is_asleep
    stays 2 is_off
    no_failed_unit
}
starts_since() { journal_since "$1" "${2-dormouse}" | grep -c '"MESSAGE":"Started ' || true; }
has_started() { (($(starts_since "$1") >= $2)); }

# Two and a half waits as they are shipped.
stopped_is_stopped() {
    looks_as_shipped
    stand_in
    due '-1 hour'
    wait_until 20 is_awake
    stop_all
    stays 40 nothing_runs
    inside systemctl start dormouse.socket
    wait_until 20 is_awake
}
looks_as_shipped() { inside /bin/sh -c 'rm -rf /run/systemd/system/dormouse-jobs*; systemctl daemon-reload'; }
nothing_runs() {
    is_off && is_off dormouse-jobs && [[ $(state_of dormouse.socket) == inactive ]]
}

# At any moment of a look and of the start that follows.
stopped_while_it_looks() {
    looks_every 0.05
    stand_in
    due '-1 hour'
    local i
    for ((i = 0; i < 25; i++)); do
        inside systemctl start dormouse.socket
        inside sleep "0.$(printf %03d $((RANDOM % 250)))"
        if ((i % 2)); then stop_all; else inside systemctl stop dormouse.socket; fi
        stays 0.5 nothing_runs
    done
    no_failed_unit
}

# `systemctl stop` fails when its job is replaced by a start.
stop_is_not_turned_around() {
    looks_every 0.1
    stand_in 'ExecStart=/bin/sleep infinity' 'ExecStop=/bin/sleep 3'
    due '-1 hour'
    local before
    wait_until 5 is_awake
    before=$(property dormouse.service InvocationID)
    inside systemctl stop dormouse.service
    wait_until 5 is_awake # and then it is wanted again
    [[ $before != "$(property dormouse.service InvocationID)" ]]
    inside systemctl stop dormouse.service dormouse.socket
    stays 2 nothing_runs
    inside systemctl start dormouse.socket
    wait_until 5 is_awake
    inside systemctl stop dormouse.socket
    stays 2 nothing_runs
    no_failed_unit
}

goes_on_after_restarts() {
    looks_every 0.2
    stand_in
    due '-1 hour'
    wait_until 5 is_awake
    local before i
    for ((i = 0; i < 5; i++)); do
        before=$(property dormouse.service InvocationID)
        inside systemctl restart dormouse.socket
        wait_until 5 is_awake
        [[ $before != "$(property dormouse.service InvocationID)" ]]
        is_open dormouse.socket
        inside systemctl kill --signal=KILL dormouse-jobs.service
        wait_until 5 waits_or_will
        inside systemctl stop dormouse-jobs.service
        wait_until 5 waits
    done
    inside systemctl stop dormouse.service
    wait_until 5 is_awake
    no_failed_unit
}
waits_or_will() { [[ $(state_of dormouse-jobs.service) == activ* ]]; }

# Nor is one that runs disturbed, whatever it has to do.
waits_quietly() {
    looks_every 0.05
    stand_in
    local mark
    mark=$(journal_mark)
    due '+1 hour'
    wait_until 5 waits
    stays 10 is_off
    equal 'lines in the journal' '' "$(said_of_jobs_since "$mark")"
    local before
    inside systemctl start dormouse.service
    before=$(property dormouse.service InvocationID)
    mark=$(journal_mark)
    due '-1 hour'
    stays 5 waits
    equal 'what runs' "$before" "$(property dormouse.service InvocationID)"
    equal 'lines in the journal' '' "$(said_of_jobs_since "$mark")$(journal_since "$mark")"
    no_job
    wait_until 5 waits_no_more
    inside systemctl stop dormouse.service
    stays 2 is_off dormouse-jobs
    equal 'lines in the journal' '' "$(said_of_jobs_since "$mark")"
    no_failed_unit
}

a_hundred_rounds() {
    looks_every 0.05
    stand_in 'ExecStart=/bin/sleep 0.05'
    local mark
    mark=$(journal_mark)
    due '-1 hour'
    wait_until 120 has_started "$mark" 100
    no_job
    wait_until 5 waits_no_more
    equal 'lines in the journal' '' "$(said_of_jobs_since "$mark")"
    no_failed_unit
}

# With nothing between two looks it is the path unit that gives up; the port and the service are not touched. An instance
# of its own, because systemd counts on for a minute.
broken_one_does_not_spin() {
    looks_every '0 \&\& false'
    inside rm -r /run/systemd/system/dormouse-jobs@.path.d
    stand_in
    inside systemctl start dormouse@spin.socket
    due '-1 hour' spin
    wait_until 30 has_given_up
    is_open dormouse@spin.socket
    is_off dormouse@spin
    inside systemctl stop dormouse@spin.socket
    inside /bin/sh -c 'systemctl reset-failed; rm -r /var/lib/dormouse/spin'
}
has_given_up() { [[ $(state_of dormouse-jobs@spin.path) == failed ]]; }

# What the user dormouse may put in its place: nothing waits for it, nothing else is touched, and it goes on.
marker_is_something_else() {
    looks_every 0.2
    stand_in
    inside systemctl restart dormouse.socket
    local other folder
    due '-1 hour'
    folder=$(dirname "$(marker)")
    for other in 'mkfifo due' 'mkdir due' 'ln -s /etc/shadow due' 'ln -s /run/systemd/private due' 'ln -s /dev/random due'; do
        no_job
        wait_until 5 waits_no_more
        inside systemctl stop dormouse.service
        inside /bin/sh -c "cd $folder && $other"
        wait_until 5 is_awake
        wait_until 5 waits
    done
    no_job
    wait_until 5 waits_no_more
    inside systemctl stop dormouse.service
    inside ln -s /nonexistent "$(marker)"
    stays 2 is_off
    no_job
    inside /bin/sh -c "rm -r $folder && ln -s /proc/1 $folder"
    stays 2 is_off
    inside rm "$folder"
    due '-1 hour'
    wait_until 5 is_awake
    no_failed_unit
}

instances_are_on_their_own() {
    looks_every 0.2
    stand_in
    inside systemctl start dormouse@blog.socket
    due '-1 hour' blog
    wait_until 5 is_awake dormouse@blog
    stays 2 is_off
    is_off dormouse-jobs
    due '-1 hour'
    wait_until 5 is_awake
    inside systemctl stop dormouse@blog.socket dormouse@blog.service
    stays 2 is_off dormouse@blog
    waits
    is_awake
    inside systemctl start dormouse@blog.socket
    wait_until 5 is_awake dormouse@blog
    stop_all
    stays 2 nothing_runs
    waits dormouse-jobs@blog
    is_awake dormouse@blog
    inside systemctl start dormouse.socket
    no_job blog
    wait_until 5 waits_no_more dormouse-jobs@blog
    inside systemctl stop dormouse@blog.service
}

# `User=` and `Group=` in a drop-in of the instance alone.
instance_of_another_user() {
    looks_every 0.2
    stand_in
    inside systemctl start dormouse@blog.socket
    inside systemctl stop dormouse@blog.service
    put /run/systemd/system/dormouse@blog.service.d/user.conf <<<$'[Service]\nUser=games\nGroup=games'
    inside systemctl daemon-reload
    due '+1 hour' blog
    inside /bin/sh -c 'chown -R games:games /var/lib/dormouse/blog && chmod 700 /var/lib/dormouse/blog'
    stays 2 is_off dormouse@blog
    inside touch -d '-1 hour' "$(marker blog)"
    wait_until 5 is_awake dormouse@blog
    no_job blog
    inside systemctl stop dormouse@blog.service
    inside rm /run/systemd/system/dormouse@blog.service.d/user.conf
    inside chown -R dormouse:dormouse /var/lib/dormouse/blog
}

# Before, there were none of these units; the sockets stay open.
upgrade_brings_it() {
    local folder before package
    package=$(repacked 0.1.5-1)
    folder=$MACHINE_DIR/repack
    rm "$folder"/usr/lib/systemd/system/dormouse-jobs*
    sed -i '/^Wants=/d' "$folder"/usr/lib/systemd/system/dormouse{,@}.socket
    sed -i '/^    renew_waits$/d' "$folder"/DEBIAN/postinst
    dpkg-deb --build -Znone --root-owner-group "$folder" "$MACHINE_DIR/old.deb" >/dev/null
    inside systemctl stop dormouse.socket dormouse@blog.socket
    put "$package" <"$MACHINE_DIR/old.deb"
    inside dpkg --install "$package"
    inside systemctl start dormouse.socket dormouse@blog.socket
    equal 'the path unit' inactive "$(state_of dormouse-jobs.path)"
    before=$(ids_of dormouse.socket dormouse@blog.socket)
    inside dpkg --install "$(repacked 0.1.6-1)"
    equal 'the sockets' "$before" "$(ids_of dormouse.socket dormouse@blog.socket)"
    equal 'the path unit' active "$(state_of dormouse-jobs.path)"
    equal 'the path unit of an instance' active "$(state_of dormouse-jobs@blog.path)"
    is_off
}

upgrade_while_it_waits() {
    stand_in
    due '+1 hour'
    wait_until 5 waits
    local before
    before=$(property dormouse-jobs.service InvocationID)
    inside dpkg --install "$(repacked 0.1.7-1)"
    wait_until 5 waits
    [[ $before != "$(property dormouse-jobs.service InvocationID)" ]] || { echo 'the old one waits on' && return 1; }
    inside systemctl stop dormouse.socket
    inside dpkg --install "$(repacked 0.1.7-2)"
    inside systemctl start dormouse.socket # where it is enabled, the package has done so
    wait_until 5 waits
    inside systemctl disable --now --quiet dormouse.socket
    inside dpkg --install "$(repacked 0.1.7-3)"
    nothing_runs
    equal 'the path unit' inactive "$(state_of dormouse-jobs.path)"
    inside systemctl enable --now --quiet dormouse.socket
    no_job
    inside systemctl stop dormouse-jobs.service
}

removal_ends_it() {
    due '+1 hour'
    due '+1 hour' blog
    wait_until 5 waits
    wait_until 5 waits dormouse-jobs@blog
    inside dpkg --remove dormouse
    equal 'units' '' "$(inside systemctl list-units --all --plain --no-legend 'dormouse*' | grep -v ' not-found ')"
    no_job
    no_job blog
    inside dpkg --install /root/dormouse.deb
    inside systemctl enable --now --quiet dormouse@blog.socket
}

inside systemctl enable --now --quiet dormouse@blog.socket
stand_in
due '-1 hour'
due '-1 hour' blog
inside /bin/sh -c 'mkdir -p /etc/systemd/system/dormouse.service.d /etc/systemd/system/dormouse@.service.d
    for unit in dormouse dormouse@; do
        cp /run/systemd/system/$unit.service.d/stand-in.conf /etc/systemd/system/$unit.service.d/
    done'
check 'the sockets bring along what waits for jobs, and take it with them' sockets_bring_it_along
reboot_machine
check 'a boot with a job that is due starts the service, without a request' is_started_by_the_boot
jobs_gone
inside rm -r /etc/systemd/system/dormouse.service.d /etc/systemd/system/dormouse@.service.d
check 'a job that is due later starts it then' is_started_when_due
check 'it wakes again and again while jobs are left' wakes_it_from_its_sleep
check 'stopped with its socket it stays so, whatever is due' stopped_is_stopped
check 'stopped at any moment of a look it stays so' stopped_while_it_looks
check 'a look turns no stop around' stop_is_not_turned_around
check 'it goes on after restarts of the socket and kills' goes_on_after_restarts
check 'it waits without a word, for what sleeps and for what runs' waits_quietly
check 'a hundred rounds hit no limit' a_hundred_rounds
check 'one that is broken does not spin' broken_one_does_not_spin
check 'a marker that is a link, a pipe or a folder does no harm' marker_is_something_else
check 'instances do not disturb each other' instances_are_on_their_own
check 'an instance of another user is looked for as well' instance_of_another_user
jobs_gone
check 'an upgrade from a version without it brings it to open sockets' upgrade_brings_it
check 'an upgrade while it waits puts the new one there' upgrade_while_it_waits
jobs_gone
check 'removing the package ends it' removal_ends_it
jobs_gone
