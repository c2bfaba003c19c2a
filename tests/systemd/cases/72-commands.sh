# shellcheck shell=bash disable=SC2329
# Commands, in the sandbox of the service.

# command NAME ARGV [LINE...]: a route /NAME that runs it.
command_route() {
    local name=$1 argv=$2
    shift 2
    printf '%s\n' '[[route]]' "path = \"/$name\"" "run = $argv" "$@"
}

runs_as_the_user_of_the_service() {
    configure "$FAST_SLEEP$(command_route who '["id", "-un"]')
$(command_route where '["pwd"]')"
    equal 'who it is' dormouse "$(get /who)"
    equal 'where it is' /var/lib/dormouse/dormouse "$(get /where)"
    falls_asleep
    equal 'who it is' dormouse "$(get /who)"
    falls_asleep
    nothing_lingers
    no_failed_unit
}

ends_with_its_client() {
    configure "$FAST_SLEEP$(command_route slow '["sh", "-c", "sleep 1000 & (sleep 1000 & sleep 1000)"]')"
    inside curl --silent --max-time 1 http://127.0.0.1:8080/slow || true
    wait_until 10 only_dormouse_runs
    falls_asleep
    nothing_lingers
}
only_dormouse_runs() { [[ $(processes_of_dormouse) != *sleep* ]]; }

# It is awake for as long as that takes, though nobody asks any more.
finishes_without_its_client() {
    configure "$FAST_SLEEP$(command_route fin '["sh", "-c", "sleep 4; echo x >finished"]' 'on_disconnect = "finish"')"
    local mark
    mark=$(journal_mark)
    inside curl --silent --max-time 1 http://127.0.0.1:8080/fin || true
    wait_until 5 status_has 'command /fin'
    wait_until 15 has_slept_since "$mark"
    inside rm /var/lib/dormouse/dormouse/finished
}

stop_waits_for_it() {
    configure "$(command_route long '["sh", "-c", "echo begun; sleep 3; echo done"]')"
    get /long >"$MACHINE_DIR/answer" &
    local client=$!
    wait_until 5 runs 'sleep 3'
    inside systemctl stop dormouse.service
    wait "$client"
    equal 'the answer' $'begun\ndone' "$(cat "$MACHINE_DIR/answer")"
    nothing_lingers
    equal 'its result' success "$(property dormouse.service Result)"
}
runs() { [[ $(processes_of_dormouse) == *"$1"* ]]; }

# Five seconds more than the drain, and that is less than systemd waits.
stop_ends_a_deaf_one() {
    configure $'[sleep]\ndrain = "1s"\n'"$(command_route deaf '["sh", "-c", "trap \"\" TERM; while :; do sleep 1; done"]')"
    local mark began
    mark=$(journal_mark)
    status_and_body /deaf >"$MACHINE_DIR/answer" &
    local client=$!
    wait_until 5 runs 'while :'
    began=$SECONDS
    inside systemctl stop dormouse.service
    ((SECONDS - began >= 5 && SECONDS - began <= 12)) || { echo "it took $((SECONDS - began)) s" && return 1; }
    wait "$client" || true
    nothing_lingers
    refute says_since "$mark" 'timed out'
    equal 'its result' success "$(property dormouse.service Result)"
}

# PrivateTmp= has another /tmp in it.
hidden_folder_is_named() {
    inside mkdir -p /tmp/hidden
    configure "$(command_route hidden '["true"]' 'dir = "/tmp/hidden"')"
    local mark page said
    mark=$(journal_mark)
    page=$(status_and_body /hidden)
    contains 'the page' ' 500' "$page"
    said=$(messages_since "$mark")
    contains 'the journal' /tmp/hidden "$said"
    contains 'the journal' 'dormouse (uid ' "$said"
    contains 'the journal' PrivateTmp= "$said"
}

nice_wants_the_drop_in() {
    configure "$(command_route nice '["nice"]' 'nice = 7')"
    local mark
    mark=$(journal_mark)
    equal 'what runs all the same' 0 "$(get /nice)"
    says_since "$mark" 'cannot set its priority to 7'
    local said
    said=$(inside dormouse check)
    contains 'check' programs.conf "$said"
    # As it says:
    inside /bin/sh -euc "$(grep -E '^(mkdir|cp|systemctl) ' <<<"$said")"
    refute grep warning <<<"$(inside dormouse check)"
    equal 'the priority' 7 "$(get /nice)"
    inside rm -r /etc/systemd/system/dormouse.service.d
    inside systemctl daemon-reload
}

# A webhook whose secret is a credential of the unit.
webhook_is_verified() {
    configure "$(command_route hook '["echo", "deployed {json.ref}"]' \
        'verify = { preset = "github", secret = "credential:hook" }' 'on_disconnect = "finish"')"
    local mark page said
    mark=$(journal_mark)
    page=$(hook right)
    contains 'without the credential' 500 "$page"
    said=$(messages_since "$mark")
    contains 'the journal' LoadCredential= "$said"
    put /etc/dormouse/hook.secret <<<'a secret'
    inside chmod 600 /etc/dormouse/hook.secret
    put /etc/systemd/system/dormouse.service.d/hook.conf <<<$'[Service]\nLoadCredential=hook:/etc/dormouse/hook.secret'
    inside systemctl daemon-reload
    inside systemctl stop dormouse.service
    refute grep LoadCredential <<<"$(inside dormouse check)"
    equal 'a right signature' 'deployed main 200' "$(hook right)"
    contains 'a wrong one' 401 "$(hook wrong)"
    inside rm -r /etc/systemd/system/dormouse.service.d /etc/dormouse/hook.secret
    inside systemctl daemon-reload
}
# hook KIND: what GitHub would send, with a signature by the right secret or another one.
hook() {
    inside python3 - "$1" <<'PYTHON'
import hashlib, hmac, sys, urllib.error, urllib.request
body = b'{"ref": "main"}'
secret = b"a secret" if sys.argv[1] == "right" else b"another"
signature = "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
headers = {"X-Hub-Signature-256": signature, "Content-Type": "application/json"}
request = urllib.request.Request("http://127.0.0.1:8080/hook", body, headers)
try:
    with urllib.request.urlopen(request, timeout=20) as answer:
        print(answer.read().decode().strip(), answer.status)
except urllib.error.HTTPError as error:
    print(error.code)
PYTHON
}

check 'a command runs as the user of the service, in its state directory' runs_as_the_user_of_the_service
check 'a command ends with its client, all of it' ends_with_its_client
check 'one that is to finish keeps it awake until it has' finishes_without_its_client
check 'a stop waits for a command' stop_waits_for_it
check 'a stop ends a command that does not hear, in time' stop_ends_a_deaf_one
check 'a folder that the sandbox hides is named, with the directive' hidden_folder_is_named
check 'nice says that it wants programs.conf, and works with it' nice_wants_the_drop_in
check 'a webhook is verified by a credential of the unit' webhook_is_verified
