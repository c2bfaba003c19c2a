#!/usr/bin/env python3
"""Bursts of clients at once where the server is about to fall asleep; fails if one that asks is not answered.

    burst.py --after SECONDS [--rounds N] [--port PORT] [--path SOCKET] [--asking N] [--mute N] [--quitting N]

--asking    clients per round and address that ask, and must be answered
--mute      those that connect, say nothing and close in order
--quitting  those that connect, ask and reset the connection at once
"""

import argparse
import asyncio
import random
import socket
import struct
import sys

REQUEST = b"GET /hello HTTP/1.1\r\nHost: dormouse\r\nConnection: close\r\n\r\n"
PATIENCE = 20


async def connect(address):
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    await asyncio.get_running_loop().sock_connect(sock, address)
    return sock


async def ask(address):
    loop, answer = asyncio.get_running_loop(), b""
    with await connect(address) as sock:
        await loop.sock_sendall(sock, REQUEST)
        while more := await loop.sock_recv(sock, 65536):
            answer += more
    if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"\r\n\r\nhello"):
        raise ConnectionError(f"not an answer: {answer!r}")


async def say_nothing(address):
    (await connect(address)).close()


async def quit_at_once(address):
    with await connect(address) as sock:
        await asyncio.get_running_loop().sock_sendall(sock, REQUEST)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def burst(options, addresses):
    clients = []
    for address in addresses:
        clients += [ask(address) for _ in range(options.asking)]
        clients += [say_nothing(address) for _ in range(options.mute)]
        clients += [quit_at_once(address) for _ in range(options.quitting)]
    random.shuffle(clients)
    clients = [asyncio.wait_for(client, PATIENCE) for client in clients]
    return [error for error in await asyncio.gather(*clients, return_exceptions=True) if error]


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--after", type=float, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--path")
    parser.add_argument("--asking", type=int, default=0)
    parser.add_argument("--mute", type=int, default=0)
    parser.add_argument("--quitting", type=int, default=0)
    options = parser.parse_args()
    addresses = [("127.0.0.1", options.port)] + ([options.path] if options.path else [])
    errors = []
    for _ in range(options.rounds):
        errors += await burst(options, addresses)
        await asyncio.sleep(options.after * random.uniform(0.9, 1.1))
    answered = options.rounds * options.asking * len(addresses) - len(errors)
    print(f"{answered} answered, {len(errors)} failed")
    for error in errors[:10]:
        print(f"{type(error).__name__}: {error}")
    sys.exit(bool(errors))


asyncio.run(main())
