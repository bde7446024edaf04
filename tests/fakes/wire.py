"""What AWS answers to botocore, try by try, without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse

if TYPE_CHECKING:
    from botocore.client import BaseClient


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    document: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    xml: str | None = None
    """What is answered instead of the document, by the services that speak XML."""

    @property
    def content(self) -> bytes:
        """The body."""
        return (self.xml if self.xml is not None else json.dumps(self.document)).encode()

    @classmethod
    def error(cls, status: int, code: str, **members: Any) -> Answer:
        return cls(status, {"__type": f"com.amazonaws.service#{code}", "message": "what AWS says", **members})


class Wire:
    """Stands behind a client: each try takes the next answer, or raises it.

    Args:
        client: its tries are answered here; botocore's own retries stay as configured.
        answers: one for each try.
    """

    def __init__(self, client: BaseClient, *answers: Answer | Exception) -> None:
        self._answers = list(answers)
        self.contents: list[bytes] = []
        """What every try so far sent as its body."""
        self.urls: list[str] = []
        """Where every try so far went."""
        self.headers: list[dict[str, str]] = []
        """The headers of every try so far, by lower-case name."""
        before_send = f"before-send.{client.meta.service_model.service_id.hyphenize()}"
        client.meta.events.unregister(before_send, unique_id="wire")  # the wire of the test before
        client.meta.events.register(before_send, self._answer, unique_id="wire")

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The JSON of every try so far."""
        return [json.loads(content) for content in self.contents]

    def _answer(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.contents.append(request.body.read() if hasattr(request.body, "read") else request.body)
        self.urls.append(request.url)
        self.headers.append(
            {name.lower(): one.decode() if isinstance(one, bytes) else one for name, one in request.headers.items()}
        )
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return AWSResponse(request.url, answer.status, answer.headers, _Body(answer.content))


@dataclass(frozen=True)
class _Body:
    content: bytes

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.content
