"""What an operator sees, and what nobody sees: no words of a foreign error, no number, no text."""

from __future__ import annotations

import json
import logging
from typing import get_type_hints

import pytest

from chalicelib.errors import Code, Misconfigured, TryAgain
from chalicelib.observability import SERVICE, CloudWatch, Fields, Level, Metric, Step, Trail, describe
from tests.world import RecordingTelemetry


@pytest.fixture(autouse=True)
def _fresh_logger() -> None:
    """A logger is kept for the life of a process, with the standard output that it first saw."""
    logging.Logger.manager.loggerDict.pop(SERVICE, None)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


class TestLines:
    def test_a_line_is_json_and_carries_its_step_stage_and_fields(self, capsys: pytest.CaptureFixture[str]):
        """One line per step of the flow."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.log(Step.DISPATCHED, batch_id="b-1", count=3)

        (line,) = lines(capsys)
        assert (line["message"], line["step"], line["stage"], line["level"]) == (
            "dispatched",
            "dispatched",
            "dev",
            "INFO",
        )
        assert (line["batch_id"], line["count"], line["service"]) == ("b-1", 3, "replies-engine")

    @pytest.mark.parametrize(("level", "count"), [("DEBUG", 5), ("INFO", 4), ("WARNING", 3), ("ERROR", 2)])
    def test_lines_below_the_level_are_not_written(self, capsys: pytest.CaptureFixture[str], level: str, count: int):
        """As the stage's setting says."""
        telemetry = CloudWatch("dev", level)

        for loudness in Level:
            telemetry.log(Step.RECEIVED, loudness)

        assert len(lines(capsys)) == count

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
        assert "test_observability.py:" in line["reason"]
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

    def test_a_line_has_no_field_for_a_text_or_an_address(self):
        """What is not in the list cannot be logged."""
        allowed = set(get_type_hints(Fields))

        assert not allowed & {"body", "text", "sender", "recipient", "address", "number", "primary_channel", "secret"}


class TestMetrics:
    def test_a_metric_is_a_blob_by_stage_channel_and_outcome(self, capsys: pytest.CaptureFixture[str]):
        """In CloudWatch's embedded format: the log line is the metric."""
        telemetry = CloudWatch("dev", "ERROR")

        telemetry.count(Metric.STAGED, 2, channel="whatsapp", outcome="handoff")

        (blob,) = lines(capsys)
        (directive,) = blob["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "replies-engine"
        assert sorted(directive["Dimensions"][0]) == ["channel", "outcome", "stage"]
        assert directive["Metrics"] == [{"Name": "Staged", "Unit": "Count"}]
        assert (blob["stage"], blob["channel"], blob["outcome"], blob["Staged"]) == (
            "dev",
            "whatsapp",
            "handoff",
            [2.0],
        )

    def test_what_is_not_known_is_a_dimension_too(self, capsys: pytest.CaptureFixture[str]):
        """One metric has one set of dimensions, so that an alarm finds it."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.count(Metric.DEAD_LETTER)

        (blob,) = lines(capsys)
        assert (blob["channel"], blob["outcome"], blob["DeadLetter"]) == ("none", "none", [1.0])

    def test_a_wait_is_in_seconds(self, capsys: pytest.CaptureFixture[str]):
        """Everything else is counted."""
        telemetry = CloudWatch("dev", "INFO")

        telemetry.count(Metric.WINDOW_WAIT, 10.5)

        (blob,) = lines(capsys)
        assert blob["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "WindowWait", "Unit": "Seconds"}]

    def test_each_metric_and_each_step_has_a_name_of_its_own(self):
        """They are what alarms and searches are made of."""
        assert len({metric.value for metric in Metric}) == len(Metric.__members__)
        assert len({step.value for step in Step}) == len(Step.__members__)


class TestTrail:
    def test_a_line_carries_what_is_known_by_then(self):
        """And nothing of what is learned later."""
        telemetry = RecordingTelemetry()
        trail = Trail(telemetry, request_id="r-1")

        trail.log(Step.RECEIVED)
        trail.learn(tenant="acme", channel="sms")
        trail.log(Step.STAGED, route="channel")
        trail.count(Metric.STAGED)

        first, second = telemetry.lines
        assert first == {"step": "received", "level": "info", "request_id": "r-1"}
        assert second == {
            "step": "staged",
            "level": "info",
            "request_id": "r-1",
            "tenant": "acme",
            "channel": "sms",
            "route": "channel",
        }
        assert telemetry.counts == [("Staged", 1, "sms", "none")]

    def test_a_trail_of_its_own_teaches_the_other_nothing(self):
        """One of several conversations in one invocation."""
        telemetry = RecordingTelemetry()
        trail = Trail(telemetry, request_id="r-1")

        own = trail.with_fields(conversation_id="c-1")
        own.learn(tenant="acme")
        trail.log(Step.SWEPT)

        assert telemetry.lines == [{"step": "swept", "level": "info", "request_id": "r-1"}]
        assert own.request_id == "r-1"
