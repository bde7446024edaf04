"""What an operator sees, and what nobody sees: no words of a foreign error, no number, no text."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.telemetry import Fields, Level, Metric, Step, Trail
from chalicelib.telemetry.metrics import DIMENSIONS
from chalicelib.telemetry.writer import CloudWatch, describe, redacted
from tests.fakes.clock import FakeClock
from tests.world import RecordingTelemetry

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
ALPHABET = st.characters(codec="ascii")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestLines:
    def test_a_line_is_json_and_carries_its_step_and_its_fields(self, capsys: pytest.CaptureFixture[str]):
        """One line per step of the flow. Its time is that of CloudWatch's event."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.log(Step.DISPATCHED, batch_id="b-1", count=3)

        (line,) = lines(capsys)
        assert line == {"level": "INFO", "step": "dispatched", "batch_id": "b-1", "count": 3}

    @pytest.mark.parametrize(("level", "count"), [("DEBUG", 5), ("INFO", 4), ("WARNING", 3), ("ERROR", 2)])
    def test_lines_below_the_level_are_not_written(self, capsys: pytest.CaptureFixture[str], level: str, count: int):
        """As the stage's setting says."""
        telemetry = CloudWatch("dev", level)

        for loudness in Level:
            telemetry.log(Step.RECEIVED, loudness)

        assert len(lines(capsys)) == count

    def test_a_line_below_the_level_is_not_even_built(self, monkeypatch: pytest.MonkeyPatch):
        """To look for private words in it costs as much as in one that is written."""
        telemetry = CloudWatch("dev", "INFO")
        looked_at: list[str] = []
        monkeypatch.setattr("chalicelib.telemetry.writer.redacted", lambda text, _: looked_at.append(text) or text)

        telemetry.log(Step.CONTEXT_LOADED, Level.DEBUG, channel="sms")
        telemetry.log(Step.CONTEXT_LOADED, Level.INFO, channel="whatsapp")

        assert looked_at == ["whatsapp"]

    def test_an_error_of_ours_is_told_by_its_code_and_words(self, capsys: pytest.CaptureFixture[str]):
        """They name resources, fields and settings only."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.fault(Step.FAILED, Misconfigured(Code.DB_QUERY_ERROR, "GetItem conversations: no such table"))

        (line,) = lines(capsys)
        assert (line["code"], line["reason"]) == ("DB_QUERY_ERROR", "GetItem conversations: no such table")
        assert (line["step"], line["level"]) == ("failed", "ERROR")

    def test_an_error_that_is_not_ours_is_told_by_type_and_places_only(self, capsys: pytest.CaptureFixture[str]):
        """Its words may hold anything: a message, a number, a secret."""
        telemetry = CloudWatch("dev", "INFO")
        try:
            json.loads("{'number': '+4915112345678'}")
        except ValueError as error:
            surprise = error

        telemetry.fault(Step.FAILED, surprise)

        out = capsys.readouterr().out
        line = json.loads(out)
        assert line["code"] == "INTERNAL_ERROR"
        assert line["reason"].startswith("JSONDecodeError at decoder.py:")
        assert "test_writer.py:" in line["reason"]
        assert "+4915112345678" not in out
        assert "property name" not in out

    def test_a_chained_error_of_ours_does_not_tell_its_cause(self, capsys: pytest.CaptureFixture[str]):
        """Only the code and our own words are written."""
        telemetry = CloudWatch("dev", "INFO")
        error = TryAgain(Code.DB_TRANSIENT_ERROR, "PutItem stage: ReadTimeoutError")
        error.__cause__ = ValueError("+4915112345678")

        telemetry.fault(Step.FAILED, error)

        assert "+4915112345678" not in capsys.readouterr().out

    def test_an_error_that_was_never_raised_is_told_too(self):
        """It has a type and no place."""
        assert describe(KeyError("secret")) == {"code": "INTERNAL_ERROR", "reason": "KeyError at "}

    def test_the_page_tells_every_field(self, capsys: pytest.CaptureFixture[str]):
        """And no field that no line has."""
        CloudWatch("dev", "INFO").log(Step.RECEIVED)
        (line,) = lines(capsys)

        cells = re.findall(r"^\| (`.*?) \|", PAGE.read_text().partition("## Metrics")[0], re.MULTILINE)

        told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
        assert sorted(told) == sorted({*line, *get_type_hints(Fields)})

    def test_a_line_has_no_field_for_a_text_or_an_address(self):
        """What is not in the list cannot be logged."""
        allowed = set(get_type_hints(Fields))

        assert not allowed & {"body", "text", "sender", "recipient", "address", "number", "primary_channel", "secret"}


PRIVATE_TEXTS = [
    "+4915112345678",
    "whatsapp:+4915112345678",
    "+49 151 123-45678",
    "+1 (415) 523-8886",
    "ann@example.com",
    "Ann <ann.b+c@mail.example.co.uk>",
]


class TestRedaction:
    @pytest.mark.parametrize("private", PRIVATE_TEXTS)
    @pytest.mark.parametrize(
        "field", sorted(name for name, kind in get_type_hints(Fields).items() if kind in (str, str | None))
    )
    def test_a_number_or_an_address_is_covered_in_whatever_field_it_comes(
        self, capsys: pytest.CaptureFixture[str], field: str, private: str
    ):
        """Nobody gives it to a line; were somebody to, it would not be written."""
        CloudWatch("dev", "INFO").log(Step.FAILED, **{field: f"before {private} after"})

        (line,) = lines(capsys)
        assert line[field].replace("<[private]>", "[private]") in {
            "before [private] after",
            "before whatsapp:[private] after",
            "before Ann [private] after",
        }

    def test_an_error_s_own_words_are_covered_too(self, capsys: pytest.CaptureFixture[str]):
        """They are ours, and name no customer; that is what this net is below."""
        CloudWatch("dev", "INFO").fault(Step.FAILED, Misconfigured(Code.ROUTING_ERROR, "no queue for +4915112345678"))

        (line,) = lines(capsys)
        assert line["reason"] == "no queue for [private]"

    @given(
        prefix=st.text(max_size=20),
        number=st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True, alphabet=ALPHABET),
        suffix=st.text(max_size=20),
    )
    def test_no_number_survives_whatever_stands_around_it(self, prefix: str, number: str, suffix: str):
        """E.164, anywhere in any text."""
        assert number not in redacted(prefix + number + suffix)

    @pytest.mark.parametrize(
        "number",
        [
            "4915112345678",
            "0049 151 12345678",
            "00491511234567",
            "0151 123456789",
            "(030) 123-456-78",
            "555-123-4567",
            "(555) 123-4567",
            "0151/12345678",
            "49.151.12345678",
            "whatsapp:4915112345678",
            "tel:4915112345678",
        ],
    )
    @pytest.mark.parametrize("text", ["{}", "no conversation of {}", "to={}, twice", "'{}'", "({})", "{}."])
    def test_a_number_without_a_plus_sign_is_covered_too(self, number: str, text: str):
        """As people and other systems write it."""
        digits = "".join(filter(str.isdigit, redacted(text.format(number))))

        assert digits == ""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("+49 151 12345678,anna@customer.example", "[private][private]"),
            ("0151 2345 6789;anna@customer.example", "[private][private]"),
            ("+49 151 12345678/anna@customer.example", "[private][private]"),
            ('0151 2345 6789,"anna b"@customer.example', "[private],[private]"),
            ("0151 2345 6789\t/ anna@customer.example", "[private]\t/ [private]"),
            ("12345,anna@customer.example", "[private]"),
            ("12345678,anna@customer.example", "[private]"),
            ("0151 2345,anna@customer.example", "0151 [private]"),
            ("1234567890123456789,anna@customer.example", "[private]"),
            ("1234 5678 9012 3456 78/anna@customer.example", "1234 5678 9012 3456 [private]"),
            ("anna@customer.example,0151 2345 6789", "[private][private]"),
            ("anna@customer.example,bob@customer.example", "[private]"),
            ("anna+4915112345678@customer.example", "[private]"),
        ],
    )
    def test_an_address_beside_a_number_is_covered_like_the_number(self, text: str, shown: str):
        """Too few or too many digits for a number, too, hide no address."""
        assert redacted(text) == shown

    @given(
        number=st.sampled_from(["1", "12345", "0151 2345 6789", "+49 151 12345678", "(030) 123-456-78", "1 " * 20]),
        between=st.text(st.sampled_from(",;/.-()+ \t:|&"), max_size=3),
        suffix=st.text(max_size=10),
    )
    def test_no_address_survives_behind_any_number(self, number: str, between: str, suffix: str):
        """Whatever stands between them."""
        shown = redacted(f"{number}{between}anna@customer.example {suffix}")

        assert "anna" not in shown
        assert "customer.example" not in shown

    @pytest.mark.parametrize("field", ["message_sid", "conversation_id", "batch_id"])
    def test_an_id_may_be_a_number(self, field: str):
        """A line that cannot be found by its conversation is of no use."""
        assert redacted("4915112345678", field) == "4915112345678"
        assert redacted("+4915112345678", field) == "[private]"

    @pytest.mark.parametrize(
        "innocent",
        [
            "arn:aws:sqs:eu-west-1:123456789012:replies-engine-prod-ai",
            "s3://replies-engine-prod-attachments-123456789012/acme/1",
            "123e4567-e89b-12d3-a456-426614174000",
            "the request is larger than 10485760 bytes",
            "from 2026-01-01 00:00:00 on",
            "SM0123456789abcdef0123456789abcdef",
            "0123456789abcdef0123456789abcdef",
            "1-5759e988-bd862e3fe1be46a994272793",
            "2026-01-01T00:00:00.000000+00:00",
            "conversation-4711",
            "PutItem conversations-stage-prod: ResourceNotFoundException",
            "ai-multi-comms/whatsapp-credentials/acme/main/twilio-prod",
            "KeyError at webhooks.py:231 < receiving.py:99",
        ],
    )
    def test_what_finds_a_message_again_is_left_as_it_is(self, innocent: str):
        """Ids, resources, places and instants."""
        assert redacted(innocent) == innocent


class TestMetrics:
    def test_a_metric_is_a_blob_in_detail_and_summed_up_for_the_stage(self, capsys: pytest.CaptureFixture[str]):
        """In CloudWatch's embedded format: the log line is the metric."""
        telemetry = CloudWatch("dev", "ERROR")

        telemetry.count({Metric.STAGED: 2}, channel="whatsapp", outcome="handoff")

        (blob,) = lines(capsys)
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "replies-engine"
        assert [set(names) for names in directive["Dimensions"]] == [{"stage", "channel", "outcome"}, {"stage"}]
        assert [set(names) for names in DIMENSIONS] == [set(names) for names in directive["Dimensions"]]
        assert directive["Metrics"] == [{"Name": "Staged", "Unit": "Count"}]
        assert (blob["stage"], blob["channel"], blob["outcome"], blob["Staged"]) == (
            "dev",
            "whatsapp",
            "handoff",
            2,
        )

    def test_metrics_of_one_outcome_share_a_line(self, capsys: pytest.CaptureFixture[str]):
        """The head of a blob is most of it."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.count({Metric.DISPATCHED: 1, Metric.RECEIPT_TO_DISPATCH: 11.5}, channel="sms")

        (blob,) = lines(capsys)
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Metrics"] == [
            {"Name": "Dispatched", "Unit": "Count"},
            {"Name": "ReceiptToDispatch", "Unit": "Seconds"},
        ]
        assert (blob["Dispatched"], blob["ReceiptToDispatch"]) == (1, 11.5)

    def test_what_is_not_known_is_a_dimension_too(self, capsys: pytest.CaptureFixture[str]):
        """One metric has one set of dimensions, so that an alarm finds it."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.count({Metric.DEAD_LETTER: 1})

        (blob,) = lines(capsys)
        assert (blob["channel"], blob["outcome"], blob["DeadLetter"]) == ("none", "none", 1)

    def test_a_word_that_is_not_listed_is_no_dimension(self, capsys: pytest.CaptureFixture[str]):
        """Neither an outcome nor a channel."""
        CloudWatch("dev", "INFO").count({Metric.REPLY_REFUSED: 1}, channel="+4915112345678", outcome="30003")

        (blob,) = lines(capsys)
        assert (blob["channel"], blob["outcome"]) == ("other", "other")

    def test_a_wait_is_in_seconds(self, capsys: pytest.CaptureFixture[str]):
        """Everything else is counted."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.count({Metric.WINDOW_WAIT: 10.5})

        (blob,) = lines(capsys)
        assert blob["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "WindowWait", "Unit": "Seconds"}]

    def test_each_metric_and_each_step_has_a_name_of_its_own(self):
        """They are what alarms and searches are made of."""
        assert len({metric.value for metric in Metric}) == len(Metric.__members__)
        assert len({step.value for step in Step}) == len(Step.__members__)


class TestTrail:
    def test_a_line_carries_what_is_known_by_then(self):
        """And nothing of what is learned later; the milliseconds grow."""
        telemetry, clock = RecordingTelemetry(), FakeClock()
        trail = Trail(telemetry, clock, request_id="r-1")

        trail.log(Step.RECEIVED)
        trail.bind(tenant="acme", channel="sms")
        clock.advance(0.25)
        trail.log(Step.STAGED, route="channel")
        trail.count(Metric.RECEIVED)

        first, second = telemetry.lines
        assert first == {"step": "received", "level": "info", "request_id": "r-1", "milliseconds": 0}
        assert second == {
            "step": "staged",
            "level": "info",
            "request_id": "r-1",
            "milliseconds": 250,
            "tenant": "acme",
            "channel": "sms",
            "route": "channel",
        }
        assert telemetry.counts == [("Received", 1, "sms", "none")]

    def test_where_the_work_came_from_is_told_once(self):
        """In the first line from INFO on, and again in warnings and errors, which alone name the queue's message."""
        telemetry = RecordingTelemetry()
        trail = Trail(telemetry, FakeClock(), request_id="r-1", sqs_message_id="m-1", xray_trace_id="1-2", attempt=3)

        for level in (Level.DEBUG, Level.INFO, Level.INFO, Level.WARNING):
            trail.log(Step.STAGED, level)
        trail.fault(Step.FAILED, KeyError())

        assert {line["request_id"] for line in telemetry.lines} == {"r-1"}
        told = [(line.get("sqs_message_id"), line.get("attempt")) for line in telemetry.lines]
        assert told == [(None, None), (None, 3), (None, None), ("m-1", 3), ("m-1", 3)]

    def test_each_of_several_things_tells_where_it_came_from(self):
        """A reader finds a conversation's own lines."""
        telemetry = RecordingTelemetry()
        trail = Trail(telemetry, FakeClock(), xray_trace_id="1-2")

        for number in ("1", "2"):
            trail.with_fields(trigger_id=number).log(Step.STAGED)

        assert [(line["xray_trace_id"], line["trigger_id"]) for line in telemetry.lines] == [
            ("1-2", "1"),
            ("1-2", "2"),
        ]

    def test_a_trail_of_its_own_teaches_the_other_nothing(self):
        """One of several conversations in one invocation; its time begins with it."""
        telemetry, clock = RecordingTelemetry(), FakeClock()
        trail = Trail(telemetry, clock, request_id="r-1")
        clock.advance(1)

        own = trail.with_fields(conversation_id="c-1")
        own.bind(tenant="acme")
        trail.log(Step.SWEPT)
        own.fault(Step.FAILED, KeyError())

        swept, failed = telemetry.lines
        assert swept == {"step": "swept", "level": "info", "request_id": "r-1", "milliseconds": 1_000}
        assert (failed["conversation_id"], failed["milliseconds"]) == ("c-1", 0)
        assert own.request_id == "r-1"

    def test_a_field_without_a_value_is_left_out(self):
        """Known from the beginning, learned later, or of one line."""
        telemetry = RecordingTelemetry()
        trail = Trail(telemetry, FakeClock(), request_id="r-1", xray_trace_id=None)

        trail.bind(attempt=None)
        trail.log(Step.RELEASED, code=None, count=1)

        (line,) = telemetry.lines
        assert line == {"step": "released", "level": "info", "request_id": "r-1", "milliseconds": 0, "count": 1}
