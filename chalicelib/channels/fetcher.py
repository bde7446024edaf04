"""What fetches the media that a vendor keeps: a medium's content, or why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chalicelib.clock import Deadline


@dataclass(frozen=True, repr=False)
class Fetched:
    """The content of a medium."""

    content: bytes
    content_type: str
    """As the provider told it with the content; empty: it told none."""


@dataclass(frozen=True)
class NotFetched:
    """A medium that could not be had, or is not wanted."""

    reason: str
    """For the operator: a status, a type of error, or words of ours; never an address."""
    problem: str | None = None
    """By which of our rules it is not wanted; None: it could not be had."""
    is_ours_to_mend: bool = False
    """Whether the provider refused the account or its secret."""


class Fetcher(Protocol):
    """What `media_copying` needs of a provider that keeps media; one that keeps none has no fetcher."""

    def fetch(
        self, url: str, secret: str, *, refuse: Callable[[int, str], str | None], deadline: Deadline
    ) -> Fetched | NotFetched:
        """Fetch one medium; never raises for what the provider does or the message says.

        Args:
            url: where the message says that it is; not to be trusted.
            secret: of the company's account with the provider.
            refuse: why content of so many bytes and this type is not wanted; asked before and while it comes in.
            deadline: when it must be there.

        Raises:
            Misconfigured: `SECRET_FETCH_FAILED`; the secret's content is malformed.
        """
