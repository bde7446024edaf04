"""An event's calls to AWS with their answers: recorded over moto once, then played as often as is measured.

Requests are built and signed, and answers are parsed, by botocore's real clients; nothing is sent.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from moto.core.models import botocore_stubber

Meter = Callable[[Callable[[], object]], float]
"""What measures an act."""


def cpu_milliseconds(act: Callable[[], object]) -> float:
    """The CPU time of an act."""
    started = time.process_time()
    act()
    return (time.process_time() - started) * 1_000


@dataclass
class Tape:
    """The calls of one event with their answers, recorded or played."""

    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    """Service, operation and parameters."""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    place: int = 0
    is_played: bool = False
    bare: dict[str, Any] = field(default_factory=dict)
    """The clients that make the bare calls, by service."""

    def listen(self, client: Any, bare: Any = None) -> None:
        """Record, or answer, what a client does; its bare calls are made by `bare`, or by itself."""
        service = client.meta.service_model.service_id.hyphenize()
        self.bare[service] = bare or client
        if bare is not None:
            bare.meta.events.register_first(f"before-send.{service}", self._answer)
        client.meta.events.register_first(f"provide-client-params.{service}", self._note(service))
        client.meta.events.register_first(f"before-send.{service}", self._answer)
        client.meta.events.register(f"response-received.{service}", self._keep)

    def _note(self, service: str) -> Callable[..., None]:
        def note(params: dict[str, Any], model: Any, **_: Any) -> None:
            if not self.is_played:
                self.calls.append((service, model.name, dict(params)))

        return note

    def _answer(self, request: Any, **_: Any) -> AWSResponse | None:
        if not self.is_played:
            return None
        status, headers, body = self.answers[self.place]
        self.place += 1
        return AWSResponse(request.url, status, headers, SimpleNamespace(stream=lambda **_: iter([body])))

    def _keep(self, response_dict: dict[str, Any], **_: Any) -> None:
        if not self.is_played:
            kept = {name: value for name, value in response_dict["headers"].items() if name.lower() != "x-amz-crc32"}
            self.answers.append((response_dict["status_code"], kept, response_dict["body"]))

    def costs(self, act: Callable[[], object], meter: Meter, rounds: int) -> tuple[float, float]:
        """What an event takes, and what its bare calls take: the least of several rounds, in turns."""
        self.calls, self.answers, self.is_played = [], [], False
        act()
        calls = list(self.calls)
        self.is_played, botocore_stubber.enabled = True, False  # botocore asks everybody who might answer
        for once in (act, lambda: self._call_bare(calls)):  # what is made on first use is there
            self._play(once, lambda one: one())
        figures = [(self._play(act, meter), self._play(lambda: self._call_bare(calls), meter)) for _ in range(rounds)]
        self.is_played, botocore_stubber.enabled = False, True
        return min(whole for whole, _ in figures), min(bare for _, bare in figures)

    def _play(self, act: Callable[[], object], meter: Callable[[Callable[[], object]], Any]) -> Any:
        self.place = 0
        gc.collect()  # what earlier acts left behind is not theirs
        spent = meter(act)
        assert self.place == len(self.answers), "every answer was used"
        return spent

    def _call_bare(self, calls: list[tuple[str, str, dict[str, Any]]]) -> None:
        for service, name, told in calls:
            with suppress(ClientError):  # a condition that is refused is an answer
                getattr(self.bare[service], xform_name(name))(**told)
