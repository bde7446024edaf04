"""A row of a provider's table of outcomes: a code, its meaning, who must act, and what we do.

Each provider has one table. `answers.py` looks up the answer to a send in it, `delivery_reports` a later failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SERVER_ERROR: Final = "5xx"
"""The row of every status from 500 on."""


class Reaction(StrEnum):
    """What we do about a send that was answered so."""

    END = "end"
    """The reply ends with the code: sending it again cannot succeed."""
    RETRY = "retry"
    """The provider did not take it, and may take it later."""
    IN_DOUBT = "in doubt"
    """The provider may have taken it: its list is asked, and nothing is sent blind."""
    OURS_TO_MEND = "ours to mend"
    """The account or its configuration is at fault: the reply is retried while somebody mends it."""


class Actor(StrEnum):
    """Who must act. Also the class of the code: metrics and alarms of delivery failures are kept by it."""

    CUSTOMER = "customer"
    """Only the recipient can change it: an opt-out, a handset that is off, a number that takes no messages."""
    WRITER = "writer"
    """Whoever wrote the reply, or its template: what it says or encloses was not accepted."""
    OPERATOR = "operator"
    """The company's account, its senders, its credentials."""
    PROVIDER = "provider"
    """The provider or a carrier behind it; time may mend it."""
    UNKNOWN = "unknown"
    """The code is in no table."""


class Arrives(StrEnum):
    """How a code reaches us."""

    BY_ANSWER = "answer"
    """As the answer to the send."""
    BY_REPORT = "report"
    """By a status callback, after the provider took the message."""
    EITHER_WAY = "either"


@dataclass(frozen=True)
class Row:
    """One code of a provider."""

    code: str
    """The provider's own; of a row that a status decides the status."""
    meaning: str
    actor: Actor
    reaction: Reaction
    source: str
    """Where this is known from."""
    arrives: Arrives = Arrives.BY_ANSWER
    may_be_resent: bool = False
    """Whether a message that failed with it after it was taken certainly reached nobody and may be sent once more."""

    @property
    def is_answered(self) -> bool:
        """Whether a send can be answered with it."""
        return self.arrives is not Arrives.BY_REPORT

    @property
    def is_reported(self) -> bool:
        """Whether a status callback can carry it."""
        return self.arrives is not Arrives.BY_ANSWER


@dataclass(frozen=True)
class Table:
    """A provider's codes."""

    rows: Mapping[str, Row]
    opted_out: str | None = None
    """The code of a recipient who has opted out."""

    @classmethod
    def of(cls, *rows: Row, opted_out: str | None = None) -> Table:
        """The table of these rows. A code that ends with `xx` stands for all that begin as it does."""
        by_code = {row.code: row for row in rows}
        assert len(by_code) == len(rows), "each code has one row"
        return cls(by_code, opted_out)

    def row(self, code: str | None) -> Row | None:
        """The row of a code, or of its range; None: the code is in no row."""
        if code is None:
            return None
        return self.rows.get(code) or self.rows.get(f"{code[:-2]}xx")
