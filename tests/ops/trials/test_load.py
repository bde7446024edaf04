"""A load is steady and bounded, and its figures are those of the log."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from local.tenants import MAIL
from ops.stage.logs import LogEvent
from ops.trials import companies
from ops.trials.accounts import NUMBER, Accounts
from ops.trials.companies import NUMBERS
from ops.trials.load import Load, Plan, unanswered
from ops.trials.reports import Figures, Report, percentile
from tests.fakes.clock import FakeClock
from tests.ops.serving import served
from tests.ops.trials.test_smoke import journey
from tests.world import World

WARM = (
    "REPORT RequestId: 1-2\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 512 MB\tMax Memory Used: 98 MB\t\n"
)
COLD = WARM.replace("\t\n", "\tInit Duration: 401.5 ms\t\nXRAY TraceId: 1-6\tSegmentId: 2\tSampled: true\t\n")
LATE = WARM.replace("\t\n", "\tStatus: timeout\n")
REPLIED = json.dumps({"_aws": {}, "stage": "dev", "ReceiptToReply": [14.5]})


def event(text: str, function: str = "send_replies") -> LogEvent:
    return LogEvent(datetime(2026, 1, 31, tzinfo=UTC), function, text, "1")


class TestReports:
    def test_a_report_of_lambda_is_read(self):
        """With what a cold start took, and with a trace behind it."""
        assert Report.of(WARM) == Report("1-2", 12.34, 98, 512, None, timed_out=False)
        assert Report.of(COLD).init_milliseconds == 401.5
        assert Report.of(LATE).timed_out

    @pytest.mark.parametrize("text", ["END RequestId: 1-2", '{"step": "staged"}', "", "REPORT of the day"])
    def test_any_other_line_is_none(self, text: str):
        """Ours and Lambda's."""
        assert Report.of(text) is None

    def test_the_figures_are_by_function(self):
        """Cold starts, durations, memory, time-outs."""
        figures = Figures.of([event(WARM), event(COLD), event(LATE), event(WARM, "batch_sms")])

        assert figures.functions["send_replies"].document(2) == {
            "invocations": 3,
            "cold_starts": 1,
            "init_ms_max": 401.5,
            "duration_ms_p50": 12.34,
            "duration_ms_p95": 12.34,
            "duration_ms_max": 12.34,
            "memory_mb_max": 98,
            "memory_mb_size": 512,
            "timeouts": 1,
            "throttles": 2,
        }
        assert len(figures.functions["batch_sms"].reports) == 1

    def test_the_time_to_reply_is_the_engine_s_own_metric(self):
        """A line that only names it counts nothing."""
        figures = Figures.of([event(REPLIED), event('{"text": "ReceiptToReply"}'), event("ReceiptToReply")])

        assert figures.seconds_to_reply == [14.5]

    def test_a_percentile_is_one_of_the_values(self):
        """The nearest rank; of nothing there is none."""
        assert [percentile([3, 1, 2, 4], one) for one in (1, 50, 95, 100)] == [1, 2, 4, 4]
        assert percentile([], 50) is None


class TestLoad:
    def test_messages_are_sent_at_a_steady_rate_to_the_customers_in_turn(self):
        """However fast the answers come."""
        with served() as (world, url):
            clock, waits = FakeClock(), []

            def wait(seconds: float) -> None:
                waits.append(round(seconds, 3))
                clock.advance(seconds)

            answered = Load(url, clock, wait).run(Plan(2, 2, 1), [journey()])

            assert waits == [0.5, 0.5, 0.5]
            assert dict(answered.statuses) == {"200": 4}
            assert len(world.staged_ids) == 4

    def test_an_answer_that_does_not_come_is_counted(self):
        """The load goes on."""
        answered = Load("http://127.0.0.1:9", FakeClock(), lambda _: None).run(Plan(10, 1, 1), [journey()])

        assert dict(answered.statuses) == {"no answer": 10}
        assert answered.document()["answer_ms_p50"] is None

    def test_a_conversation_is_unanswered_until_its_reply_went_out(self, world: World):
        """Staged, with the AI, or neither."""
        world.deliver()
        staged = unanswered(world.tables, [journey()])
        world.run(60)

        assert (staged, unanswered(world.tables, [journey()])) == (1, 0)

    def test_a_load_is_bounded_in_all(self):
        """Whatever its parts are."""
        assert Plan(50, 900, 1).fault is not None
        assert Plan(50, 300, 1).fault is None


class TestCompanies:
    @pytest.mark.parametrize("number", [None, NUMBER])
    def test_no_two_customers_of_a_run_are_the_same_pair(self, number: str | None):
        """Twilio's test credentials have one number for all companies."""
        accounts = Accounts("AC1", "token", number)

        made = companies.plan(accounts, ["sms", "whatsapp"], count=50, customers=10)

        pairs = {(one.addresses["sms"], who.address) for one in made for who in one.customers}
        assert len(pairs) == 500
        assert {who.channel for one in made for who in one.customers} == {"sms", "whatsapp"}
        assert all(who.address in NUMBERS for one in made for who in one.customers)

    def test_customers_of_e_mail_have_addresses(self):
        """Of a domain that nobody has."""
        (made,) = companies.plan(Accounts("AC1", "token"), [MAIL], count=1, customers=1)

        assert made.addresses[MAIL].endswith(".example")
        assert made.customers[0].address.endswith(".example")
