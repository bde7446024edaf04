"""Ports on the loopback interface: whether one is taken, and which are free."""

from __future__ import annotations

import socket
import time

import click

from local.processes.environment import HOST

_LOOK_AGAIN_SECONDS = 0.05


class PortTaken(click.ClickException):
    """The port is taken; says which variable chooses another. Ends the program with code 2."""

    exit_code = 2

    def __init__(self, port: int, variable: str) -> None:
        super().__init__(f"port {port} is taken; choose another: {variable}={port + 1}")


def require_free(port: int, variable: str) -> None:
    """Refuse a port that another program listens on.

    Raises:
        PortTaken: naming the variable that chooses another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise PortTaken(port, variable) from None
    if _answers(port):  # a listener on every interface, which some systems let us bind beside
        raise PortTaken(port, variable)


def free(count: int) -> list[int]:
    """So many different ports that are free right now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def wait_until_answers(port: int, *, seconds: float, gave_up: object = None) -> bool:
    """Whether something listens on the port within `seconds`; ends early once `gave_up()` is true."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if _answers(port):
            return True
        if callable(gave_up) and gave_up():
            return False
        time.sleep(_LOOK_AGAIN_SECONDS)
    return False


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((HOST, port)) == 0
