"""The errand that requests a typing indicator: a message of ours on the replies queue; pure.

It names a conversation and a message of the customer, and nothing else. The row determines the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.ports.queues import decode_object, encode, text_of
from chalicelib.protocol.entries import MESSAGE_ID
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey

_SOURCE = "engine"
_ERRAND = "typing"


@dataclass(frozen=True)
class TypingErrand:
    """Show that an answer to this message is being written."""

    conversation: ConversationKey
    message_id: str

    @classmethod
    def from_body(cls, body: str) -> TypingErrand | None:
        """The errand in a message's body; None: it is another message.

        Raises:
            Rejected: `PARSING_ERROR`; the detail names what is missing or malformed.
        """
        document = decode_object(body, "reply")
        if (document.get("source"), document.get("errand")) != (_SOURCE, _ERRAND):
            return None
        key = ConversationKey(text_of(document, PRIMARY_CHANNEL, _ERRAND), text_of(document, CONVERSATION_ID, _ERRAND))
        return cls(key, text_of(document, MESSAGE_ID, _ERRAND))

    @property
    def message(self) -> str:
        """The errand as a message of the queue."""
        document = {"version": "1.0", "source": _SOURCE, "errand": _ERRAND, **self.conversation.item}
        return encode({**document, MESSAGE_ID: self.message_id})
