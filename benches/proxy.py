"""Requests passed on: dormouse's `proxy` beside nginx's proxy_pass and systemd-socket-proxyd. A part of measure.py.

One nginx is the upstream of all, on the client's core, so that the server's core is the proxy's alone. Both HTTP proxies
keep their upstream connections, send the client's Host on and say for whom they ask; socket-proxyd passes bytes, one
upstream connection for each of a client.
"""

import contextlib
import re
import signal
import statistics
import subprocess
import tempfile
import time

from servers import CLIENT_CORE, START_LIMIT, Server, exchange, free_port, instructions, ratio, wrk

CONNECTIONS = [1, 10, 100, 1000]
MOST = 4096  # connections at once, of every kind and at every hop
SOCKET_PROXYD = "/lib/systemd/systemd-socket-proxyd"
KINDS = {"text": "/", "10 KiB": "/10k"}

DORMOUSE = """[limits]
in_flight = {most}
[sleep]
after = "never"
[[route]]
path = "/"
proxy = "http://127.0.0.1:{upstream}"
connections = {most}
"""

# One process and no master: whoever counts instructions or system calls wants the worker's.
NGINX = """daemon off;
master_process {master};
pid {work}/{name}.pid;
error_log {work}/nginx.log;
worker_processes 1;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; }}
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    open_file_cache max=10 inactive=1h;
    open_file_cache_valid 1h;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    scgi_temp_path {work}/scgi; uwsgi_temp_path {work}/uwsgi;
    {rest}
}}
"""

UPSTREAM = """server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type "text/plain; charset=utf-8";
        location = / {{ return 200 {text}; }}
        location = /10k {{ alias {work}/10k; }}
    }}"""

PROXY = """upstream app {{
        server 127.0.0.1:{upstream};
        keepalive {most};
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_buffer_size 16k;
            proxy_buffers 8 16k;
        }}
    }}"""


def nginx(work, name, rest, master="on"):
    files = 2 * MOST + 100
    with open(f"{work}/{name}.conf", "w") as config:
        config.write(NGINX.format(work=work, name=name, files=files, rest=rest, master=master))
    return ["nginx", "-p", work, "-c", f"{work}/{name}.conf", "-e", f"{work}/nginx.log"]


def prepare(work, directory, text):
    """The upstream, and the proxies in front of it."""
    with open(f"{work}/10k", "wb") as file:
        file.write(b"dormouse" * (10 << 7))
    up, own, single = (free_port() for _ in range(3))
    upstream = Server("upstream", nginx(work, "upstream", UPSTREAM.format(work=work, port=up, text=text)), up, CLIENT_CORE)
    with open(f"{work}/proxy.toml", "w") as config:
        config.write(DORMOUSE.format(upstream=up, most=MOST))
    dormouse = Server("dormouse", [f"{directory}/dormouse", "serve", "--config", f"{work}/proxy.toml"])
    pass_on = lambda port: PROXY.format(port=port, upstream=up, most=MOST)
    proxyd = [SOCKET_PROXYD, f"--connections-max={MOST}", f"127.0.0.1:{up}"]
    return (
        upstream,
        [dormouse, Server("nginx", nginx(work, "nginx", pass_on(own)), own), Server("socket-proxyd", proxyd)],
        Server("nginx", nginx(work, "single", pass_on(single), master="off"), single),
    )


def row(*cells):
    print(f"{cells[0]:<8} {cells[1]:>6}" + "".join(f" {cell:>14}" for cell in cells[2:5])
          + "".join(f"   {cell:<18}" for cell in cells[5:]), flush=True)


def throughput(proxies, rounds):
    """Rates, and the processor's time a request: that of the proxy alone, in the kernel and outside."""
    print("passed on, requests a second; dormouse to each of the others: above 1, dormouse is faster\n"
          "and microseconds of processor a request; of each of the others to dormouse: above 1, dormouse takes less")
    names = [proxy.name for proxy in proxies]
    row("", "conns", *names, *(f"to {name}" for name in names[1:]))
    for kind, path in KINDS.items():
        for connections in CONNECTIONS:
            rates, costs = ({name: [] for name in names} for _ in range(2))
            for number in range(rounds):
                first = number % len(proxies)
                for proxy in proxies[first:] + proxies[:first]:
                    before = proxy.processor()
                    requests, rate = wrk(proxy, path, connections)
                    rates[proxy.name].append(rate)
                    costs[proxy.name].append((proxy.processor() - before) / 1e3 / requests)
            medians = [f"{statistics.median(rates[name]):,.0f}" for name in names]
            row(kind, connections, *medians, *(ratio(rates, names[0], name) for name in names[1:]))
            medians = [f"{statistics.median(costs[name]):.1f} us" for name in names]
            row("", "", *medians, *(ratio(costs, name, names[0]) for name in names[1:]))


def system_calls(server, requests):
    """How many of each it makes for one request."""
    with tempfile.NamedTemporaryFile(mode="r") as counts, server.running(), server.connect() as connection:
        exchange(connection)
        options = ["-f", "-qq", "-c", "-U", "calls,name", "-o", counts.name]
        tracer = subprocess.Popen(["strace", *options, "-p", str(server.pid)])
        while tracer.poll() is None and not is_traced(server.pid):
            time.sleep(0.01)
        for _ in range(requests):
            exchange(connection)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(timeout=START_LIMIT)
        pairs = re.findall(r"^\s*(\d+)\s+(\w+)$", counts.read(), re.M)
    calls = {name: int(count) / requests for count, name in pairs if name != "total"}
    return {name: count for name, count in calls.items() if count >= 0.05}


def is_traced(pid):
    with open(f"/proc/{pid}/status") as status:
        return not re.search(r"^TracerPid:\s+0$", status.read(), re.M)


def each_request(proxies):
    few, many = 500, 2500
    print("\none request passed on: instructions outside the kernel, and system calls")
    for proxy in proxies:
        own = (instructions(proxy, many) - instructions(proxy, few)) / (many - few)
        calls = system_calls(proxy, few)
        listed = ", ".join(f"{name} {count:.2g}" for name, count in sorted(calls.items(), key=lambda pair: -pair[1]))
        print(f"{proxy.name:<14} {own:>8,.0f} {sum(calls.values()):>6.1f}   {listed}", flush=True)


def measure(work, directory, text, rounds, counts):
    upstream, proxies, single = prepare(work, directory, text)
    with upstream.running():
        with contextlib.ExitStack() as running:
            for proxy in proxies:
                running.enter_context(proxy.running())
            throughput(proxies, rounds)
        if counts:
            each_request([proxies[0], single, proxies[2]])
