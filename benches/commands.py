"""A tiny program run for each request: dormouse's `run` beside lighttpd's mod_cgi and fcgiwrap behind nginx. A part of
measure.py.

The program prints one line, and before it the least head of CGI where one is wanted; it is linked statically, so that
it costs next to nothing, and as programs usually are. Servers and programs share one core, the client has the other.
"""

import contextlib
import os
import statistics
import subprocess
import time

from servers import START_LIMIT, TEXT, Server, free_port, ratio, wrk_latencies

CONNECTIONS = [1, 10, 100]
MOST = 16  # programs at once, of dormouse and of fcgiwrap; mod_cgi knows no such limit
PEERS = ["lighttpd", "fcgiwrap"]
LINKED = {"static": ["-static"], "dynamic": []}

PROGRAM = r"""
#include <unistd.h>
static const char TEXT[] = HEAD "Hello from a program.\n";
int main(void) { return write(1, TEXT, sizeof TEXT - 1) != sizeof TEXT - 1; }
"""
HEADS = {"plain": "", "cgi": r"Content-Type: text/plain\r\n\r\n"}

DORMOUSE = """[sleep]
after = "never"
[[route]]
path = "/"
text = {text}
"""

RUN = """[[route]]
path = "/{path}"
run = ["{program}"]
at_once = {most}
queue = 10000
{more}
"""

LIGHTTPD = """server.modules = ("mod_cgi")
server.bind = "127.0.0.1"
server.port = {port}
server.document-root = "{site}"
server.errorlog = "{work}/lighttpd.log"
server.listen-backlog = 4096
server.max-keep-alive-requests = 65535
index-file.names = ("index.html")
cgi.assign = ("-cgi" => "")
"""

FASTCGI = """server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type "text/plain; charset=utf-8";
        location = / {{ return 200 {text}; }}
        location / {{
            fastcgi_pass unix:{socket};
            fastcgi_param SCRIPT_FILENAME {site}$fastcgi_script_name;
            fastcgi_param SCRIPT_NAME $fastcgi_script_name;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param DOCUMENT_ROOT $document_root;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param GATEWAY_INTERFACE CGI/1.1;
            fastcgi_param SERVER_SOFTWARE nginx;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param REMOTE_PORT $remote_port;
            fastcgi_param SERVER_ADDR $server_addr;
            fastcgi_param SERVER_PORT $server_port;
            fastcgi_param SERVER_NAME $server_name;
        }}
    }}"""


class Asked:
    """One way to have the program run. `staff` are the processes that serve, if they wait for the programs."""

    def __init__(self, name, server, path, staff):
        self.name, self.server, self.path, self.staff = name, server, path, staff

    def round(self, connections):
        """Requests a second, microseconds of processor a request with those of the program, and two latencies in ms."""
        before = self.processor()
        requests, rate, median, last = wrk_latencies(self.server, self.path, connections)
        cost = (self.processor() - before) * 1e6 / requests if self.staff else None
        return rate, cost, median, last

    def processor(self):
        """Seconds for which its processes and the children they have waited for have run."""
        return sum(map(processor, self.staff))


def processor(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def compile_programs(site):
    for linked, options in LINKED.items():
        for kind, head in HEADS.items():
            command = ["cc", "-O2", *options, f'-DHEAD="{head}"', "-x", "c", "-", "-o", f"{site}/{linked}-{kind}"]
            subprocess.run(command, input=PROGRAM, text=True, check=True)


def prepare(work, directory, text, nginx):
    """dormouse, lighttpd, nginx and fcgiwrap, and the programs."""
    site = f"{work}/cgi"
    os.mkdir(site)
    compile_programs(site)
    with open(f"{site}/index.html", "w") as file:
        file.write(TEXT)
    with open(f"{work}/commands.toml", "w") as config:
        config.write(DORMOUSE.format(text=text))
        for linked in LINKED:
            for way, kind, more in (("stream", "plain", ""), ("whole", "plain", "stream = false"), ("cgi", "cgi", "cgi = true")):
                program = f"{site}/{linked}-{kind}"
                config.write(RUN.format(path=f"{linked}-{way}", program=program, most=MOST, more=more))
    light, engine = free_port(), free_port()
    with open(f"{work}/lighttpd.conf", "w") as config:
        config.write(LIGHTTPD.format(work=work, site=site, port=light))
    socket = f"{work}/fcgiwrap.socket"
    fastcgi = FASTCGI.format(port=engine, text=text, site=site, socket=socket)
    return (
        Server("dormouse", [f"{directory}/dormouse", "serve", "--config", f"{work}/commands.toml"]),
        Server("lighttpd", ["lighttpd", "-D", "-f", f"{work}/lighttpd.conf"], light),
        Server("nginx", nginx(work, "fastcgi", fastcgi), engine),
        wrapper(socket),
    )


def wrapper(socket):
    server = Server("fcgiwrap", ["fcgiwrap", "-c", str(MOST), "-s", f"unix:{socket}"], port=0)
    server.socket = socket
    return server


@contextlib.contextmanager
def wrapping(server):
    """fcgiwrap while it runs; nginx's worker, another user, may connect."""
    server.start()
    try:
        until = time.monotonic() + START_LIMIT
        while len(server.processes()) <= MOST or not os.path.exists(server.socket):
            if time.monotonic() > until:
                raise SystemExit("fcgiwrap does not start")
            time.sleep(0.02)
        os.chmod(server.socket, 0o666)
        yield server
    finally:
        server.stop()


def row(*cells):
    print(f"{cells[0]:<8} {cells[1]:>5} {cells[2]:<6}" + "".join(f" {cell:>10}" for cell in cells[3:8])
          + "".join(f"   {cell:<18}" for cell in cells[8:]), flush=True)


def compare(asked, rounds, linked, connections):
    """Four lines of the table: rates, costs, latencies."""
    seen = [{each.name: [] for each in asked} for _ in range(4)]
    for number in range(rounds):
        first = number % len(asked)
        for each in asked[first:] + asked[:first]:
            for values, value in zip(seen, each.round(connections)):
                values[each.name].append(value)
    kinds = (("req/s", "{:,.0f}"), ("us", "{:,.0f}"), ("p50 ms", "{:.2f}"), ("p99 ms", "{:.2f}"))
    for (kind, form), values in zip(kinds, seen):
        values = {name: each for name, each in values.items() if None not in each}
        medians = (form.format(statistics.median(values[each.name])) if each.name in values else "" for each in asked)
        if kind == "req/s":
            row(linked, connections, kind, *medians, *(ratio(values, "cgi", other) for other in PEERS))
        else:
            row("", "", kind, *medians, *(ratio(values, other, "cgi") for other in PEERS if other in values))


def measure(work, directory, text, rounds, is_quick, nginx):
    dormouse, lighttpd, engine, fcgiwrap = prepare(work, directory, text, nginx)
    print("a tiny program run for each request: requests a second, microseconds of processor a request with those of the\n"
          "program (fcgiwrap does not wait for it, and nobody knows), and latencies. Ratios are of dormouse's `cgi = true` to\n"
          "each of the others, rates upright and the rest upside down: above 1, dormouse is better (median, lowest-highest\n"
          f"round). At most {MOST} programs at once, of lighttpd as many as requests")
    row("", "conns", "", "stream", "whole", "cgi", *PEERS, *(f"to {peer}" for peer in PEERS))
    with dormouse.running(), lighttpd.running(), wrapping(fcgiwrap), engine.running():
        own, light = dormouse.processes(), lighttpd.processes()  # before there are programs
        for linked in ["static"] if is_quick else LINKED:
            asked = [Asked(way, dormouse, f"/{linked}-{way}", own) for way in ("stream", "whole", "cgi")]
            asked.append(Asked("lighttpd", lighttpd, f"/{linked}-cgi", light))
            asked.append(Asked("fcgiwrap", engine, f"/{linked}-cgi", []))
            for connections in CONNECTIONS:
                compare(asked, rounds, linked, connections)
    print(f"\nload {os.getloadavg()[0]:.1f} at the end")
