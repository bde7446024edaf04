"""The load: companies, customers, and bursts of signed messages, sent as Twilio sends them.

The script is made of one seed before anything runs: who writes what, after which pause, which message comes once more
long after it was acknowledged, and which one a forger copies. Each customer writes one message after the other.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from random import Random

from local.chaos.ledger import Result, Sent
from local.requests.messages import Message, UnreachableError, fresh_sid, send, webhook_url
from local.tenants import Customer, Tenant

RETRY_SECONDS = (0.5, 1.5, 4.0)
"""`#rc=3`: Twilio tries again three times. How long it waits in between it does not say."""
_ALL_SECONDS = 15.0
"""What Twilio takes for all tries of one message."""

_STOP_SECONDS = 3.0

_BURST_MAX = 6
_TYPING_SECONDS = 0.5
_FORGED, _LATE_DUPLICATE = 0.01, 0.03
_INACTIVE_SHARE = 0.3
"""A customer without answers writes less."""


def companies(count: int, customers_each: int) -> tuple[Tenant, ...]:
    """So many companies with as many customers; each customer's number is one of every company's."""
    numbers = [f"+4477009005{number:02}" for number in range(customers_each)]
    return tuple(
        Tenant(
            name=f"company{number}",
            company_name=f"Company {number}",
            addresses={"whatsapp": f"+4477009001{number:02}", "sms": f"+4477009002{number:02}"},
            customers=tuple(_customer(index, one) for index, one in enumerate(numbers)),
        )
        for number in range(count)
    )


def _customer(index: int, number: str) -> Customer:
    channel = ("whatsapp", "sms")[index % 2]
    match index:
        case 0:
            attributes = {"auto_queue_reply_message_from_number": [number]}
            return Customer("people", number, channel, "on the handoff list", attributes)
        case 1:
            return Customer("inactive", number, channel, "an inactive project", {"project_status": "inactive"})
        case _:
            return Customer(f"customer{index}", number, channel, "an active project")


FATES = {"people": (Result.HANDED_OFF, ""), "inactive": (Result.REFUSED, "PROJECT_INACTIVE")}
"""The outcome of a customer's messages, and its rule. All others become a batch."""


def dice(seed: int) -> Random:
    """What all chance of a run comes from."""
    return Random(seed)  # noqa: S311  # repeatable, and no secret


@dataclass(frozen=True)
class Line:
    """One message of a script."""

    pause_seconds: float
    """Before it."""
    sent: Sent
    """As it is when nobody has acknowledged it."""
    is_forged: bool = False
    is_late_duplicate: bool = False
    """The message was written before, and comes once more."""


@dataclass(frozen=True)
class Script:
    """What one customer writes to one company."""

    company: Tenant
    customer: Customer
    lines: tuple[Line, ...]


def scripts(random: Random, tenants: Sequence[Tenant], *, messages: int, pause_seconds: float) -> list[Script]:
    """What all customers write: so many different messages, `pause_seconds` between two bursts of one of them."""
    pairs = [(company, customer) for company in tenants for customer in company.customers]
    weights = [_INACTIVE_SHARE if customer.name == "inactive" else 1.0 for _, customer in pairs]
    shares = [max(1, round(messages * weight / sum(weights))) for weight in weights]
    shares[-1] += max(0, messages - sum(shares))
    return [
        Script(company, customer, tuple(_lines(random, company, customer, share, pause_seconds)))
        for (company, customer), share in zip(pairs, shares, strict=True)
    ]


def _lines(random: Random, company: Tenant, customer: Customer, count: int, pause_seconds: float) -> Iterator[Line]:
    result, code = FATES.get(customer.name, (Result.BATCHED, ""))
    written: list[Sent] = []
    left_of_burst = 0
    while len(written) < count:
        starts = not left_of_burst
        left_of_burst = random.randint(1, _BURST_MAX) if starts else left_of_burst
        left_of_burst -= 1
        pause = random.uniform(0, 2 * pause_seconds) if starts else random.uniform(0, _TYPING_SECONDS)
        one = Sent(
            sid=fresh_sid(),
            number=len(written) + 1,
            conversation=company.conversation_id(customer),
            company=company.company_id,
            text=f"{company.name} {customer.name} {len(written) + 1}",
            result=result,
            code=code,
            is_acknowledged=False,
        )
        yield Line(pause, one)
        if random.random() < _FORGED:
            forged = replace(one, sid=fresh_sid(), text=f"forged {one.text}", result=Result.REFUSED, code=_FORGERY)
            yield Line(0, forged, is_forged=True)
        if written and random.random() < _LATE_DUPLICATE:
            yield Line(0, random.choice(written), is_late_duplicate=True)
        written.append(one)


_FORGERY = "INVALID_SIGNATURE"


@dataclass
class Load:
    """Sends scripts, each on a thread of its own, and keeps the result of each request."""

    url: str
    scripts: Sequence[Script]
    retry_seconds: Sequence[float] = RETRY_SECONDS
    """The pause before each retry."""
    retried: int = 0
    """How many requests were retries."""
    _acknowledged: dict[str, bool] = field(default_factory=dict)
    _threads: list[threading.Thread] = field(default_factory=list)
    _changing: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Let every customer begin to write."""
        self._threads = [threading.Thread(target=self._play, args=(one,), daemon=True) for one in self.scripts]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let nobody write or try again any more."""
        self._stopped.set()
        self.wait(_STOP_SECONDS)

    def wait(self, seconds: float) -> None:
        """Wait so long at most for everything to be written."""
        until = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    @property
    def is_over(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def progress(self) -> float:
        """How much of the script is written, from 0 to 1."""
        return len(self._acknowledged) / sum(1 for one in self._lines() if not one.is_late_duplicate)

    @property
    def ledger(self) -> list[Sent]:
        """Every message that was sent, and whether it was acknowledged."""
        acknowledged = self._acknowledged
        lines = [line.sent for line in self._lines() if not line.is_late_duplicate and line.sent.sid in acknowledged]
        return [replace(one, is_acknowledged=acknowledged[one.sid]) for one in lines]

    def _lines(self) -> Iterable[Line]:
        return (line for script in self.scripts for line in script.lines)

    def _play(self, script: Script) -> None:
        for line in script.lines:
            if self._stopped.wait(line.pause_seconds):
                return
            if line.is_late_duplicate and not self._acknowledged[line.sent.sid]:
                continue  # Twilio gives a message up that nobody acknowledged
            message = Message(
                channel=script.customer.channel,
                sender=script.customer.address,
                recipient=script.company.addresses[script.customer.channel],
                account_sid=script.company.account_sid,
                body=line.sent.text,
                sid=line.sent.sid,
            )
            is_acknowledged = self._send(message, script.company.auth_token, is_forged=line.is_forged)
            with self._changing:
                self._acknowledged[line.sent.sid] = is_acknowledged or self._acknowledged.get(line.sent.sid, False)

    def _send(self, message: Message, token: str, *, is_forged: bool) -> bool:
        """Send one message with Twilio's retries; whether a try was answered with success."""
        url = webhook_url(self.url, message.channel)
        request_token = str(uuid.uuid4())
        until = time.monotonic() + _ALL_SECONDS
        for pause_seconds in (None, *self.retry_seconds):
            if pause_seconds is not None:
                with self._changing:
                    self.retried += 1
                self._stopped.wait(min(pause_seconds, max(0.0, until - time.monotonic())))
            if time.monotonic() >= until or self._stopped.is_set():
                break
            if _is_success(lambda: send(url, message, token, forge=is_forged, request_token=request_token).is_success):
                return True
        return False


def _is_success(ask: Callable[[], bool]) -> bool:
    """What `ask` says; False where nobody answered, or only half."""
    try:
        return ask()
    except (UnreachableError, HTTPException, OSError):
        return False
