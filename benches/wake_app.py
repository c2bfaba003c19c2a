"""The measuring half of benches/wake-app: asks in turns, each time with everything asleep that is to be woken.

    wake_app.py ROUNDS COMMAND...      COMMAND runs what follows it in the machine, whose network this has
"""

import socket
import statistics
import subprocess
import sys
import time

LIMIT = 30  # seconds for an answer
GONE = "while grep -qx tiny_app /proc/[0-9]*/comm 2>/dev/null; do sleep 0.01; done"
UNITS = "proxyd.service proxyd-manual.service tiny-unix.service dormouse-app-tiny.service"
PROXYD = f"systemctl --quiet stop {UNITS}; {GONE}"
# Its unit is dormouse's to stop when dormouse has started it.
NO_PROXYD = f"! systemctl --quiet is-active proxyd.service proxyd-manual.service || {{ {PROXYD}; }}"
AWAKE = f"{NO_PROXYD}; curl --silent --output /dev/null http://127.0.0.1:8080/awake; {GONE}"
ASLEEP = f"systemctl --quiet stop dormouse.service; {PROXYD}"

# What is asked, where, and what makes everything ready for it.
CASES = [
    ("socket-proxyd", 8090, "/", PROXYD),
    ("the same in its sandbox", 8091, "/", PROXYD),
    ("dormouse awake, pass", 8080, "/pass", AWAKE),
    ("dormouse awake, unix", 8080, "/unix", AWAKE),
    ("dormouse awake, port", 8080, "/port", AWAKE),
    ("dormouse awake, unit", 8080, "/unit", AWAKE),
    ("dormouse asleep, pass", 8080, "/pass", ASLEEP),
    ("dormouse asleep, unix", 8080, "/unix", ASLEEP),
    ("dormouse asleep, port", 8080, "/port", ASLEEP),
    ("dormouse asleep, unit", 8080, "/unit", ASLEEP),
    ("dormouse asleep, no app", 8080, "/awake", ASLEEP),
]


def ask(port, path):
    """Milliseconds from the connection to the first byte of the answer, which must be a 200."""
    begun = time.monotonic_ns()
    with socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = client.recv(65536)
        came = time.monotonic_ns()
    if not answer.startswith(b"HTTP/1.1 200 "):
        sys.exit(f"{path} on {port}: {answer!r}")
    return (came - begun) / 1e6


def main():
    rounds, inside = int(sys.argv[1]), sys.argv[2:]
    seen = {name: [] for name, *_ in CASES}
    for number in range(rounds + 1):
        for name, port, path, reset in CASES:
            subprocess.run([*inside, "/bin/sh", "-c", reset], check=True, timeout=LIMIT)
            took = ask(port, path)
            if number > 0:  # the first one reads everything from the disk
                seen[name].append(took)
    print(f"request to answer in ms, the app asleep before; n={rounds}")
    print(f"{'':<24} {'median':>8} {'lowest':>8} {'p95':>8} {'highest':>8}   to socket-proxyd, round by round")
    first = seen[CASES[0][0]]
    for name, values in seen.items():
        ratios = [one / other for one, other in zip(values, first)]
        figures = [statistics.median(values), min(values), statistics.quantiles(values, n=20)[-1], max(values)]
        print(f"{name:<24}" + "".join(f" {figure:>8.1f}" for figure in figures)
              + f"   {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})", flush=True)


main()
