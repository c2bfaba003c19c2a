"""A WebSocket server that gives back what it gets."""

import asyncio
import logging
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed


logging.getLogger("websockets").setLevel(logging.CRITICAL)  # what clients do wrong is theirs


async def echo(connection):
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosed:
        pass


async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), max_size=None, ping_interval=None):
        await asyncio.Future()


asyncio.run(main())
