#!/usr/bin/env python3
"""Keeps requests going while a command runs, and fails if one of them is not answered with 200.

    client.py [--fresh N] [--keepalive N] [--http2 N] [--edge N --after SECONDS] [OPTION...] -- COMMAND...

--fresh        loops with a new connection for every request
--keepalive    loops that reuse one; like every pool they look whether it was closed before they use it
--http2        loops that reuse one with prior knowledge, three streams at once; they connect anew after a GOAWAY
--edge         loops with a new connection after a common pause around SECONDS, where the server is about to fall asleep
--rounds       goes on after the command until each loop has had so many answers
--slowest      fails too if a request took longer
--generations  each body is a number that never falls and is also in the header X-Generation: else two configs are mixed
--may-lose     each loop may lose what it was asking while the command ran, and nothing else
"""

import argparse
import http.client
import random
import select
import subprocess
import sys
import threading
import time

import http2

WARM_UP = 30  # requests answered before the command starts, and again after its end
TIMEOUT = 20
STREAMS = 3


class Mixed(Exception):
    """An answer of two configs, or of one that was replaced before."""


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.done = self.raced = self.asked_again = 0
        self.slowest = 0.0
        self.failures = []  # (kind, error, begun, ended)

    def success(self, begun, answers=1):
        with self.lock:
            self.done += answers
            self.slowest = max(self.slowest, time.monotonic() - begun)

    def failure(self, kind, error, begun):
        with self.lock:
            self.failures.append((kind, f"{type(error).__name__}: {error}", begun, time.monotonic()))

    def lost(self, command):
        """The failures that `command`, which ran from then to then, does not excuse."""
        return [failure for failure in self.failures if not (failure[2] <= command[1] and failure[3] >= command[0])]


class Generations:
    """What one loop has seen."""

    def __init__(self, is_checked):
        self.is_checked = is_checked
        self.newest = 0

    def see(self, body, header=None):
        if not self.is_checked:
            return
        generation = int(body)
        if header is not None and int(header) != generation:
            raise Mixed(f"the header of config {header} with the body of {generation}")
        if generation < self.newest:
            raise Mixed(f"config {generation} after {self.newest}")
        self.newest = generation


def closed_by_peer(connection):
    """Whether it can be seen to be of no more use: nothing should come where nothing was asked for."""
    # Not MSG_DONTWAIT: on a socket with a timeout Python waits for something to read before it calls recv.
    return bool(select.select([connection.sock], [], [], 0)[0])


def exchange(connection, path, generations):
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or not body:
        raise http.client.HTTPException(f"status {answer.status}, {len(body)} bytes")
    generations.see(body, answer.getheader("X-Generation", "0") if generations.is_checked else None)


def pause_at_the_edge(options, edge):
    try:
        edge.wait()  # for all of them: one that asked meanwhile would put the sleep off
    except threading.BrokenBarrierError:
        return
    time.sleep(options.after * random.uniform(0.9, 1.1))


def http1_loop(kind, options, tally, stop, edge):
    connection, generations = None, Generations(options.generations)
    while not stop.is_set():
        begun = time.monotonic()  # before the look: what ends between it and the request was under way
        reused = connection is not None and connection.sock is not None
        if reused and closed_by_peer(connection):
            connection.close()
            reused = False
        if not reused:
            connection = http.client.HTTPConnection("127.0.0.1", options.port, timeout=TIMEOUT)
        try:
            exchange(connection, options.path, generations)
            tally.success(begun)
        except http.client.RemoteDisconnected as error:
            connection.close()
            # The server closed it while our request was on its way: it may be repeated (RFC 9112, 9.3.1).
            if reused and not options.may_lose:
                with tally.lock:
                    tally.raced += 1
            else:
                tally.failure(kind, error, begun)
        except (OSError, http.client.HTTPException, Mixed, ValueError) as error:
            connection.close()
            tally.failure(kind, error, begun)
            time.sleep(0.05)
        if kind != "keepalive":
            connection.close()
            connection = None
        if kind == "edge":
            pause_at_the_edge(options, edge)
        else:
            time.sleep(random.uniform(0, 0.005))


def http2_loop(kind, options, tally, stop, _):
    connection, generations = None, Generations(options.generations)
    while not stop.is_set():
        begun = time.monotonic()
        try:
            if connection is None or not connection.look():
                connection = http2.Connection(options.port, TIMEOUT)
            bodies, refused = connection.exchange(options.path, STREAMS)
            for body in bodies:
                generations.see(body)
            tally.success(begun, len(bodies))
            with tally.lock:
                tally.asked_again += refused  # in the next turn, on a connection of its own
        except (OSError, http2.ProtocolError, Mixed, ValueError) as error:
            tally.failure(kind, error, begun)
            connection = None
            time.sleep(0.05)
        if connection is not None and connection.is_leaving:
            connection.close()
            connection = None
        time.sleep(random.uniform(0, 0.005))


def wait_for(tally, requests, deadline):
    while tally.done < requests and not tally.failures and time.monotonic() < deadline:
        time.sleep(0.01)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fresh", type=int, default=0)
    parser.add_argument("--keepalive", type=int, default=0)
    parser.add_argument("--http2", type=int, default=0)
    parser.add_argument("--edge", type=int, default=0)
    parser.add_argument("--after", type=float, default=0.05)
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--slowest", type=float, default=TIMEOUT)
    parser.add_argument("--generations", action="store_true")
    parser.add_argument("--may-lose", action="store_true")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--path", default="/hello")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main():
    options = arguments()
    tally, stop = Tally(), threading.Event()
    loops = [("fresh", http1_loop)] * options.fresh + [("keepalive", http1_loop)] * options.keepalive
    loops += [("http2", http2_loop)] * options.http2 + [("edge", http1_loop)] * options.edge
    edge = threading.Barrier(max(options.edge, 1))
    threads = [threading.Thread(target=loop, args=(kind, options, tally, stop, edge)) for kind, loop in loops]
    for thread in threads:
        thread.start()
    wait_for(tally, WARM_UP, time.monotonic() + 60)
    command_begun = time.monotonic()
    status = subprocess.run(options.command, stdin=subprocess.DEVNULL).returncode
    command = (command_begun, time.monotonic())
    if not options.may_lose:
        wait_for(tally, options.rounds * len(loops), time.monotonic() + options.rounds)
    wanted = max(tally.done + WARM_UP, 2 * WARM_UP, options.rounds * len(loops))
    deadline = time.monotonic() + 60
    while tally.done < wanted and time.monotonic() < deadline and not (tally.failures and not options.may_lose):
        time.sleep(0.01)
    stop.set()
    edge.abort()
    for thread in threads:
        thread.join()

    failures = tally.lost(command) if options.may_lose else tally.failures
    print(f"{tally.done} answered, {len(tally.failures)} failed, {tally.raced} closed while asked again, "
          f"{tally.asked_again} streams not taken, slowest {tally.slowest:.2f} s, the command ended with {status}")
    for kind, error, begun, ended in failures[:10]:
        print(f"{kind}: {error} (asked {begun - command[0]:.3f} s after the command began, for {ended - begun:.3f} s)")
    # A request sent in the very microseconds in which the server closes can meet no server's rule; more is a bug.
    sys.exit(status != 0 or bool(failures) or tally.raced > 1 or tally.done < wanted or tally.slowest > options.slowest)


main()
