"""Progress messages: the logger "skcascade", and how `verbose` shows it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["logger", "shown"]

#: Progress is logged at the level INFO.
logger = logging.getLogger("skcascade")


class _Printer(logging.StreamHandler):
    """Prints messages as `verbose` shows them."""


@contextmanager
def shown(verbose: int) -> Iterator[None]:
    """Print what is logged inside the block, if `verbose`; once, where blocks are nested."""
    if not verbose or any(isinstance(handler, _Printer) for handler in logger.handlers):
        yield
        return
    handler, level = _Printer(sys.stdout), logger.level
    handler.setFormatter(logging.Formatter("[CascadeClassifier] %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
