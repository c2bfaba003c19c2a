#!/usr/bin/env python3
"""Reads `journalctl -o json` of a unit, systemd's debug lines among them, and fails unless each process ended once.

    ends.py PROCESSES
"""

import collections
import json
import re
import sys

goodbyes, ends = collections.Counter(), collections.Counter()
for entry in map(json.loads, sys.stdin):
    message = str(entry.get("MESSAGE", ""))
    # By identifier: journald may still know the process by what it was before it became dormouse.
    if entry.get("SYSLOG_IDENTIFIER") == "dormouse" and message.startswith(("asleep: ", "stopped: ")):
        ends[entry["_PID"]] += 1
    told = re.search(r"Got notification message from PID (\d+)(.*)", message)
    if told and "STOPPING=1" in told[2]:
        goodbyes[told[1]] += 1

print(f"goodbyes {dict(goodbyes)}, ends {dict(ends)}")
assert len(ends) == int(sys.argv[1]), f"{len(ends)} processes told their end"
assert set(ends.values()) == {1}, "a process ended twice"
assert goodbyes == ends, "not one STOPPING=1 a process"
