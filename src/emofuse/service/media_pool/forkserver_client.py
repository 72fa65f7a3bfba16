"""The fork server, seen from the service."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

from emofuse.service.access import KEYS
from emofuse.service.media_pool.protocol import FORK, KILL, SETUP, Setup

START_SECONDS = 120.0  # that it may take to warm up, on a busy machine
ANSWER_SECONDS = 10.0  # that it may take to fork or to kill
END_SECONDS = 5.0  # that the processes get to end by themselves


class ForkServer:
    """A process that forks warm workers. All methods wait for it.

    Raises:
        OSError: it can't be started, is gone, or does not answer in time.
    """

    def __init__(self, setup: Setup) -> None:
        self._control, theirs = socket.socketpair()
        # A Bento's code is on the path of this process alone; keys are none of a decoder's business.
        env = {name: value for name, value in os.environ.items() if name != KEYS}
        env |= {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "emofuse.service.media_pool.forkserver", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=env,
                    start_new_session=True,  # Ctrl-C is the service's to answer
                )
        except OSError:
            self._control.close()
            raise
        try:
            self._control.settimeout(START_SECONDS)
            self._control.sendall(SETUP.dump_json(setup) + b"\n")
            self._line()
            self._control.settimeout(ANSWER_SECONDS)
        except OSError:
            self.stop()
            raise

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    @property
    def number(self) -> int:
        """Its process id."""
        return self._process.pid

    def fork(self, channel: socket.socket) -> int:
        """Start a worker that answers on the channel; returns its process id."""
        socket.send_fds(self._control, [FORK], [channel.fileno()])
        return int(self._line())

    def kill(self, number: int) -> None:
        """End a worker, unless it has ended."""
        self._control.sendall(KILL + str(number).encode())
        self._line()

    def stop(self) -> None:
        """End it with all its workers."""
        self._control.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            part = self._control.recv(64)
            if not part:
                raise ConnectionResetError("the fork server is gone")
            line += part
        return line
