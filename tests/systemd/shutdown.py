#!/usr/bin/env python3
"""Reads `journalctl -o json` of a machine that was shut down, and fails unless dormouse ended once, and in order."""

import json
import sys

entries = [json.loads(line) for line in sys.stdin]
last_boot = [entry for entry in entries if entry["_BOOT_ID"] == entries[-1]["_BOOT_ID"]]
systemd = [str(entry["MESSAGE"]) for entry in last_boot if entry.get("_PID") == "1"]
began = next(index for index, message in enumerate(systemd) if message.startswith("Stopped target"))
own = [message for message in systemd[began:] if "dormouse" in message or "Dormouse" in message]
print("\n".join(own))
for message in own:
    assert not message.startswith(("Starting ", "Listening ")), "it was started again"
    assert not any(word in message for word in ("timed out", "Failed with result", "Killing")), "it did not end by itself"
assert sum(message == "dormouse.socket: Deactivated successfully." for message in own) == 1
assert any("Reached target" in message and "hutdown" in message for message in systemd[began:])
