"""A connection whose other end is gone, in a network namespace of its own: a drain does not wait for it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from .procedure_parts import ROOT

pytestmark = pytest.mark.lab

# The client hangs up at once (RST), and the kernel's word of it is lost: what a server is left with after a flood.
HALF_OPEN = """
import json, os, socket, struct, subprocess, sys
from plugins.module_utils.gateway.sockets import wait_drained

subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
listener = socket.create_server(("127.0.0.1", 0))
port = listener.getsockname()[1]
gone, stays = (socket.create_connection(("127.0.0.1", port)) for _ in range(2))
servers = [listener.accept()[0] for _ in range(2)]
subprocess.run(["iptables", "-A", "OUTPUT", "-p", "tcp", "--tcp-flags", "RST", "RST", "-j", "DROP"], check=True)
gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
gone.close()
us = os.getpid()
alone = wait_drained(us, {port}, 0.3).left
asked = wait_drained(us, {port}, 0.3, {"127.0.0.1": us}).left
stays.close()
ended = wait_drained(us, {port}, 5, {"127.0.0.1": us})
print(json.dumps({"alone": alone, "asked": asked, "left": ended.left, "seconds": ended.seconds}))
"""


def test_a_drain_does_not_wait_for_who_is_gone() -> None:
    words = ["unshare", "--net", sys.executable, "-c", HALF_OPEN]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["alone"], told["asked"], told["left"]) == (2, 1, 0)
    assert told["seconds"] < 3
