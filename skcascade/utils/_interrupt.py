"""Ctrl-C during training."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["raise_interrupts"]


@contextmanager
def raise_interrupts() -> Iterator[None]:
    """Raise KeyboardInterrupt after the block if Ctrl-C was pressed inside it.

    skorch takes every KeyboardInterrupt as "stop training here", since its callbacks stop early
    by raising one. Only the signal tells Ctrl-C from those.
    """
    before = signal.getsignal(signal.SIGINT)
    main = threading.current_thread() is threading.main_thread()
    if not (main and callable(before)):  # signals arrive in the main thread alone
        yield
        return
    pressed = []

    def note(number, frame):
        pressed.append(number)
        return before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt
