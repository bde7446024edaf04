"""Tailing: every line once, in order, and the lines that come late."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from ops.stage import tailing
from ops.stage.logs import LogEvent
from tests.fakes.clock import START, FakeClock


@dataclass
class Lines:
    """Log groups whose lines come to be seen while they are followed."""

    events: list[LogEvent] = field(default_factory=list)

    def lines(self, since, *, words=None):
        return [one for one in self.events if one.at >= since and (words is None or words in one.text)]


def event(number: int, *, seconds: float = 0, text: str = '{"step": "staged"}') -> LogEvent:
    return LogEvent(START + timedelta(seconds=seconds), "api_handler", text, f"event-{number}")


def followed(logs: Lines, *steps, words: str | None = None) -> list[str]:
    """The ids that are shown, while each step happens between two looks."""
    clock, pending = FakeClock(), list(steps)

    def wait(seconds: float) -> bool:
        clock.advance(seconds)
        if not pending:
            return True
        pending.pop(0)()
        return False

    return [one.event_id for one in tailing.follow(logs, START, clock, wait, words)]


def test_lines_are_shown_in_order_of_time_each_once():
    """Whichever function they are of, and however often they are looked at."""
    logs = Lines([event(2, seconds=1), event(1)])

    assert followed(logs, lambda: None, lambda: None) == ["event-1", "event-2"]


def test_a_line_that_comes_late_is_shown():
    """CloudWatch shows a line some seconds after it was written."""
    logs = Lines([event(2, seconds=3)])

    assert followed(logs, lambda: logs.events.append(event(1, seconds=1))) == ["event-2", "event-1"]


def test_only_what_was_asked_for_is_shown():
    """A conversation, a sid, a code."""
    logs = Lines([event(1, text='{"step": "staged", "message_sid": "SM1"}'), event(2)])

    assert followed(logs, words="SM1") == ["event-1"]


def test_our_own_lines_and_lambda_s_alarms_are_worth_showing():
    """Neither metrics nor the lines that Lambda writes of each invocation."""
    texts = [
        '{"step": "staged"}',
        "Task timed out after 30.00 seconds",
        '{"_aws": {}, "Staged": 1}',
        "START RequestId: 1",
        "",
    ]

    assert [tailing.is_worth_showing(event(1, text=text)) for text in texts] == [True, True, False, False, False]
