"""A client of HTTP/2 with prior knowledge: as much of RFC 9113 as it takes to ask, and to obey a GOAWAY."""

import socket
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
ACK = END_STREAM = 1
END_HEADERS = 4
REFUSED_STREAM = 7
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATUS_200 = 0x88  # RFC 7541: entry 8 of the static table


class ProtocolError(Exception):
    """An answer that is none, or a stream that the server took and did not answer."""


def literal(index, value):
    """A header field without indexing, its name from the static table."""
    return bytes([index, len(value)]) + value.encode()


class Connection:
    """One connection. `is_leaving` is true once the server has said GOAWAY: nothing new may be asked on it."""

    def __init__(self, port, timeout):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.next_id = 1
        self.last_taken = 2**31 - 1
        self.is_leaving = False
        self.open = {}  # stream -> its body so far, or None before the head
        self.done = []
        self.refused = 0
        # No dynamic table, so that a status is always one byte.
        settings = struct.pack(">HI", 1, 0)
        self.sock.sendall(PREFACE + self.frame(SETTINGS, 0, 0, settings))

    def close(self):
        self.sock.close()

    def exchange(self, path, streams):
        """Asks for `path` on that many streams at once: the bodies, and how many streams the server did not take."""
        block = b"\x82\x86" + literal(4, path) + literal(1, "dormouse")  # GET, http, :path, :authority
        ids = [self.next_id + 2 * index for index in range(streams)]
        self.next_id += 2 * streams
        self.open = dict.fromkeys(ids)
        self.done, self.refused = [], 0
        self.drop_refused()
        self.sock.sendall(b"".join(self.frame(HEADERS, END_HEADERS | END_STREAM, id, block) for id in ids))
        while self.open:
            if not self.read_frame():
                raise ProtocolError(f"closed with {len(self.open)} streams unanswered, last taken {self.last_taken}")
        return self.done, self.refused

    def look(self):
        """Reads what has come without being asked for; false once the connection is of no more use."""
        timeout = self.sock.gettimeout()
        self.sock.setblocking(False)
        try:
            while self.read_frame():
                pass
            return False
        except BlockingIOError:
            return not self.is_leaving
        except OSError:
            return False
        finally:
            self.sock.settimeout(timeout)

    @staticmethod
    def frame(kind, flags, stream, payload):
        return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

    def fill(self, size):
        while len(self.buffer) < size:
            more = self.sock.recv(65536)
            if not more:
                return False
            self.buffer += more
        return True

    def read_frame(self):
        """Reads one frame and does what it asks; false at the end of the connection."""
        if not self.fill(9):
            return False
        length = int.from_bytes(self.buffer[:3], "big")
        if not self.fill(9 + length):
            return False
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        payload = self.buffer[9 : 9 + length]
        self.buffer = self.buffer[9 + length :]
        self.obey(kind, flags, stream, payload)
        return True

    def obey(self, kind, flags, stream, payload):
        if kind in (SETTINGS, PING) and not flags & ACK:
            self.sock.sendall(self.frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == GOAWAY:
            last, code = struct.unpack(">II", payload[:8])
            if code:
                raise ProtocolError(f"GOAWAY with error {code}: {payload[8:]!r}")
            self.is_leaving, self.last_taken = True, last
            self.drop_refused()
        elif kind == RST_STREAM and stream in self.open:
            (code,) = struct.unpack(">I", payload)
            if code != REFUSED_STREAM:
                raise ProtocolError(f"stream {stream} reset with error {code}")
            del self.open[stream]
            self.refused += 1
        elif kind == HEADERS and stream in self.open:
            self.take_head(flags, stream, payload)
        elif kind == DATA:
            if length := len(payload):
                self.sock.sendall(self.frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", length)))
            if stream in self.open:
                self.open[stream] += payload
                self.finish(flags, stream)

    def take_head(self, flags, stream, payload):
        if self.open[stream] is not None:  # trailers
            self.finish(flags, stream)
            return
        fields = payload
        while fields and fields[0] >> 5 == 1:  # a new size of the dynamic table
            fields = fields[1:]
        if not fields or fields[0] != STATUS_200:
            raise ProtocolError(f"stream {stream} was not answered with 200: {payload.hex()}")
        self.open[stream] = b""
        self.finish(flags, stream)

    def finish(self, flags, stream):
        if flags & END_STREAM:
            self.done.append(self.open.pop(stream))

    def drop_refused(self):
        """Streams above the last one taken were not and will not be looked at: they may be asked again."""
        for stream in [stream for stream in self.open if stream > self.last_taken]:
            del self.open[stream]
            self.refused += 1
