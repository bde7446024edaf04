"""What is known of a send by what it was answered.

Only two failures are certain: no connection was made, or the provider itself refused with a 4xx and its own JSON body.
Every other failure leaves the send in doubt, and so does a code that is in no table.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from chalicelib.channels.outcomes import SERVER_ERROR, Reaction, Row, Table
from chalicelib.channels.sender import InDoubt, PermanentFailure, SendOutcome, TemporaryFailure


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


def outcome_of(table: Table, answer: Answer) -> SendOutcome:
    """What is known of a send that was answered so."""
    if answer.status < HTTPStatus.BAD_REQUEST:
        return InDoubt()  # neither taken nor refused: who answered is not the provider
    is_server_error = answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    row = table.rows[SERVER_ERROR] if is_server_error else _row_of(table, answer)
    shown = answer.detail or answer.code or str(answer.status)
    if row is None:
        return InDoubt(error_code=shown)
    match row.reaction:
        case Reaction.END:
            return PermanentFailure(shown, is_opt_out=table.opted_out is not None and shown == table.opted_out)
        case Reaction.RETRY:
            return TemporaryFailure(shown, answer.retry_after_seconds)
        case Reaction.OURS_TO_MEND:
            return TemporaryFailure(shown, answer.retry_after_seconds, is_ours_to_mend=True)
        case Reaction.IN_DOUBT:
            return InDoubt(is_server_error=row.code == SERVER_ERROR, error_code=shown)


def _row_of(table: Table, answer: Answer) -> Row | None:
    """The row that decides on an answer below 500; None: nothing is certain."""
    of_status = table.rows.get(str(answer.status))
    if of_status is not None and of_status.reaction is Reaction.IN_DOUBT:
        return of_status  # whatever code it carries
    if not answer.is_of_provider:
        return None
    return table.row(answer.code) or of_status
