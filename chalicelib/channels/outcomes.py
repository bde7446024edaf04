"""A row of a provider's table of outcomes: a code, its meaning, who must act, and what we do.

Each provider has one table. `sending.py` looks up the answer to a send in it, `delivery_reports` a later failure. Only
two failures are certain: no connection was made, or the provider itself refused with a 4xx and its own JSON body. Every
other failure leaves the send in doubt, and so does a code that is in no table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from chalicelib.channels.channel import InDoubt, PermanentFailure, SendOutcome, TemporaryFailure

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
class Answer:
    """What a send was answered, if it was not taken."""

    status: int
    is_of_provider: bool
    """Whether the body is the provider's own error document; a gateway before it may answer too."""
    code: str | None = None
    """The provider's code; None: the body tells none, or the status is all that there is."""
    detail: str | None = None
    """What is shown in place of the code."""
    retry_after_seconds: int = 0


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

    def outcome(self, answer: Answer) -> SendOutcome:
        """What is known of a send that was answered so."""
        if answer.status < HTTPStatus.BAD_REQUEST:
            return InDoubt()  # neither taken nor refused: who answered is not the provider
        is_server_error = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        row = self.rows[SERVER_ERROR] if is_server_error else self._row_of(answer)
        shown = answer.detail or answer.code or str(answer.status)
        if row is None:
            return InDoubt(error_code=shown)
        match row.reaction:
            case Reaction.END:
                return PermanentFailure(shown, is_opt_out=self.opted_out is not None and shown == self.opted_out)
            case Reaction.RETRY:
                return TemporaryFailure(shown, answer.retry_after_seconds)
            case Reaction.OURS_TO_MEND:
                return TemporaryFailure(shown, answer.retry_after_seconds, is_ours_to_mend=True)
            case Reaction.IN_DOUBT:
                return InDoubt(is_server_error=row.code == SERVER_ERROR, error_code=shown)

    def _row_of(self, answer: Answer) -> Row | None:
        """The row that decides on an answer below 500; None: nothing is certain."""
        of_status = self.rows.get(str(answer.status))
        if of_status is not None and of_status.reaction is Reaction.IN_DOUBT:
            return of_status  # whatever code it carries
        if not answer.is_of_provider:
            return None
        return self.row(answer.code) or of_status
