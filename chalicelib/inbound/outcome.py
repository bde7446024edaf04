"""The outcome of a message of a webhook request."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.errors import Code


@dataclass(frozen=True)
class Outcome:
    """The outcome of a message, as the answer to its provider and its sender needs it."""

    code: Code | None = None
    """None: it is staged, or was already. Else why it was refused, or what the sweep mends after it was staged."""
    notice: str = ""
    """The text for the sender at once: the conversation is locked, or has no row; empty: none."""
    is_probe: bool = False
    """It was no message: somebody who can sign as the provider does asked whether that is accepted, and it is."""
