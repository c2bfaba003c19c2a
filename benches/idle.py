"""Idle connections: what each costs, and how quickly it falls asleep with thousands of them open.

A part of measure.py. Both sides are on the loopback, and a client closes as soon as the server has closed its side.
"""

import os
import select
import socket
import struct
import time

FEW = 10
QUIET = 3.0  # seconds without a request before it may leave; long enough that all connections are open by then
LIMIT = 60  # seconds that anything here may take


class Http1:
    """A request and its answer as one keep-alive connection has them."""

    name = "HTTP/1"

    @staticmethod
    def ask(connection, text):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while not answer.endswith(text):
            piece = connection.recv(65536)
            if not piece:
                raise SystemExit(f"closed instead of answered: {answer!r}")
            answer += piece


class Http2:
    """The same with prior knowledge: the first stream of a connection, by hand (RFC 9113, RFC 7541)."""

    name = "HTTP/2"
    SETTINGS, GOAWAY, PING, END = 4, 7, 6, 1

    @staticmethod
    def frame(kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    @classmethod
    def ask(cls, connection, text):
        get = b"\x82\x86\x84\x01\x09localhost"  # GET, http, /, and :authority as it is
        hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + cls.frame(cls.SETTINGS, 0, 0)
        connection.sendall(hello + cls.frame(1, 5, 1, get) + cls.frame(cls.SETTINGS, 1, 0))
        held = b""
        while True:
            piece = connection.recv(65536)
            if not piece:
                raise SystemExit(f"closed instead of answered: {held!r}")
            held += piece
            while len(held) >= 9 and len(held) >= 9 + int.from_bytes(held[:3]):
                length, flags, stream = int.from_bytes(held[:3]), held[4], int.from_bytes(held[5:9])
                held = held[9 + length:]
                if stream == 1 and flags & cls.END:
                    return

    @classmethod
    def answer_goodbye(cls, connection, received):
        """PONG for the PING between the two GOAWAYs."""
        while len(received) >= 9:
            length, kind, flags = int.from_bytes(received[:3]), received[3], received[4]
            if kind == cls.PING and not flags:
                connection.send(cls.frame(cls.PING, 1, 0, received[9:9 + length]))
            received = received[9 + length:]


def open_connections(server, protocol, count, text):
    connections = []
    for _ in range(count):
        connections.append(server.connect())
        protocol.ask(connections[-1], text)
    return connections


def closed(connections):
    for connection in connections:
        connection.close()


def settled(server):
    """Resident memory in KiB once it moves no more: freed memory is given back at the next tick of a second."""
    last, until = None, time.monotonic() + 10
    while time.monotonic() < until:
        time.sleep(1.2)
        now = server.memory("Rss")
        if last is not None and abs(now - last) < 64:
            break
        last = now
    return now


def cost(server, protocol, count, text):
    """KiB of resident memory for each of so many idle connections: at once, and a moment later."""
    with server.running():
        bare = settled(server)
        connections = open_connections(server, protocol, count, text)
        try:
            return (server.memory("Rss") - bare) / count, (settled(server) - bare) / count
        finally:
            closed(connections)


def falling_asleep(server, protocol, count, text):
    """Milliseconds from the end of the quiet to the exit, and that the next wake serves."""
    server.start()
    connections = open_connections(server, protocol, count, text)
    quiet_since = time.monotonic()
    poll = select.epoll()
    by_number = {connection.fileno(): connection for connection in connections}
    for connection in connections:
        connection.setblocking(False)
        poll.register(connection, select.EPOLLIN)
    ended = None
    while by_number:
        if time.monotonic() - quiet_since > LIMIT:
            raise SystemExit(f"{server.name} does not fall asleep with {count} connections open")
        for number, _ in poll.poll(1):
            connection = by_number[number]
            received = connection.recv(65536)
            if received and protocol is Http2:
                Http2.answer_goodbye(connection, received)
            elif not received:
                connection.close()
                del by_number[number]
    _, status = os.waitpid(server.pid, 0)
    ended = time.monotonic()
    server.pid = None
    if status != 0:
        raise SystemExit(f"{server.name} did not fall asleep but ended with status {status}")
    with server.running():  # asks once
        pass
    return (ended - quiet_since - QUIET) * 1000


def measure(servers, sleeper, count, text):
    """Prints both tables. `sleeper` is dormouse that leaves after QUIET."""
    text = text.encode()
    print(f"\nresident memory in KiB for each of {count:,} idle connections: right after the answers, and settled")
    for server in servers:
        for protocol in (Http1, Http2) if server.name == "dormouse" else (Http1,):
            at_once, later = cost(server, protocol, count, text)
            print(f"{server.name:<12} {protocol.name:<8} {at_once:>8.2f} {later:>8.2f}", flush=True)
    print(f"\nms from the end of the quiet to the exit, with {FEW} and with {count:,} idle connections; the next wake serves")
    for protocol in (Http1, Http2):
        few, many = (falling_asleep(sleeper, protocol, each, text) for each in (FEW, count))
        print(f"{'dormouse':<12} {protocol.name:<8} {few:>8.1f} {many:>8.1f}   ratio {many / few:.1f}", flush=True)
