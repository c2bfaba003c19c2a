#!/usr/bin/env python3
"""The measuring half of benches/run: starts the servers, asks them in turns, prints the table.

    measure.py DIRECTORY [--quick] [--idle | --proxy | --commands | --jobs] [--instructions]

DIRECTORY holds dormouse and examples/bare_hyper. Rounds are interleaved (dormouse, bare hyper, nginx, and again), and a
ratio is that of one round, so that a machine that is slow for a moment is so for all. Everything is bounded in count and
time; nothing leaves the loopback.
"""

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import commands
import idle
import jobs
import proxy
from servers import CLIENT_CORE, SERVER_CORE, START_LIMIT, TEXT, Server, free_port, instructions, ratio, wrk

QUICK = "--quick" in sys.argv
CONNECTIONS = [1, 10, 100, 1000]
WAKES = 20 if QUICK else 100
IDLE = 1000 if QUICK else 10_000
FILES = {"1k": 1 << 10, "64k": 64 << 10, "1m": 1 << 20}

DORMOUSE = """[sleep]
after = "{after}"
[[route]]
path = "/"
text = {text}
[[route]]
path = "/files/"
files = "{site}"
"""

NGINX = """daemon off;
pid {work}/nginx.pid;
error_log {work}/nginx.log;
worker_processes 1;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    scgi_temp_path {work}/scgi; uwsgi_temp_path {work}/uwsgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type "text/plain; charset=utf-8";
        location = / {{ return 200 {text}; }}
        location /files/ {{ alias {site}/; }}
    }}
}}
"""


def row(*cells):
    print(f"{cells[0]:<12} {cells[1]:>6}" + "".join(f" {cell:>11}" for cell in cells[2:5])
          + "".join(f"   {cell:<18}" for cell in cells[5:]), flush=True)


def throughput(dormouse, bare, nginx):
    print("requests a second; dormouse to each of the others: above 1, dormouse is faster (median, lowest-highest round)")
    row("", "conns", "dormouse", "bare hyper", "nginx", "to bare hyper", "to nginx")
    kinds = [("text", "/", [dormouse, bare, nginx], CONNECTIONS, 3 if QUICK else 11)]
    for name in FILES:
        kinds.append((f"file {name}", f"/files/{name}", [dormouse, nginx], [10] if QUICK else CONNECTIONS, 2 if QUICK else 7))
    for kind, path, servers, levels, rounds in kinds:
        for connections in levels:
            seen = {server.name: [] for server in servers}
            for number in range(rounds):
                # Each goes first in turn: whoever follows another finds the machine as that one left it.
                first = number % len(servers)
                for server in servers[first:] + servers[:first]:
                    seen[server.name].append(wrk(server, path, connections)[1])
            medians = [f"{statistics.median(seen[s.name]):,.0f}" if s.name in seen else "" for s in (dormouse, bare, nginx)]
            row(kind, connections, *medians, *(ratio(seen, dormouse.name, s.name) for s in (bare, nginx)))


def wake(server):
    """Milliseconds from exec to the first byte of the answer: connection and request wait in the queue before it."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=START_LIMIT) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        begun = server.start()
        client.recv(1)
        came = time.monotonic_ns()
    server.stop()
    return (came - begun) / 1e6


def wakes(servers):
    seen = {server.name: [] for server in servers}
    for _ in range(WAKES):
        for server in servers:
            seen[server.name].append(wake(server))
    print(f"\nwake: exec to first byte in ms, the request waiting; n={WAKES}")
    print(f"{'':<12} {'median':>8} {'p95':>8}")
    for name, values in seen.items():
        print(f"{name:<12} {statistics.median(values):>8.2f} {statistics.quantiles(values, n=20)[-1]:>8.2f}")
    dormouse, bare = (statistics.median(seen[server.name]) for server in servers)
    print(f"dormouse takes {dormouse / bare:.2f} of bare hyper's time, {dormouse - bare:+.2f} ms", flush=True)


def memory(servers):
    print("\nmemory in KiB after the first request")
    print(f"{'':<12} {'RSS':>8} {'PSS':>8}")
    for server in servers:
        with server.running():
            print(f"{server.name:<12} {server.memory('Rss'):>8,} {server.memory('Pss'):>8,}", flush=True)


def instructions_each(servers):
    few, many = 500, 2500
    print("\ninstructions of one request for the text, outside the kernel")
    each = {}
    for server in servers:
        each[server.name] = (instructions(server, many) - instructions(server, few)) / (many - few)
        print(f"{server.name:<12} {each[server.name]:>8,.0f}", flush=True)
    dormouse, bare = each.values()
    print(f"dormouse takes {dormouse / bare:.2f} of bare hyper's, {dormouse - bare:+,.0f}")


def quote(text):
    return '"' + text.replace("\n", "\\n") + '"'


def prepare(work, directory):
    """The three servers, dormouse again with sleep, and what they serve, below `work`."""
    os.chmod(work, 0o755)  # nginx's worker is another user
    site = f"{work}/site"
    for folder in (site, f"{work}/state", f"{work}/run"):
        os.mkdir(folder)
    for name, size in FILES.items():
        with open(f"{site}/{name}", "wb") as file:
            file.write(b"dormouse" * (size // 8))
    os.environ.update(STATE_DIRECTORY=f"{work}/state", RUNTIME_DIRECTORY=f"{work}/run")
    quoted = quote(TEXT)
    for name, after in (("dormouse", "never"), ("sleeper", f"{idle.QUIET * 1000:.0f}ms")):
        with open(f"{work}/{name}.toml", "w") as config:
            config.write(DORMOUSE.format(text=quoted, site=site, after=after))
    port = free_port()
    with open(f"{work}/nginx.conf", "w") as config:
        config.write(NGINX.format(work=work, site=site, port=port, text=quoted, files=max(IDLE, 1000) + 1000))
    serve = [f"{directory}/dormouse", "serve", "--config"]
    return (
        Server("dormouse", [*serve, f"{work}/dormouse.toml"]),
        Server("bare hyper", [f"{directory}/examples/bare_hyper"]),
        Server("nginx", ["nginx", "-p", work, "-c", f"{work}/nginx.conf", "-e", f"{work}/nginx.log"], port),
        Server("dormouse", [*serve, f"{work}/sleeper.toml"]),
    )


def version(*command):
    output = subprocess.run(command, capture_output=True, text=True)
    return (output.stdout + output.stderr).split()[-1].split("/")[-1]


def main():
    directory = sys.argv[1]
    versions = f"dormouse {version(directory + '/dormouse', '--version')}, nginx {version('nginx', '-v')}"
    print(f"{versions}; server on core {SERVER_CORE}, client on core {CLIENT_CORE}, load {os.getloadavg()[0]:.1f} before it began\n")
    with tempfile.TemporaryDirectory(prefix="dormouse-bench-") as work:
        dormouse, bare, nginx, sleeper = prepare(work, directory)
        if "--idle" in sys.argv:
            idle.measure([dormouse, bare, nginx], sleeper, IDLE, TEXT)
            return
        if "--proxy" in sys.argv:
            proxy.measure(work, directory, quote(TEXT), 3 if QUICK else 11, "--instructions" in sys.argv)
            return
        if "--commands" in sys.argv:
            commands.measure(work, directory, quote(TEXT), 2 if QUICK else 7, QUICK, proxy.nginx)
            return
        if "--jobs" in sys.argv:
            jobs.measure(directory, quote(TEXT), 2 if QUICK else 7)
            return
        with dormouse.running(), bare.running(), nginx.running():
            throughput(dormouse, bare, nginx)
        wakes([dormouse, bare])
        memory([dormouse, bare, nginx])
        idle.measure([dormouse, bare, nginx], sleeper, IDLE, TEXT)
        if "--instructions" in sys.argv:
            instructions_each([dormouse, bare])


# A SIGTERM unwinds like Ctrl-C, so that the servers are stopped.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
main()
