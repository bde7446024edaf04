"""What Lambda calls: one module for each kind of event, loaded on first use, because a function needs only its own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chalicelib.handlers import queues, schedules, webhooks

__all__ = ["queues", "schedules", "webhooks"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
