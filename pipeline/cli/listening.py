"""Where the commands that serve pages listen, and to whom."""

import ipaddress
import socket
from typing import Any

from pipeline.core.errors import UserError

LOOPBACK = "127.0.0.1"


def library(extra: str) -> Any:
    """The package `uvicorn`.

    Args:
        extra: that of the command of the same name, which brings Starlette, too.

    Raises:
        UserError: the extra is not installed.
    """
    try:
        import starlette  # noqa: F401 - the other package of the extra
        import uvicorn
    except ModuleNotFoundError as error:
        raise UserError(
            f"`pipeline {extra}` needs a package ({error}). "
            f"Install it: `python -m pip install --constraint constraints.txt --editable '.[{extra}]'`."
        ) from error
    return uvicorn


def names(host: str) -> tuple[str, ...]:
    """The names under which others may ask, besides addresses: none where only this machine can."""
    try:
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return ()
    except ValueError:
        return host, socket.gethostname()
    return (socket.gethostname(),)


def address(host: str, opened: socket.socket) -> str:
    """What a person types to get to an open socket."""
    return f"http://{f'[{host}]' if ':' in host else host}:{opened.getsockname()[1]}"


def listening(host: str, port: int, command: str) -> socket.socket:
    """A socket that listens.

    Raises:
        UserError: the port is taken or no port, or the host is not this machine.
    """
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((place[0], port), family=family)  # getaddrinfo takes 70000 for 4464
    except (OSError, OverflowError) as error:
        raise UserError(
            f"Port {port} of {host} cannot be listened at ({error}). "
            f"`pipeline {command}` takes a free port with --port (0 finds one), "
            "and an address of this machine with --host."
        ) from error
