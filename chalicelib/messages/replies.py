"""What the company's AI worker and its people ask to be sent: the typed form of schemas/reply.json; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any

from chalicelib.errors import Code, Rejected
from chalicelib.ports.queues import RETRY_ATTEMPT, Attributes, decode_object, encode, text_of
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey

VERSION = "1.0"

CONTENT_BYTES_MAX = 49_152
"""What a reply says, in bytes: with what the record keeps beside each part of 1,600 characters it takes less than the
81,920 bytes that `protocol/history.py` leaves free of a record, so that a reply that was sent can always be recorded.
"""


OURS = "#"
"""Begins the names that only we give."""

UNSENT_CLAIMS = "unsent_claims"
_UNSENT_CLAIMS_MAX = 20


class Source(StrEnum):
    """Who wrote a reply."""

    AI = "ai"
    HUMAN = "human"


@dataclass(frozen=True, repr=False)
class Reply:
    """One reply to be sent once."""

    conversation: ConversationKey
    source: Source
    reply_id: str
    """By which the same reply is known when it comes again: the sender's own, or a digest of what it says."""
    batch_id: str | None
    """The batch that it answers; None for a reply of people."""
    body: str
    content_sid: str | None = None
    """A template of the provider's, sent instead of the body."""
    content_variables: Mapping[str, str] = field(default_factory=dict)
    media_urls: tuple[str, ...] = ()
    attempt: int = 0
    """How often this reply came again."""
    unsent_claims: tuple[str, ...] = ()
    """Tokens under which earlier tries claimed a part and are known to have sent nothing: the next try may."""

    @classmethod
    def from_body(cls, body: str) -> Reply:
        """The reply that a message tells; what it tells beyond the schema is ignored.

        Raises:
            Rejected: `PARSING_ERROR`; the detail names what is missing or malformed.
        """
        document = decode_object(body, "reply")
        if document.get("version", VERSION) != VERSION:
            raise Rejected(Code.PARSING_ERROR, f"a reply's version is {VERSION}")
        source = _source(document)
        key = ConversationKey(text_of(document, PRIMARY_CHANNEL, "reply"), text_of(document, CONVERSATION_ID, "reply"))
        reply = cls(
            conversation=key,
            source=source,
            reply_id=text_of(document, "reply_id", "reply") if source is Source.HUMAN else document.get("reply_id", ""),
            batch_id=text_of(document, "batch_id", "reply") if source is Source.AI else None,
            body=_optional(document, "body", str, ""),
            content_sid=_optional(document, "content_sid", str, "") or None,
            content_variables=_variables(document),
            media_urls=_media_urls(document),
            attempt=_optional(document, RETRY_ATTEMPT, int, 0),
            unsent_claims=unsent_claims_of(document),
        )
        if not (reply.body.strip() or reply.content_sid or reply.media_urls):
            raise Rejected(Code.PARSING_ERROR, "a reply has a body, a content_sid or media_urls")
        if _content_bytes(reply) > CONTENT_BYTES_MAX:
            raise Rejected(Code.PARSING_ERROR, f"a reply says no more than {CONTENT_BYTES_MAX} bytes")
        if not isinstance(reply.reply_id, str) or reply.reply_id.startswith(OURS):
            raise Rejected(Code.PARSING_ERROR, f"a reply's reply_id is a text that does not begin with {OURS}")
        return reply if reply.reply_id else replace(reply, reply_id=_digest(reply))

    @property
    def message(self) -> str:
        """The reply as a message of the queue, for when it must come again."""
        return encode(
            {
                "version": VERSION,
                **self.conversation.item,
                "source": self.source.value,
                "reply_id": self.reply_id,
                **({"batch_id": self.batch_id} if self.batch_id is not None else {}),
                "body": self.body,
                **({"content_sid": self.content_sid} if self.content_sid is not None else {}),
                "content_variables": dict(self.content_variables),
                "media_urls": list(self.media_urls),
                RETRY_ATTEMPT: self.attempt,
                **({UNSENT_CLAIMS: list(self.unsent_claims)} if self.unsent_claims else {}),
            }
        )

    @property
    def attributes(self) -> Attributes:
        """What is told beside the message, for whoever looks at the queue."""
        return {CONVERSATION_ID: self.conversation.conversation_id}

    def again(self) -> Reply:
        """This reply, come once more."""
        return replace(self, attempt=self.attempt + 1)

    def without_sending(self, claims: Sequence[str]) -> Reply:
        """This reply, with word that these claims of its parts sent nothing."""
        return replace(self, unsent_claims=(*self.unsent_claims, *claims)[-_UNSENT_CLAIMS_MAX:])


def _source(document: Mapping[str, Any]) -> Source:
    try:
        return Source(document.get("source", Source.AI))
    except ValueError as fault:
        raise Rejected(Code.PARSING_ERROR, "a reply's source is ai or human") from fault


def _optional(document: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    value = document.get(name, default)
    if value is None:
        return default
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and value < 0):
        raise Rejected(Code.PARSING_ERROR, f"a reply's {name} is malformed")
    return value


def _variables(document: Mapping[str, Any]) -> Mapping[str, str]:
    variables: dict[str, str] = _optional(document, "content_variables", dict, {})
    if not all(isinstance(value, str) for value in variables.values()):
        raise Rejected(Code.PARSING_ERROR, "a reply's content_variables are texts by name")
    return variables


def _media_urls(document: Mapping[str, Any]) -> tuple[str, ...]:
    urls: list[str] = _optional(document, "media_urls", list, [])
    if not all(isinstance(url, str) and url.startswith("https://") for url in urls):
        raise Rejected(Code.PARSING_ERROR, "a reply's media_urls are a list of https:// URLs")
    return tuple(urls)


def unsent_claims_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The tokens of claims that sent nothing.

    Raises:
        Rejected: `PARSING_ERROR`.
    """
    claims: list[str] = _optional(document, UNSENT_CLAIMS, list, [])
    if not all(isinstance(claim, str) for claim in claims):
        raise Rejected(Code.PARSING_ERROR, f"a reply's {UNSENT_CLAIMS} are a list of texts")
    return tuple(claims[-_UNSENT_CLAIMS_MAX:])


def _content_bytes(reply: Reply) -> int:
    content = [reply.body, reply.content_sid or "", dict(reply.content_variables), list(reply.media_urls)]
    return len(encode({"": content}).encode())


def _digest(reply: Reply) -> str:
    """The same for the same reply, however often it is delivered or sent by its worker."""
    told = [reply.batch_id, reply.body, reply.content_sid, dict(reply.content_variables), list(reply.media_urls)]
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
