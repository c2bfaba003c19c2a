"""Servers that are started, asked and stopped, and what wrk sees of them. A part of measure.py."""

import contextlib
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
START_LIMIT = 20  # seconds until a server must have answered; valgrind's start is slow
TEXT = "Hello from a machine that was asleep a moment ago.\n"


class Server:
    """A server process on a core, with a socket it inherits or a port it binds itself."""

    def __init__(self, name, arguments, port=None, core=SERVER_CORE):
        self.name, self.arguments, self.core, self.pid = name, arguments, core, None
        self.listener = None
        if port is None:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
            port = self.listener.getsockname()[1]
        self.port = port

    def start(self, wrapper=()):
        """Starts it; the moment of its exec, in nanoseconds of the monotonic clock."""
        arguments = [*wrapper, *self.arguments]
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self.become(arguments, writing)
            finally:
                os._exit(127)
        os.close(writing)
        with open(reading) as pipe:
            return int(pipe.read())

    def become(self, arguments, pipe):
        os.setsid()
        os.sched_setaffinity(0, {self.core})
        if self.listener:
            pipe = os.dup(pipe)  # in case it is 3
            os.dup2(self.listener.fileno(), 3)
            os.set_inheritable(3, True)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http")
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        os.write(pipe, str(time.monotonic_ns()).encode())
        os.execvp(arguments[0], arguments)

    def stop(self):
        """Stops what `start` started, and whatever it started itself."""
        if self.pid is None:
            return
        until = time.monotonic() + START_LIMIT
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
            # Once may not be enough: an nginx without a master forgets what it is told just before it waits.
            while not self.ends_within(1):
                os.killpg(self.pid, signal.SIGKILL if time.monotonic() > until else signal.SIGTERM)
        self.pid = None

    def ends_within(self, seconds):
        until = time.monotonic() + seconds
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                return False
            time.sleep(0.01)
        return True

    def connect(self):
        until = time.monotonic() + START_LIMIT
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self.port), timeout=START_LIMIT)
            except ConnectionRefusedError:
                if time.monotonic() > until:
                    sys.exit(f"{self.name} does not listen")
                time.sleep(0.02)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    @contextlib.contextmanager
    def running(self, wrapper=()):
        self.start(wrapper)
        try:
            with self.connect() as connection:
                exchange(connection)
            yield self
        finally:
            self.stop()

    def processes(self):
        """Its own id and those of its children: nginx has a worker."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children") as children:
            return [self.pid, *map(int, children.read().split())]

    def processor(self):
        """Nanoseconds for which its threads have run."""
        total = 0
        for pid in self.processes():
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/schedstat") as stat:
                    total += int(stat.read().split()[0])
        return total

    def memory(self, field):
        """Kibibytes, of all its processes: Rss or Pss."""
        total = 0
        for pid in self.processes():
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += int(re.search(rf"^{field}:\s+(\d+)", rollup.read(), re.M)[1])
        return total


def exchange(connection):
    """One request for the text, answered whole."""
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answer = b""
    while not answer.endswith(TEXT.encode()):
        piece = connection.recv(65536)
        if not piece:
            sys.exit(f"a server closed instead of answering: {answer!r}")
        answer += piece
    return answer


def wrk(server, path, connections):
    """Requests, and requests a second, as one short run of wrk sees them."""
    return counted(run_wrk(server, path, connections))


def wrk_latencies(server, path, connections):
    """The same, and the median and the 99th percentile of the latency in milliseconds."""
    output = run_wrk(server, path, connections, "--latency")
    scale = {"us": 1e-3, "ms": 1, "s": 1e3}
    found = (re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", output, re.M) for percent in (50, 99))
    return *counted(output), *(float(each[1]) * scale[each[2]] for each in found)


def run_wrk(server, path, connections, *options):
    command = ["taskset", "-c", str(CLIENT_CORE), "wrk", "-t1", f"-c{connections}", "-d1s", "--timeout", "10s", *options]
    output = subprocess.run([*command, server.url(path)], capture_output=True, text=True, timeout=60, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"{server.name}, {path}, {connections} connections: {output}")
    return output


def counted(output):
    return int(re.search(r"(\d+) requests in", output)[1]), float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def ratio(rounds, one, other):
    if other not in rounds:
        return ""
    return spread([a / b for a, b in zip(rounds[one], rounds[other])])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def instructions(server, requests):
    """Instructions of a whole life with so many requests on one connection, as valgrind counts them."""
    with tempfile.NamedTemporaryFile() as counts:
        wrapper = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={counts.name}"]
        with server.running(wrapper), server.connect() as connection:
            for _ in range(requests):
                exchange(connection)
        return int(re.search(r"^(?:summary|totals): (\d+)", open(counts.name).read(), re.M)[1])
