"""Jobs accepted, each on disk before it is answered: dormouse's `pull` and `job` beside beanstalkd with its binlog on and
a sync of every write (-f 0). A part of measure.py.

One client for both: each of its connections sends the next job as soon as the last one is accepted. Every round begins
with an empty store, all of them below /var/tmp, and with what that disk takes to make one write last.
"""

import contextlib
import os
import re
import select
import socket
import statistics
import tempfile
import time

from servers import CLIENT_CORE, Server, free_port, ratio, spread

CONNECTIONS = [1, 10, 100]
SECONDS = 1.0  # that each round takes
SYNCS = 50
BODY = b"j" * 100
DISK = "/var/tmp"  # /tmp may be memory

DORMOUSE = """[sleep]
after = "never"
[[route]]
path = "/"
text = {text}
[[route]]
path = "/pull"
pull = true
queue = 10000000
[[route]]
path = "/job"
job = ["true"]
workers = 1
queue = 10000000
"""


class Http:
    """A POST, answered 202."""

    def __init__(self, path):
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {len(BODY)}\r\n\r\n"
        self.request = head.encode() + BODY

    LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.I)

    def is_whole(self, answer):
        """Whether the answer is there; it ends the run if it is no 202."""
        end = answer.find(b"\r\n\r\n")
        if end < 0:
            return False
        length = self.LENGTH.search(answer, 0, end + 2)
        if length is None or not answer.startswith(b"HTTP/1.1 202 "):
            raise SystemExit(f"a job was not accepted: {answer!r}")
        return len(answer) >= end + 4 + int(length[1])


class Beanstalk:
    """A put, answered INSERTED."""

    request = b"put 0 0 60 %d\r\n%s\r\n" % (len(BODY), BODY)

    def is_whole(self, answer):
        if not answer.endswith(b"\r\n"):
            return False
        if not answer.startswith(b"INSERTED "):
            raise SystemExit(f"a job was not accepted: {answer!r}")
        return True


def accepted(server, protocol, connections):
    """Jobs accepted a second, and the median and the 99th percentile of the time that took, in ms."""
    sockets = [server.connect() for _ in range(connections)]
    for each in sockets:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        begun = time.monotonic()
        waits = exchange_all(sockets, protocol, begun + SECONDS)
        return len(waits) / (time.monotonic() - begun), *(1e3 * statistics.quantiles(waits, n=100)[at] for at in (49, 98))
    finally:
        for each in sockets:
            each.close()


def exchange_all(sockets, protocol, until):
    """Seconds that each job took; all that were begun before `until` are waited for."""
    waits, answers, sent = [], {}, {}
    by_number = {each.fileno(): each for each in sockets}
    with select.epoll() as poll:
        for number, each in by_number.items():
            poll.register(number, select.EPOLLIN)
            answers[number], sent[number] = b"", time.monotonic()
            each.sendall(protocol.request)
        while sent:
            for number, _ in poll.poll(30) or no_answer():
                answers[number] += by_number[number].recv(65536) or no_answer()
                if not protocol.is_whole(answers[number]):
                    continue
                now = time.monotonic()
                waits.append(now - sent.pop(number))
                if now < until:
                    answers[number], sent[number] = b"", now
                    by_number[number].sendall(protocol.request)
    return waits


def no_answer():
    raise SystemExit("a server closed, or waited for half a minute, instead of answering")


def sync_costs(folder):
    """Milliseconds that the disk takes to make 4 KiB of a file last, where nothing was before and over what was there."""
    file = os.open(f"{folder}/sync", os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.posix_fallocate(file, 0, SYNCS * 4096)
        os.fsync(file)
        return [sync_cost(file) for _ in ("new", "over")]
    finally:
        os.close(file)


def sync_cost(file):
    times = []
    for number in range(SYNCS):
        begun = time.monotonic()
        os.pwrite(file, b"s" * 4096, number * 4096)
        os.fdatasync(file)
        times.append(time.monotonic() - begun)
    return 1e3 * statistics.median(times)


@contextlib.contextmanager
def dormouse(folder, directory, text):
    os.environ.update(STATE_DIRECTORY=f"{folder}/state", RUNTIME_DIRECTORY=f"{folder}/run")
    for each in ("state", "run"):
        os.mkdir(f"{folder}/{each}")
    with open(f"{folder}/jobs.toml", "w") as config:
        config.write(DORMOUSE.format(text=text))
    with Server("dormouse", [f"{directory}/dormouse", "serve", "--config", f"{folder}/jobs.toml"]).running() as server:
        yield server


@contextlib.contextmanager
def beanstalkd(folder, *_):
    port = free_port()
    server = Server("beanstalkd", ["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", folder, "-f", "0"], port)
    server.start()
    try:
        server.connect().close()
        yield server
    finally:
        server.stop()


KINDS = (("pull", dormouse, Http("/pull")), ("job", dormouse, Http("/job")), ("beanstalkd", beanstalkd, Beanstalk()))


def one_round(kind, directory, text, connections):
    _, running, protocol = kind
    with tempfile.TemporaryDirectory(prefix="dormouse-bench-", dir=DISK) as folder:
        costs = sync_costs(folder)
        with running(folder, directory, text) as server:
            accepted_one(server, protocol)
            return accepted(server, protocol, connections), costs


def accepted_one(server, protocol):
    """The first job makes the store."""
    with server.connect() as connection:
        exchange_all([connection], protocol, 0)


def row(*cells):
    print(f"{cells[0]:>6} {cells[1]:<6}" + "".join(f" {cell:>11}" for cell in cells[2:5])
          + "".join(f"   {cell:<18}" for cell in cells[5:]), flush=True)


def compare(directory, text, connections, rounds):
    """Three lines of the table; what syncs cost before each round."""
    seen = [{name: [] for name, *_ in KINDS} for _ in range(3)]
    costs = []
    for number in range(rounds):
        first = number % len(KINDS)
        for kind in KINDS[first:] + KINDS[:first]:
            results, cost = one_round(kind, directory, text, connections)
            costs.append(cost)
            for values, value in zip(seen, results):
                values[kind[0]].append(value)
    for (unit, form), values in zip((("jobs/s", "{:,.0f}"), ("p50 ms", "{:.2f}"), ("p99 ms", "{:.2f}")), seen):
        pair = (lambda one, other: ratio(values, one, other) if unit == "jobs/s" else ratio(values, other, one))
        medians = (form.format(statistics.median(values[name])) for name, *_ in KINDS)
        row(connections if unit == "jobs/s" else "", unit, *medians, pair("pull", "beanstalkd"), pair("job", "beanstalkd"))
    return costs


def measure(directory, text, rounds):
    os.sched_setaffinity(0, {CLIENT_CORE})
    print(f"jobs of {len(BODY)} bytes accepted, on disk before the answer: a second, and how long one takes. `job` also runs\n"
          "true(1) for them meanwhile, one at a time. Ratios to beanstalkd -f 0, rates upright and the rest upside down:\n"
          "above 1, dormouse is better (median, lowest-highest round)")
    row("conns", "", *(name for name, *_ in KINDS), "pull to beanstalkd", "job to beanstalkd")
    costs = [cost for connections in CONNECTIONS for cost in compare(directory, text, connections, rounds)]
    new, over = map(spread, zip(*costs))
    print(f"\nms until the disk has 4 KiB for good, before each round: {new} in a file's free space, {over} over what was there\n"
          f"load {os.getloadavg()[0]:.1f} at the end")
