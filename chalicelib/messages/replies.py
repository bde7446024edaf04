"""The requests of the company's AI worker and its people: the typed form of schemas/reply.json; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, TypeVar

from chalicelib.errors import Code, Rejected
from chalicelib.messages.contents import Content, contents_of, document_of, optional
from chalicelib.ports.queues import RETRY_ATTEMPT, Attributes, decode_object, encode, text_of
from chalicelib.protocol.record import CONVERSATION_ID, PRIMARY_CHANNEL, ConversationKey

VERSION = "1.1"

_FIRST_VERSION = "1.0"
"""What we write for a reply that says nothing newer: an engine of that version can still send it."""

OURS = "#"
"""Begins the names that only we give."""

UNSENT_CLAIMS = "unsent_claims"
_UNSENT_CLAIMS_MAX = 20
HELD = "held"

REASON_LENGTH_MAX: Final = 1_000
"""Characters of a handoff's reason that are kept: it is stored on the record."""

DRAFT_LENGTH_MAX: Final = 10_000
"""Characters of a handoff's draft that are kept."""


class Source(StrEnum):
    """Who wrote a reply."""

    AI = "ai"
    HUMAN = "human"


class Action(StrEnum):
    """How a turn ends or goes on."""

    SEND = "send"
    NONE = "none"
    """The AI has nothing to say."""
    HANDOFF = "handoff"
    """People shall answer."""
    EXTEND = "extend"
    """The AI needs more time."""
    RETURN = "return"
    """People give the conversation back to the AI."""


_ACTIONS: Final[Mapping[Source, frozenset[Action]]] = {
    Source.AI: frozenset({Action.SEND, Action.NONE, Action.HANDOFF, Action.EXTEND}),
    Source.HUMAN: frozenset({Action.SEND, Action.RETURN}),
}
_SILENT: Final = frozenset({Action.NONE, Action.EXTEND})
"""Actions that send nothing."""

Named = TypeVar("Named", bound=StrEnum)


@dataclass(frozen=True, repr=False)
class Reply:
    """One message of a replies queue: what to send, and how the turn ends or goes on."""

    conversation: ConversationKey
    source: Source
    reply_id: str
    """By which the same reply is known when it comes again: the sender's own, or a digest of what it says."""
    batch_id: str | None
    """The batch that it answers; None for a reply of people."""
    contents: tuple[Content, ...] = ()
    """What is sent to the customer, in order; empty where the action sends nothing."""
    action: Action = Action.SEND
    is_final: bool = True
    """Whether the turn ends with it; False: an interim message."""
    reason: str = ""
    """Of a handoff: why people shall answer. The customer never sees it."""
    draft: str = ""
    """Of a handoff: what the AI would have said. The customer never sees it."""
    handoff_id: str = ""
    """Of a return: the handoff that people end."""
    effects: bool = False
    """Of an extend: the AI has done something that must not be done twice."""
    clamped: tuple[str, ...] = ()
    """Fields that were longer than is kept."""
    attempt: int = 0
    """How often this reply came again."""
    unsent_claims: tuple[str, ...] = ()
    """Tokens under which earlier tries claimed a part and are known to have sent nothing: the next try may."""
    held: bool = False
    """Whether it was held for a burst of the customer: it is held once."""

    @classmethod
    def from_body(cls, body: str) -> Reply:
        """The reply in a message's body; what it has beyond the schema is ignored.

        Raises:
            Rejected: `PARSING_ERROR`; the detail names what is missing or malformed.
        """
        document = decode_object(body, "reply")
        if document.get("version", VERSION) not in (_FIRST_VERSION, VERSION):
            raise Rejected(Code.PARSING_ERROR, f"a reply's version is {_FIRST_VERSION} or {VERSION}")
        source = _choice(document, "source", Source, Source.AI)
        action = _choice(document, "action", Action, Action.SEND)
        if action not in _ACTIONS[source]:
            raise Rejected(Code.PARSING_ERROR, f"a reply of source {source.value} has no action {action.value}")
        key = ConversationKey(text_of(document, PRIMARY_CHANNEL, "reply"), text_of(document, CONVERSATION_ID, "reply"))
        reason, draft = _told(document, "reason"), _told(document, "draft")
        handoff_id = optional(document, "handoff_id", str, "")
        reply = cls(
            conversation=key,
            source=source,
            reply_id=text_of(document, "reply_id", "reply") if source is Source.HUMAN else document.get("reply_id", ""),
            batch_id=text_of(document, "batch_id", "reply") if source is Source.AI else None,
            contents=contents_of(document),
            action=action,
            is_final=optional(document, "final", bool, default=True)
            or action is not Action.SEND
            or source is Source.HUMAN,
            reason=reason[:REASON_LENGTH_MAX],
            draft=draft[:DRAFT_LENGTH_MAX],
            handoff_id=text_of(document, "handoff_id", "reply") if action is Action.RETURN else handoff_id,
            effects=optional(document, "effects", bool, default=False),
            clamped=(*_longer("reason", reason, REASON_LENGTH_MAX), *_longer("draft", draft, DRAFT_LENGTH_MAX)),
            attempt=optional(document, RETRY_ATTEMPT, int, 0),
            unsent_claims=unsent_claims_of(document),
            held=optional(document, HELD, bool, default=False),
        )
        _check(reply, document)
        return reply if reply.reply_id else replace(reply, reply_id=_digest(reply))

    @property
    def message(self) -> str:
        """The reply as a message of the queue, for when it must come again."""
        newer = self._newer
        return encode(
            {
                "version": VERSION if newer or len(self.contents) != 1 else _FIRST_VERSION,
                **self.conversation.item,
                "source": self.source.value,
                "reply_id": self.reply_id,
                **({"batch_id": self.batch_id} if self.batch_id is not None else {}),
                **document_of(self.contents),
                **newer,
                RETRY_ATTEMPT: self.attempt,
                **({UNSENT_CLAIMS: list(self.unsent_claims)} if self.unsent_claims else {}),
                **({HELD: True} if self.held else {}),
            }
        )

    @property
    def attributes(self) -> Attributes:
        """What is told beside the message, for whoever looks at the queue."""
        return {CONVERSATION_ID: self.conversation.conversation_id}

    @property
    def text(self) -> str:
        """What it says, as one text: for people, where it is not sent."""
        return "\n\n".join(one.body or one.content_sid or "\n".join(one.media_urls) for one in self.contents)

    def again(self) -> Reply:
        """This reply, come once more."""
        return replace(self, attempt=self.attempt + 1)

    def without_sending(self, claims: Sequence[str]) -> Reply:
        """This reply, with word that these claims of its parts sent nothing."""
        return replace(self, unsent_claims=(*self.unsent_claims, *claims)[-_UNSENT_CLAIMS_MAX:])

    @property
    def _newer(self) -> dict[str, Any]:
        """What it says that version 1.0 cannot."""
        told = {
            "action": self.action.value if self.action is not Action.SEND else "",
            "final": not self.is_final,
            "reason": self.reason,
            "draft": self.draft,
            "handoff_id": self.handoff_id,
            "effects": self.effects,
        }
        return {name: value if name != "final" else False for name, value in told.items() if value}


def _choice(document: Mapping[str, Any], name: str, kind: type[Named], default: Named) -> Named:
    try:
        return kind(document.get(name, default))
    except ValueError as fault:
        raise Rejected(Code.PARSING_ERROR, f"a reply's {name} is one of {', '.join(kind)}") from fault


def _told(document: Mapping[str, Any], name: str) -> str:
    told: str = optional(document, name, str, "")
    return told


def _longer(name: str, text: str, length_max: int) -> tuple[str, ...]:
    return (name,) if len(text) > length_max else ()


def _check(reply: Reply, document: Mapping[str, Any]) -> None:
    """What the fields of a reply demand of each other."""
    if reply.action is Action.SEND and not reply.contents:
        raise Rejected(Code.PARSING_ERROR, "a reply has a body, a content_sid, media_urls or messages")
    if reply.action in _SILENT and reply.contents:
        raise Rejected(Code.PARSING_ERROR, f"a reply of action {reply.action.value} sends nothing")
    if not isinstance(reply.reply_id, str) or reply.reply_id.startswith(OURS):
        raise Rejected(Code.PARSING_ERROR, f"a reply's reply_id is a text that does not begin with {OURS}")
    if not isinstance(document.get("batch_id", ""), str | None):
        raise Rejected(Code.PARSING_ERROR, "a reply's batch_id is a text")


def unsent_claims_of(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The tokens of claims that sent nothing.

    Raises:
        Rejected: `PARSING_ERROR`.
    """
    claims: list[str] = optional(document, UNSENT_CLAIMS, list, [])
    if not all(isinstance(claim, str) for claim in claims):
        raise Rejected(Code.PARSING_ERROR, f"a reply's {UNSENT_CLAIMS} are a list of texts")
    return tuple(claims[-_UNSENT_CLAIMS_MAX:])


def _digest(reply: Reply) -> str:
    """The same for the same reply, however often it is delivered or sent by its worker."""
    (first, *others) = reply.contents or (Content(),)
    # A reply that version 1.0 could say keeps the digest that it had there.
    newer = [
        [one.told for one in others],
        reply.action.value if reply.action is not Action.SEND else "",
        "interim" if not reply.is_final else "",
    ]
    told = [reply.batch_id, *first.told, *([newer] if any(newer) else [])]
    return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
