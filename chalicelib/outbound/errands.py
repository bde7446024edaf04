"""Errands: messages on the queue of replies by which the engine schedules work for itself.

An errand only names its subject, so a writer to the queue cannot choose anything else. `source` distinguishes it from a
reply, `errand` names its kind.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from chalicelib.errors import Code, Rejected
from chalicelib.messages.replies import UNSENT_CLAIMS, unsent_claims_of
from chalicelib.ports.queues import RETRY_ATTEMPT, attempt_of, decode_object, encode, text_of
from chalicelib.protocol.fallbacks import SOURCE, VERSION
from chalicelib.protocol.send_rows import SEND_ID, is_send_id

ERRAND: Final = "errand"
_UNDELIVERED: Final = "undelivered"


@dataclass(frozen=True)
class Undelivered:
    """Something is to be done about a part that the provider took and could not deliver."""

    send_id: str
    attempt: int = 0
    unsent_claims: tuple[str, ...] = ()
    """As in a reply: claims of the second send that sent nothing."""

    @property
    def body(self) -> str:
        """The errand as a message of the queue."""
        return encode(
            {
                "version": VERSION,
                "source": SOURCE,
                ERRAND: _UNDELIVERED,
                SEND_ID: self.send_id,
                RETRY_ATTEMPT: self.attempt,
                **({UNSENT_CLAIMS: list(self.unsent_claims)} if self.unsent_claims else {}),
            }
        )

    @classmethod
    def from_body(cls, body: str) -> Undelivered | None:
        """The errand that a message of the replies queue is; None: it is no errand of this kind.

        Raises:
            Rejected: `PARSING_ERROR`; the detail names what is missing or malformed.
        """
        document = decode_object(body, "reply")
        if (document.get("source"), document.get(ERRAND)) != (SOURCE, _UNDELIVERED):
            return None
        send_id = text_of(document, SEND_ID, "errand")
        if not is_send_id(send_id):
            raise Rejected(Code.PARSING_ERROR, f"an errand's {SEND_ID} is malformed")
        return cls(send_id, attempt_of(document, "errand"), unsent_claims_of(document))

    def again(self) -> Undelivered:
        """This errand, come once more."""
        return replace(self, attempt=self.attempt + 1)
