# Apps behind dormouse in the machine.
# shellcheck shell=bash disable=SC2034

APP_PROGRAM=/srv/app/app.py
WIKI=dormouse-app-wiki # a unit that the shipped rule is for

app_program() { put "$APP_PROGRAM" <"$HERE/app.py"; }

# app NAME [LINE...]: a route /NAME/ and its app, which is app.py with those lines in its table.
app() {
    local name=$1
    shift
    printf '%s\n' '[[route]]' "path = \"/$name/\"" "app = \"$name\"" "[app.$name]" "$@"
}
# run_app NAME ARGUMENTS [LINE...]: one that is app.py itself; the arguments end with commas.
run_app() {
    local name=$1 arguments=$2
    shift 2
    app "$name" "run = [\"/usr/bin/python3\", \"$APP_PROGRAM\", $arguments]" "$@"
}

# app_unit NAME [LINE...]: a unit that is app.py on port 3000, or what the lines say.
app_unit() {
    local name=$1
    shift
    {
        printf '%s\n' [Service] Type=exec User=nobody Environment=PORT=3000
        printf '%s\n' "${@:-ExecStart=/usr/bin/python3 $APP_PROGRAM}"
    } | put "/etc/systemd/system/$name.service"
    inside systemctl daemon-reload
}
# unit_app UNIT [LINE...]: a route /wiki/ and the app that is this unit, on port 3000 unless the lines say otherwise.
unit_app() {
    local unit=$1
    shift
    [[ "$*" == *'address = '* ]] || set -- 'address = "http://127.0.0.1:3000"' "$@"
    app wiki "unit = \"$unit.service\"" "$@"
}

# asked PATH: the process id that an app says at its path.
asked() {
    local app path
    read -r app path < <(get "$1")
    equal 'the path it was asked' "$1" "$path" >&2 || return
    echo "$app"
}

# The processes of dormouse and all it has started: it is the only one of its user, but for what waits until a job is due.
processes_of_dormouse() {
    inside /bin/sh -c 'for process in $(find /proc -maxdepth 1 -name "[0-9]*" -user dormouse 2>/dev/null); do
        grep -q dormouse-jobs "$process/cgroup" && continue
        echo "$(basename "$process") $(tr "\0" " " <"$process/cmdline")"; done 2>/dev/null || true'
}
nothing_lingers() { equal 'processes of dormouse' '' "$(processes_of_dormouse)"; }
is_process() { inside test -d "/proc/$1"; }
is_gone() { ! is_process "$1"; }

# says_since MARK TEXT [UNIT]: whether the journal has a message with that text since then.
messages_since() { journal_since "$1" "${2-dormouse}" | python3 -c 'import json, sys
for line in sys.stdin:
    print(json.loads(line)["MESSAGE"])'; }
says_since() { messages_since "$1" "${3-dormouse}" | grep -F -- "$2" >/dev/null; }
# status_and_body PATH: `502 ...`.
status_and_body() { inside curl --silent --max-time 40 --write-out ' %{http_code}' "http://127.0.0.1:8080$1"; }
