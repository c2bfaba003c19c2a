#!/usr/bin/env python3
"""A web app for the machine: GET says its process id and the path, on the socket it was passed, on a path, or on PORT.

    app.py [--unix PATH] [--slow SECONDS] [--deaf] [--family]

--unix    listens there
--slow    takes so long until it listens
--deaf    does not hear SIGTERM
--family  has a child with a child of its own, and one in a session of its own
"""

import argparse
import http.server
import os
import signal
import socket
import subprocess
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.endswith("/never"):
            print("never answers", flush=True)
            time.sleep(600)
        body = f"{os.getpid()} {self.path}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *arguments):
        print(format % arguments, flush=True)


def listening(path):
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        assert os.environ["LISTEN_FDS"] == "1", os.environ
        return socket.socket(fileno=3)
    if path:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
    else:
        listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
    listener.listen(128)
    return listener


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--unix")
    parser.add_argument("--slow", type=float, default=0)
    parser.add_argument("--deaf", action="store_true")
    parser.add_argument("--family", action="store_true")
    options = parser.parse_args()
    if options.deaf:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if options.family:
        subprocess.Popen(["/bin/sh", "-c", "sleep 601 & wait"])
        subprocess.Popen(["/bin/sh", "-c", "sleep 602 & wait"], start_new_session=True)
    time.sleep(options.slow)
    server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listening(options.unix)
    server.serve_forever()


main()
