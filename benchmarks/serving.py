"""A service of one's own to measure: `bentoml serve` on a free port of loopback, started and ended here."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

PATIENCE = 120.0  # seconds until it is ready, or has ended
LOOK_EVERY = 0.02  # seconds


@contextmanager
def started(target: str = ".") -> Iterator[str]:
    """Serve a folder or a Bento; gives its address once /readyz says that it is ready.

    Raises:
        SystemExit: it ended before, or takes too long; the message holds the end of its log.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "bentoml", "serve", target, "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            if not _ready(address, server):
                log.seek(0)
                raise SystemExit(f"bentoml serve {target} isn't ready:\n{log.read().decode(errors='replace')[-2000:]}")
            yield address
        finally:
            server.send_signal(signal.SIGTERM)  # it answers what it has taken, then ends
            server.wait(PATIENCE)


def _ready(address: str, server: subprocess.Popen[bytes]) -> bool:
    ends = time.perf_counter() + PATIENCE
    while time.perf_counter() < ends and server.poll() is None:
        try:
            if httpx.get(f"{address}/readyz").status_code == httpx.codes.OK:
                return True
        except httpx.TransportError:
            pass
        time.sleep(LOOK_EVERY)
    return False
