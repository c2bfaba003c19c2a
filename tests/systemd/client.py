#!/usr/bin/env python3
"""Keeps requests going while a command runs, and fails if one of them is not answered with 200.

    client.py [--fresh N] [--keepalive N] [--edge N --after SECONDS] [--slowest SECONDS] -- COMMAND...

--fresh      loops with a new connection for every request
--keepalive  loops that reuse one; like every pool they look whether it was closed before they use it
--edge       loops with a new connection after a common pause around SECONDS, where the server is about to fall asleep
--slowest    fails too if a request took longer
"""

import argparse
import http.client
import random
import socket
import subprocess
import sys
import threading
import time

WARM_UP = 30  # requests answered before the command starts, and again after its end
TIMEOUT = 20


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.done = self.raced = 0
        self.slowest = 0.0
        self.failures = []

    def success(self, seconds):
        with self.lock:
            self.done += 1
            self.slowest = max(self.slowest, seconds)

    def failure(self, kind, error):
        with self.lock:
            self.failures.append(f"{kind}: {type(error).__name__}: {error}")


def closed_by_peer(connection):
    try:
        return connection.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def exchange(connection, path):
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or not body:
        raise http.client.HTTPException(f"status {answer.status}, {len(body)} bytes")


def pause_at_the_edge(options, edge):
    try:
        edge.wait()  # for all of them: one that asked meanwhile would put the sleep off
    except threading.BrokenBarrierError:
        return
    time.sleep(options.after * random.uniform(0.9, 1.1))


def loop(kind, options, tally, stop, edge):
    connection = None
    while not stop.is_set():
        reused = connection is not None and connection.sock is not None
        if reused and closed_by_peer(connection):
            connection.close()
            reused = False
        if not reused:
            connection = http.client.HTTPConnection("127.0.0.1", options.port, timeout=TIMEOUT)
        begun = time.monotonic()
        try:
            exchange(connection, options.path)
            tally.success(time.monotonic() - begun)
        except http.client.RemoteDisconnected as error:
            connection.close()
            if reused:  # the server closed it while our request was on its way: may be repeated (RFC 9112, 9.3.1)
                with tally.lock:
                    tally.raced += 1
            else:
                tally.failure(kind, error)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            tally.failure(kind, error)
            time.sleep(0.05)
        if kind != "keepalive":
            connection.close()
            connection = None
        if kind == "edge":
            pause_at_the_edge(options, edge)
        else:
            time.sleep(random.uniform(0, 0.005))


def wait_for(tally, requests, deadline):
    while tally.done < requests and not tally.failures and time.monotonic() < deadline:
        time.sleep(0.01)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", type=int, default=0)
    parser.add_argument("--keepalive", type=int, default=0)
    parser.add_argument("--edge", type=int, default=0)
    parser.add_argument("--after", type=float, default=0.05)
    parser.add_argument("--slowest", type=float, default=TIMEOUT)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--path", default="/hello")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()

    tally, stop = Tally(), threading.Event()
    kinds = ["fresh"] * options.fresh + ["keepalive"] * options.keepalive + ["edge"] * options.edge
    edge = threading.Barrier(max(options.edge, 1))
    threads = [threading.Thread(target=loop, args=(kind, options, tally, stop, edge)) for kind in kinds]
    for thread in threads:
        thread.start()
    wait_for(tally, WARM_UP, time.monotonic() + 60)
    status = subprocess.run(options.command, stdin=subprocess.DEVNULL).returncode
    wait_for(tally, tally.done + WARM_UP, time.monotonic() + 60)
    stop.set()
    edge.abort()
    for thread in threads:
        thread.join()

    print(f"{tally.done} answered, {len(tally.failures)} failed, {tally.raced} closed while asked again, "
          f"slowest {tally.slowest:.2f} s, the command ended with {status}")
    for line in tally.failures[:10]:
        print(line)
    # A request sent in the very microseconds in which the server closes can meet no server's rule; more is a bug.
    sys.exit(status != 0 or bool(tally.failures) or tally.raced > 1 or tally.done < 2 * WARM_UP
             or tally.slowest > options.slowest)


main()
