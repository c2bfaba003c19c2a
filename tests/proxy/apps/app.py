"""An app that does what the test says, by its environment and by what it is asked (see mod.rs)."""

import http.server
import os
import signal
import socket
import socketserver
import subprocess
import sys
import time

SAID = os.environ.get


def gate(path):
    """Tells the test that somebody is here, and waits until it may go on."""
    test = socket.socket(socket.AF_UNIX)
    test.connect(path)
    test.sendall(b"started\n")
    test.recv(100)


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0

    def do_GET(self):
        name, _, value = self.path.removeprefix("/").partition("?")
        status, text = 200, ""
        if name == "busy":
            status = 200 if os.path.exists(SAID("BUSY")) else 204
        elif name == "crash":
            print("the last words", file=sys.stderr, flush=True)
            os._exit(3)
        elif name == "environment":
            text = "\n".join(sorted(os.environ)) + "\n" + os.getcwd()
        elif name == "child":
            text = str(subprocess.Popen(["sleep", "1000"]).pid)
        elif name == "upgrade":
            return self.echo()
        elif name == "events":
            return self.tell_events()
        elif name == "for-ever":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x")
            time.sleep(1000)
        elif name == "agent":
            text = self.headers["user-agent"] or ""
        else:
            App.count += 1
            if name == "gate":
                gate(value)
            text = f"{os.getpid()} {App.count}"
        body = b"" if status == 204 else text.encode()
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def echo(self):
        """Gives back what it gets, once it is no HTTP any more."""
        self.send_response(101)
        self.send_header("Connection", "upgrade")
        self.send_header("Upgrade", self.headers["upgrade"])
        self.end_headers()
        self.close_connection = True
        while piece := self.connection.recv(4096):
            self.connection.sendall(piece)

    def tell_events(self):
        """An event each 50 ms, without end."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.close_connection = True
        while True:
            self.wfile.write(f"data: {os.getpid()}\n\n".encode())
            time.sleep(0.05)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 100

    def server_bind(self):
        if self.address_family == socket.AF_UNIX:
            socketserver.TCPServer.server_bind(self)
        else:
            super().server_bind()

    def get_request(self):
        request, _ = self.socket.accept()
        return request, ("somebody", 0)


def serve():
    if SAID("LISTEN_FDS"):
        assert SAID("LISTEN_PID") == str(os.getpid())
        server = Server(("", 0), App, bind_and_activate=False)
        server.socket = socket.socket(fileno=3)
    elif SAID("SOCKET"):
        Server.address_family = socket.AF_UNIX
        server = Server(SAID("SOCKET"), App)
    else:
        server = Server(("127.0.0.1", int(SAID("PORT"))), App)
    server.serve_forever()


if SAID("TERM") == "ignored":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
elif SAID("TERM") == "told":
    signal.signal(signal.SIGTERM, lambda *_: (gate(SAID("GATE") + ".end"), os._exit(0)))
elif SAID("TERM") == "deaf":
    signal.signal(signal.SIGTERM, lambda *_: (os.close(3), gate(SAID("END")), os._exit(0)))
elif SAID("TERM") == "slow":
    signal.signal(signal.SIGTERM, lambda *_: (time.sleep(1), os._exit(0)))
if SAID("BROKEN") and os.path.exists(SAID("BROKEN")):
    print("something is missing", file=sys.stderr, flush=True)
    sys.exit(3)
if SAID("GATE"):
    gate(SAID("GATE"))
time.sleep(float(SAID("DELAY", "0")))
serve()
