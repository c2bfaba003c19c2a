#!/usr/bin/env python3
"""Reads one cycle from `journalctl -o json` and fails unless it has its wake line and its sleep line."""

import json
import sys

own = [entry for entry in map(json.loads, sys.stdin) if entry.get("_COMM") == "dormouse"]
wakes = [entry for entry in own if str(entry.get("MESSAGE", "")).startswith(("awake", "woke"))]
sleeps = [entry for entry in own if str(entry.get("MESSAGE", "")).startswith(("asleep", "sleep"))]
for entry in own:
    print(json.dumps({key: value for key, value in entry.items() if not key.startswith("_")}))

assert len(wakes) == 1, f"{len(wakes)} wake lines"
assert len(sleeps) == 1, f"{len(sleeps)} sleep lines"
assert own[-1] is sleeps[0], "the sleep line is not the last one"
for entry in wakes + sleeps:
    assert entry["PRIORITY"] == "6", f"priority {entry['PRIORITY']} is not info"
    assert entry["_TRANSPORT"] == "journal", "not a structured entry"
    assert entry["SYSLOG_IDENTIFIER"] == "dormouse"
    assert entry["_SYSTEMD_UNIT"] == "dormouse.service"
