"""The extras of a message that the engine itself reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

THREADING: Final = ("subject", "email_message_id", "in_reply_to", "references")
"""The extras of a message by which an answer to it is put into its thread."""


AUTHENTICATION: Final = "authentication"
"""The extra of an e-mail that holds the verdict on its sender: `pass`, `fail` or `none`."""


def threading_of(extras: Mapping[str, str]) -> dict[str, str]:
    """The extras by which an answer is put into its thread, without the subject where nobody vouches for the sender.

    An answer goes to the address that the message names as its sender. Whoever forges that address would otherwise have
    us send words of their own to it, from the company.
    """
    told = {name: extras[name] for name in THREADING if name in extras}
    if extras.get(AUTHENTICATION) != "pass":
        told.pop("subject", None)
    return told
