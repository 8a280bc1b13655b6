"""Who a worker is: host, process number and start time, so that a reused number is told apart."""

from __future__ import annotations

import socket

import psutil

__all__ = ["is_alive", "worker_name"]


def worker_name() -> str:
    """Return the identity of this process, the name under which it checks calculations out."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}"


def is_alive(name: str) -> bool | None:
    """Return whether the process of a worker name lives; None when it cannot be told from this host."""
    host, _, rest = name.partition(":")
    number, _, started = rest.partition(":")
    if host != socket.gethostname() or not number.isdigit() or not started:
        return None
    try:
        process = psutil.Process(int(number))
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - float(started)) < 1.0
    except psutil.Error:
        return False
