"""What the stubs of providers' APIs share: an HTTP server on the loopback interface, and faults to order.

A stub sends nothing to anybody and is never shipped. What a provider does on a bad day it does on demand, for the
next request, or for the next one about one recipient:

    429     too many requests, and when to come again; nothing is taken
    5xx     the service is down; nothing is taken
    refuse  refused for good; nothing is taken
    slow    taken, and answered when the caller has long given up
    lost    taken, and the connection closed without an answer
    garbled taken, and answered with a page of a proxy's
    5xx-taken   taken, and answered with the provider's own 5xx
    page    a page of a proxy's with a status of 4xx; nothing is taken
    none    as always

    POST /_stand-in/faults        orders a fault for the next request that it fits: the fields of the stub's fault
    GET  /_stand-in/faults        the faults that were ordered and have not happened yet
    GET  /_stand-in/deliveries    the ledger: what was accepted, and its status
    POST /_stand-in/accounts      adds an account that may send: the fields of the stub's account
"""

from __future__ import annotations

import json
import signal
import socketserver
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar
from urllib.parse import parse_qs, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from local.guard.http import guard
from local.processes.environment import HOST

SLOW_SECONDS = 15.0
GARBLED = b"<html>Bad day</html>"

_REQUEST_SECONDS = 30
_ASKING_SECONDS = 10
_SHOWN = 64
"""So many characters of a text are told in a line."""

Tell = Callable[..., None]
"""Takes a step and its fields."""


class Kind(StrEnum):
    """How a request can fail."""

    TOO_MANY = "429"
    SERVER_ERROR = "5xx"
    REFUSE = "refuse"
    SLOW = "slow"
    LOST = "lost"
    GARBLED = "garbled"
    SERVER_ERROR_AFTER_TAKING = "5xx-taken"
    PAGE = "page"
    NONE = "none"


class Fault(Protocol):
    """How one request fails."""

    def applies_to(self, address: str, *, is_of_list: bool) -> bool:
        """Whether it applies to a request about this recipient: one that sends, or one that lists."""


FaultT = TypeVar("FaultT", bound=Fault)


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: tuple[str, ...]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a request is answered."""

    status: HTTPStatus
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, document: object, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Answer:
        """A JSON document; of a header's name each underscore stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, json.dumps(document).encode(), {"Content-Type": "application/json", **named})


class Refused(Exception):  # noqa: N818  # it is an answer, not an error of ours
    """The provider's answer to what it does not take."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def say_nothing(_step: str, **_fields: Any) -> None:
    """Tell no step."""


class StubServer(ABC, Generic[FaultT]):
    """Answers on the loopback interface for as long as the block lasts.

    Args:
        name: of the thread that answers.
        port: where; 0: any port that is free.
        slow_seconds: when a slow request is answered at last.
        tell: takes what happens.
    """

    def __init__(
        self, name: str, *, port: int = 0, slow_seconds: float = SLOW_SECONDS, tell: Tell = say_nothing
    ) -> None:
        self.tell = tell
        self.changing = threading.Lock()
        self._slow_seconds = slow_seconds
        self._faults: list[FaultT] = []
        self._closing = threading.Event()
        self._server = _Server((HOST, port), partial(_Request, self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self.close()
        self._server.server_close()
        self._thread.join()

    def close(self) -> None:
        """Stop what else runs, before the last requests are waited for."""

    @property
    def url(self) -> str:
        """The base of the API."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    @abstractmethod
    def ledger(self) -> dict[str, Any]:
        """Everything that was taken, as JSON, under `deliveries`."""

    @abstractmethod
    def fault(self, document: Mapping[str, Any]) -> FaultT:
        """The fault that a JSON document tells.

        Raises:
            TypeError, ValueError: it tells something else.
        """

    @abstractmethod
    def add_account(self, document: Mapping[str, Any]) -> None:
        """Let the account that a JSON document tells send too.

        Raises:
            TypeError, ValueError: it tells something else.
        """

    @property
    @abstractmethod
    def server_error(self) -> Answer:
        """The provider's own 5xx."""

    @abstractmethod
    def perform(self, call: Call) -> Answer | None:
        """Answer a request to the provider's API; None: the answer is lost.

        Raises:
            Refused: the provider does not take it.
        """

    def fail_next(self, *faults: FaultT) -> None:
        """Inject each of these into one request: the first that it applies to."""
        with self.changing:
            self._faults += faults

    def next_fault(self, address: str, *, is_of_list: bool) -> FaultT | None:
        """The fault of a request about this recipient; None: it succeeds."""
        with self.changing:
            for one in self._faults:
                if one.applies_to(address, is_of_list=is_of_list):
                    self._faults.remove(one)
                    return one
        return None

    @property
    def faults_to_come(self) -> list[dict[str, Any]]:
        """The faults that were ordered and have not happened yet, as JSON."""
        with self.changing:
            return [asdict(one) for one in self._faults]  # type: ignore[call-overload]  # each fault is a dataclass

    def late(self, kind: Kind, answer: Answer) -> Answer | None:
        """What a request that was taken is answered, as the fault's kind has it, and when."""
        if kind is Kind.SLOW:
            self._closing.wait(self._slow_seconds)
        answers = {
            Kind.LOST: None,
            Kind.GARBLED: Answer(HTTPStatus.OK, GARBLED),
            Kind.SERVER_ERROR_AFTER_TAKING: self.server_error,
        }
        return answers.get(kind, answer)

    def answer(self, call: Call) -> Answer | None:
        """Answer any request; None: the answer is lost."""
        try:
            match call.method, call.path:
                case "POST", ("_stand-in", "faults"):
                    self.fail_next(self.fault(json.loads(call.body)))
                    return Answer.json({}, HTTPStatus.CREATED)
                case "POST", ("_stand-in", "accounts"):
                    with self.changing:
                        self.add_account(json.loads(call.body))
                    return Answer.json({}, HTTPStatus.CREATED)
                case "GET", ("_stand-in", "faults"):
                    return Answer.json({"faults": self.faults_to_come})
                case "GET", ("_stand-in", "deliveries"):
                    return Answer.json(self.ledger)
                case _:
                    return self.perform(call)
        except Refused as refusal:
            return refusal.answer
        except (AttributeError, LookupError, TypeError, ValueError) as fault:
            return Answer.json({"message": f"{type(fault).__name__}: {fault}"}, HTTPStatus.BAD_REQUEST)


def until_stopped(make: Callable[[Tell], StubServer[Any]]) -> None:
    """Stand in until SIGTERM, telling each step as a line in the shape of the app's log lines."""

    def tell(step: str, **fields: Any) -> None:
        print(json.dumps({"level": "INFO", "step": step, **fields}), flush=True)

    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with make(tell):
        stopped.wait()


def ask(url: str, path: str, document: object = None) -> dict[str, Any]:
    """What a stub at `url` says to a GET, or to a POST of `document`."""
    body = None if document is None else json.dumps(document).encode()
    opener: Any = build_opener(ProxyHandler({}))
    request = Request(f"{url}/_stand-in/{path}", data=body)  # noqa: S310  # our own stub's URL
    with opener.open(request, timeout=_ASKING_SECONDS) as answer:
        return dict(json.load(answer))


def short(text: str) -> str:
    """So much of a text as a line shows."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """A thread for each request; closing waits for all of them."""

    daemon_threads = False

    def server_bind(self) -> None:
        """Bind without asking what the machine is called, which takes seconds where no name server answers."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]


class _Request(BaseHTTPRequestHandler):
    """One request, answered by a stub."""

    timeout = _REQUEST_SECONDS

    def __init__(self, serve_stub: StubServer[Any], *arguments: Any) -> None:
        self._stand_in = serve_stub
        super().__init__(*arguments)

    def do_GET(self) -> None:  # the library's name
        """Answer a GET."""
        self._answer()

    def do_POST(self) -> None:  # the library's name
        """Answer a POST."""
        self._answer()

    def log_message(self, *_arguments: Any) -> None:
        """Leave the telling to the stub."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        call = Call(
            method=self.command,
            path=tuple(parts.path.strip("/").split("/")),
            query=parse_qs(parts.query),
            headers=self.headers,  # type: ignore[arg-type]  # a Message is read like a mapping, in any case of letters
            body=self.rfile.read(int(self.headers.get("Content-Length", 0))),
        )
        answer = self._stand_in.answer(call)
        if answer is not None:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        try:
            self.send_response_only(answer.status)
            for name, value in {"Date": self.date_time_string(), **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
        except OSError:
            return  # the caller has given up; it is a slow answer's point


guard(_Request)
