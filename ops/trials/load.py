"""The load test: signed messages at a steady rate, for a bounded time, whatever the answers.

Each message has its own instant, so that a slow stage is not asked more slowly: what waits then shows as waiting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from chalicelib.clock import Clock
from chalicelib.ports.tables import Tables
from chalicelib.protocol.record import ATTRIBUTES, CONVERSATION_ID, Record
from local.requests.messages import UnreachableError
from ops.trials.companies import Journey
from ops.trials.reports import percentile

RATE_MAX, SECONDS_MAX, TENANTS_MAX, MESSAGES_MAX = 50, 900, 50, 20_000
CUSTOMERS = 10
"""Of each company."""

_SENDERS = 64
_NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Plan:
    """How much is sent."""

    rate: float
    """Messages a second."""
    seconds: int
    tenants: int

    @property
    def count(self) -> int:
        return max(round(self.rate * self.seconds), 1)

    @property
    def fault(self) -> str | None:
        """Why it is too much; None: it is not."""
        if self.count > MESSAGES_MAX:
            return f"{self.count} messages, and at most {MESSAGES_MAX} are sent: a lower --rate or fewer --seconds"
        return None


@dataclass(frozen=True)
class Answered:
    """What the webhooks answered."""

    statuses: Counter[str]
    """How often each HTTP status came."""
    seconds: Sequence[float]
    late: float
    """How much later than its instant a message was sent at worst. More than a moment: this machine is busy."""

    def document(self) -> dict[str, object]:
        """The figures, as JSON."""
        return {
            "answers": dict(sorted(self.statuses.items())),
            "answer_ms_p50": _milliseconds(percentile(self.seconds, 50)),
            "answer_ms_p95": _milliseconds(percentile(self.seconds, 95)),
            "sent_late_ms_max": _milliseconds(self.late),
        }


@dataclass(frozen=True)
class Load:
    """Sends."""

    base: str
    """The webhooks' URL, up to `/webhooks`."""
    clock: Clock
    wait: Callable[[float], object]

    def run(self, plan: Plan, journeys: Sequence[Journey]) -> Answered:
        """Send the plan's messages, the customers in turn, and wait for the answers."""
        statuses: Counter[str] = Counter()
        seconds: list[float] = []
        begun, late = self.clock.monotonic(), 0.0
        with ThreadPoolExecutor(_SENDERS) as senders:
            sent = []
            for number in range(plan.count):
                ahead = begun + number / plan.rate - self.clock.monotonic()
                if ahead > 0:
                    self.wait(ahead)
                late = max(late, -ahead)
                sent.append(senders.submit(self._send, journeys[number % len(journeys)], number))
            for one in sent:
                status, took = one.result()
                statuses[status] += 1
                if status != _NO_ANSWER:
                    seconds.append(took)
        return Answered(statuses, seconds, late)

    def _send(self, journey: Journey, number: int) -> tuple[str, float]:
        try:
            answer = journey.send(self.base, journey.message(f"message {number} of a load test"))
        except UnreachableError:
            return _NO_ANSWER, 0.0
        return str(answer.status), answer.seconds


def unanswered(tables: Tables, journeys: Sequence[Journey]) -> int:
    """How many conversations still have a message that waits: staged, or with the AI."""
    return sum(1 for _ in _waiting(tables, journeys))


def _waiting(tables: Tables, journeys: Sequence[Journey]) -> Iterator[Journey]:
    for one in journeys:
        row = tables.conversations.get(one.key.item, attributes=ATTRIBUTES)
        if row is None:
            continue
        record = Record.from_item(row)
        of_it = (CONVERSATION_ID, one.key.conversation_id)
        if record.is_locked or record.unanswered_ids or any(True for _ in tables.stage.query(of_it, limit=1)):
            yield one


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(1_000 * seconds)
