# Jobs that are due, without a dormouse that keeps any: the marker it would leave, and a service that only runs.
# shellcheck shell=bash

marker() { echo "/var/lib/dormouse/${1-dormouse}/jobs/due"; }
# due WHEN [NAME]: a job is left, and is to run then (`-1 hour`, `+10 seconds`).
due() {
    local folder
    folder=$(dirname "$(marker "${2-dormouse}")")
    inside install -d -o dormouse -g dormouse -m 0750 "$(dirname "$folder")" "$folder"
    inside touch -d "$1" "$folder/due"
}
# no_job [NAME]: none is left.
no_job() { inside rm -rf "$(marker "$@")"; }

# looks_every SECONDS: rather than four times a minute, which no more than sixty starts within a minute go with.
looks_every() {
    local unit
    for unit in dormouse-jobs.service dormouse-jobs@.service; do
        grep -q 'while sleep 15 ' "$HERE/../../systemd/$unit"
        sed "s/while sleep 15 /while sleep $1 /" "$HERE/../../systemd/$unit" | put "/run/systemd/system/$unit"
        put "/run/systemd/system/${unit%.service}.path.d/limit.conf" <<<$'[Path]\nTriggerLimitIntervalSec=0'
    done
    inside systemctl daemon-reload
    inside systemctl stop 'dormouse-jobs*.service' 2>/dev/null || true
}

# stand_in [LINE...]: what runs as dormouse.service and its instances, with these lines in [Service]; no job is left.
stand_in() {
    local unit
    no_job
    no_job blog
    for unit in dormouse dormouse@; do
        printf '%s\n' [Service] Type=exec WatchdogSec=0 ExecStart= "${@:-ExecStart=/bin/sleep infinity}" |
            put "/run/systemd/system/$unit.service.d/stand-in.conf"
    done
    inside systemctl daemon-reload
    stop_all
    inside systemctl start dormouse.socket
}
stop_all() { inside systemctl stop dormouse.socket dormouse.service; }

waits() { [[ $(state_of "${1-dormouse-jobs}.service") == active ]]; }
waits_no_more() { [[ $(state_of "${1-dormouse-jobs}.service") == inactive ]]; }
is_off() { [[ $(state_of "${1-dormouse}.service") == inactive ]]; }
# stays SECONDS COMMAND...: holds all the time.
stays() {
    local deadline
    deadline=$((${EPOCHREALTIME/[.,]/} + $(printf '%.0f' "${1}e6")))
    shift
    while ((${EPOCHREALTIME/[.,]/} < deadline)); do
        "$@" || { echo "no longer: $*" && return 1; }
        sleep 0.1
    done
}

# What the journal has about the units that wait. In a container without all controllers, systemd 262 tells of one more.
said_of_jobs_since() {
    inside journalctl --sync
    inside journalctl --after-cursor="$1" -o json |
        { grep -E '"(_SYSTEMD_UNIT|UNIT)":"dormouse-jobs[^"]*"' || true; } | { grep -v 'Failed to read pids.max' || true; }
}

jobs_gone() {
    no_job
    no_job blog
    inside /bin/sh -c 'rm -rf /run/systemd/system/dormouse*
        systemctl daemon-reload; systemctl stop "dormouse-jobs*.service" "dormouse*.service"; systemctl reset-failed
        systemctl restart dormouse.socket' 2>/dev/null || true
}
