"""What a reply sends: one to ten contents, each a text, attachments or a template; parsed, pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from chalicelib.errors import Code, Rejected
from chalicelib.ports.queues import encode

CONTENT_BYTES_MAX: Final = 49_152
"""What a reply says, in bytes: with what the record keeps beside each part of 1,600 characters it takes less than the
81,920 bytes that `protocol/history.py` leaves free of a record, so that a reply that was sent can always be recorded.
"""

MESSAGES_MAX: Final = 10
"""Messages in one reply."""

MESSAGES = "messages"


@dataclass(frozen=True, repr=False)
class Content:
    """What one message says."""

    body: str = ""
    content_sid: str | None = None
    """A template of the provider's, sent instead of the body."""
    content_variables: Mapping[str, str] = field(default_factory=dict)
    media_urls: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.body.strip() or self.content_sid or self.media_urls)

    @property
    def document(self) -> dict[str, Any]:
        """As a message of the queue spells it."""
        return {
            "body": self.body,
            **({"content_sid": self.content_sid} if self.content_sid is not None else {}),
            "content_variables": dict(self.content_variables),
            "media_urls": list(self.media_urls),
        }

    @property
    def told(self) -> list[Any]:
        """What makes it the same content: part of a digest that must not change."""
        return [self.body, self.content_sid, dict(self.content_variables), list(self.media_urls)]


def contents_of(document: Mapping[str, Any]) -> tuple[Content, ...]:
    """What a reply sends, in order; nothing of it is empty.

    Raises:
        Rejected: `PARSING_ERROR`; the detail names what is malformed, or more than a reply takes.
    """
    contents: tuple[Content, ...]
    alone = _content(document)
    listed = optional(document, MESSAGES, list, [])
    if not listed:
        contents = () if alone.is_empty else (alone,)
    elif not alone.is_empty:
        raise Rejected(Code.PARSING_ERROR, "a reply has messages, or a body, a content_sid or media_urls")
    elif len(listed) > MESSAGES_MAX:
        raise Rejected(Code.PARSING_ERROR, f"a reply has at most {MESSAGES_MAX} messages")
    else:
        contents = tuple(_listed(one) for one in listed)
    if sum(len(encode({"": one.told}).encode()) for one in contents) > CONTENT_BYTES_MAX:
        raise Rejected(Code.PARSING_ERROR, f"a reply says no more than {CONTENT_BYTES_MAX} bytes")
    return contents


def document_of(contents: Sequence[Content]) -> dict[str, Any]:
    """Contents as a message of the queue spells them: one as version 1.0 does, several as `messages`."""
    if len(contents) == 1:
        return contents[0].document
    return {MESSAGES: [one.document for one in contents]} if contents else {}


def optional(document: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """A field of a reply that may be missing or null.

    Raises:
        Rejected: `PARSING_ERROR`; it is of another type.
    """
    value = document.get(name, default)
    if value is None:
        return default
    is_flag = isinstance(value, bool) and kind is not bool
    if not isinstance(value, kind) or is_flag or (isinstance(value, int) and value < 0):
        raise Rejected(Code.PARSING_ERROR, f"a reply's {name} is malformed")
    return value


def _listed(one: object) -> Content:
    if not isinstance(one, Mapping) or (content := _content(one)).is_empty:
        raise Rejected(Code.PARSING_ERROR, "each of a reply's messages has a body, a content_sid or media_urls")
    return content


def _content(document: Mapping[str, Any]) -> Content:
    return Content(
        body=optional(document, "body", str, ""),
        content_sid=optional(document, "content_sid", str, "") or None,
        content_variables=_variables(document),
        media_urls=_media_urls(document),
    )


def _variables(document: Mapping[str, Any]) -> Mapping[str, str]:
    variables: dict[str, str] = optional(document, "content_variables", dict, {})
    if not all(isinstance(value, str) for value in variables.values()):
        raise Rejected(Code.PARSING_ERROR, "a reply's content_variables are texts by name")
    return variables


def _media_urls(document: Mapping[str, Any]) -> tuple[str, ...]:
    urls: list[str] = optional(document, "media_urls", list, [])
    if not all(isinstance(url, str) and url.startswith("https://") for url in urls):
        raise Rejected(Code.PARSING_ERROR, "a reply's media_urls are a list of https:// URLs")
    return tuple(urls)
