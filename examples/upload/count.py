"""Counts the lines on standard input. `progress 40/100 text` on standard output is how a job says how far it has come;
all else that it prints is its output."""

import os
import sys
import time

PAUSE = float(os.environ.get("PAUSE", "0"))  # at each percent: counting alone would be over before you could look

size = os.fstat(0).st_size  # an upload is a file, whatever its size
read = lines = 0
while piece := sys.stdin.buffer.read(max(size // 100, 1)):
    read += len(piece)
    lines += piece.count(b"\n")
    print(f"progress {read}/{size} {lines} lines", flush=True)
    time.sleep(PAUSE)
print(f"{lines} lines, {size} bytes")
