#!/usr/bin/env python3
"""Reads `journalctl -o json` with systemd's debug lines, and fails unless each process ended once, and waited for systemd.

    ends.py PROCESSES SYSTEMD_VERSION
"""

import collections
import json
import re
import sys

TELLS_BARRIERS = 257  # of the versions tested

goodbyes, barriers, ends = collections.Counter(), collections.Counter(), collections.Counter()
for entry in map(json.loads, sys.stdin):
    message = str(entry.get("MESSAGE", ""))
    # By identifier: journald may still know the process by what it was before it became dormouse.
    if entry.get("SYSLOG_IDENTIFIER") == "dormouse" and message.startswith(("asleep: ", "stopped: ")):
        ends[entry["_PID"]] += 1
    told = re.search(r"Got notification message from PID (\d+)(.*)", message)
    if told and "STOPPING=1" in told[2]:
        goodbyes[told[1]] += 1
    if barrier := re.search(r"Received barrier notification message from PID (\d+)", message):
        barriers[barrier[1]] += 1

print(f"goodbyes {dict(goodbyes)}, ends {dict(ends)}")
assert len(ends) == int(sys.argv[1]), f"{len(ends)} processes told their end"
assert set(ends.values()) == {1}, "a process ended twice"
assert goodbyes == ends, "not one STOPPING=1 a process"
if int(sys.argv[2]) >= TELLS_BARRIERS:
    barriers = {pid: barriers[pid] for pid in ends}  # of dormouse, not of whoever else was at work
    assert set(barriers.values()) == {1}, f"not one BARRIER=1 a process: {barriers}"
