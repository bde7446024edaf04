"""What is watched exists: each alarm and each line of the dashboard is about something that the code or AWS tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest
from chalice.app import ScheduledEventConfig
from moto import mock_aws

from app import app
from chalicelib.settings import SWEEP_ORPHANS_MINUTES, SWEEP_STALLED_MINUTES
from chalicelib.telemetry import Metric
from chalicelib.telemetry.metrics import DIMENSIONS
from chalicelib.telemetry.writer import SERVICE
from infrastructure import access_logs
from infrastructure.stages import stages
from infrastructure.template import MONITORING_FILE, TEMPLATE_FILE, load, resources
from tests.world import settings_of

ROOT = Path(__file__).parents[2]
STAGE = "dev"
PREFIX = f"{app.app_name}-{STAGE}"
TOPIC = "arn:aws:sns:eu-central-1:000000000000:night"


class Watched(NamedTuple):
    """One metric that somebody looks at."""

    namespace: str
    name: str
    dimensions: dict[str, str]


FOUND = resources(MONITORING_FILE, STAGE)
ALARMS: dict[str, dict[str, Any]] = {
    one.properties["AlarmName"].removeprefix(f"{PREFIX}-"): one.properties
    for one in FOUND.values()
    if one.kind == "AWS::CloudWatch::Alarm"
}
"""Each alarm by its name less the stage's prefix."""
BOARD: dict[str, Any] = FOUND["Dashboard"].properties["DashboardBody"]["Fn::ToJsonString"]

FUNCTIONS = {PREFIX, *(f"{PREFIX}-{source.name}" for source in app.event_sources)}
"""As Chalice names them: the one behind the API has no name of its own."""


def watched_by(alarm: dict[str, Any]) -> list[Watched]:
    """What an alarm looks at; several where it calculates."""
    plain = [one["MetricStat"]["Metric"] for one in alarm.get("Metrics", []) if "MetricStat" in one] or [alarm]
    dimensions = [{pair["Name"]: pair["Value"] for pair in one.get("Dimensions", ())} for one in plain]
    return [Watched(one["Namespace"], one["MetricName"], of) for one, of in zip(plain, dimensions, strict=True)]


def watched_on_board() -> Iterator[Watched]:
    """What the dashboard shows, line by line."""
    for widget in BOARD["widgets"]:
        for line in widget["properties"]["metrics"]:
            if isinstance(line[0], str):
                namespace, name, *rest = [one for one in line if isinstance(one, str)]
                yield Watched(namespace, name, dict(zip(rest[::2], rest[1::2], strict=True)))
                continue
            schema, name, stage = re.fullmatch(
                r"SEARCH\('\{(.*)\} MetricName=\"(\w+)\" stage=\"(\w+)\"', '\w+'\)", line[0]["expression"]
            ).groups()
            namespace, *dimensions = [part.strip('"') for part in schema.split(",")]
            yield Watched(namespace, name, {one: stage if one == "stage" else "*" for one in dimensions})


EVERYTHING = [*(one for alarm in ALARMS.values() for one in watched_by(alarm)), *watched_on_board()]

OF_LOGS = {
    (one["MetricNamespace"], one["MetricName"], tuple(pair["Key"] for pair in one.get("Dimensions", ())))
    for found in resources(TEMPLATE_FILE, STAGE).values()
    if found.kind == "AWS::Logs::MetricFilter"
    for one in found.properties["MetricTransformations"]
}
"""What is counted in logs: namespace, name and the names of the dimensions."""

OF_AWS = {
    "AWS/Lambda": ({"Errors", "Invocations", "Throttles", "Duration"}, ["FunctionName"]),
    "AWS/SQS": ({"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"}, ["QueueName"]),
    "AWS/ApiGateway": ({"Count", "4XXError", "5XXError", "Latency"}, ["ApiName", "Stage"]),
    "AWS/DynamoDB": ({"ReadThrottleEvents", "WriteThrottleEvents"}, ["TableName"]),
}


class TestWhatIsWatched:
    @pytest.mark.parametrize("one", [one for one in EVERYTHING if one.namespace == SERVICE], ids=str)
    def test_a_metric_of_ours_is_one_that_the_code_tells_under_these_dimensions(self, one: Watched):
        """An alarm on a misspelt name, or on dimensions that nobody sends, never rings."""
        assert one.name in set(Metric)
        assert set(one.dimensions) in [set(names) for names in DIMENSIONS]
        assert one.dimensions["stage"] == STAGE

    def test_a_metric_that_is_counted_in_a_log_is_watched_as_it_is_counted(self):
        """An alarm on another name or dimension never rings; and each is on the dashboard and has an alarm."""
        counted = {(*one[:2], tuple(one.dimensions)) for one in EVERYTHING if one.namespace.startswith(f"{SERVICE}/")}
        alarmed = {one.name for alarm in ALARMS.values() for one in watched_by(alarm)}
        shown = {one.name for one in watched_on_board()}

        assert counted == OF_LOGS
        assert {name for _, name, _ in OF_LOGS} <= alarmed & shown

    def test_a_413_is_counted_as_the_access_log_spells_it(self):
        """In the group that the API logs to, and in a namespace of its stage: each stage has an alarm of its own."""
        template = resources(TEMPLATE_FILE, STAGE)
        properties = template["TooLargeFilter"].properties
        line = json.loads(access_logs.FORMAT)

        selected = re.fullmatch(r"\{ \$\.(\w+) = \"413\" \}", properties["FilterPattern"])
        (counted,) = properties["MetricTransformations"]

        assert selected is not None
        assert line[selected[1]] == "$context.status"
        assert counted["MetricNamespace"] == f"{SERVICE}/api/{STAGE}"
        group = template[properties["LogGroupName"]].properties
        assert group["LogGroupName"] == access_logs.group(stages()[STAGE])

    @pytest.mark.parametrize("one", [one for one in EVERYTHING if one.namespace.startswith("AWS/")], ids=str)
    def test_a_metric_of_aws_is_one_that_it_tells_of_something_that_is_there(self, one: Watched):
        """Functions by Chalice's names, queues and tables by the template's, the API by the app's and its stage's."""
        template = load(STAGE)
        config = json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"][STAGE]
        known = {
            "FunctionName": FUNCTIONS,
            "QueueName": set(template.queues),
            "TableName": set(template.tables),
            "ApiName": {app.app_name},
            "Stage": {config["api_gateway_stage"]},
        }

        names, dimensions = OF_AWS[one.namespace]

        assert one.name in names
        assert list(one.dimensions) == dimensions
        assert all(value in known[name] for name, value in one.dimensions.items())

    def test_every_metric_of_ours_is_on_the_dashboard(self):
        """What is counted and never looked at need not be counted."""
        shown = {one.name for one in watched_on_board() if one.namespace == SERVICE}

        assert shown == set(Metric)

    @pytest.mark.parametrize("kind", ["Errors", "Throttles"])
    def test_every_function_has_its_alarm(self, kind: str):
        """One that is added to app.py is added here."""
        watched = [one for alarm in ALARMS.values() for one in watched_by(alarm) if one.name == kind]

        assert sorted(one.dimensions["FunctionName"] for one in watched) == sorted(FUNCTIONS)

    def test_every_queue_has_an_alarm_on_its_age_and_one_on_its_dead_letters(self):
        """One that is added to the template is added here."""
        queues = load(STAGE).queues
        watched = [
            (one.name, one.dimensions["QueueName"])
            for alarm in ALARMS.values()
            for one in watched_by(alarm)
            if one.namespace == "AWS/SQS"
        ]

        assert sorted(watched) == sorted(
            ("ApproximateNumberOfMessagesVisible" if name.endswith("-dlq") else "ApproximateAgeOfOldestMessage", name)
            for name in queues
        )

    def test_every_schedule_is_missed_when_it_is_silent(self):
        """A sweep that never runs makes no errors; the alarm waits for longer than the schedule's own interval."""
        schedules = {f"{PREFIX}-{one.name}" for one in app.event_sources if isinstance(one, ScheduledEventConfig)}

        silent = [alarm for name, alarm in ALARMS.items() if name.endswith("-silent")]

        assert {watched_by(alarm)[0].dimensions["FunctionName"] for alarm in silent} == schedules
        assert all(alarm["TreatMissingData"] == "breaching" for alarm in silent)
        assert all(alarm["Period"] > 60 * max(SWEEP_STALLED_MINUTES, SWEEP_ORPHANS_MINUTES) for alarm in silent)


class TestAlarms:
    def test_one_invocation_in_a_hundred_may_fail(self):
        """Over five minutes; a function that was not called has no errors."""
        alarm = ALARMS["batch_sms-errors"]

        (percent,) = [one["Expression"] for one in alarm["Metrics"] if one["ReturnData"]]

        assert (percent, alarm["Threshold"]) == ("IF(invocations > 0, 100 * errors / invocations, 0)", 1)
        assert {one["MetricStat"]["Period"] for one in alarm["Metrics"] if "MetricStat" in one} == {300}

    @pytest.mark.parametrize("queue", ["whatsapp", "sms", "email", "ai-replies", "human-replies"])
    def test_a_queue_of_ours_may_be_as_old_as_its_longest_delay_and_a_crash(self, queue: str):
        """A trigger waits for its window, then for the longest requeue; its worker may die once."""
        settings = settings_of(())
        longest = (
            settings.batch_max_wait_seconds
            + max(settings.requeue_delay(attempt) for attempt in range(1, 20))
            + settings.visibility_timeout_seconds
        )

        assert longest < ALARMS[f"{queue}-age"]["Threshold"] < 2 * longest

    def test_the_ai_is_missed_before_its_batches_stall(self):
        """When the reset comes the customer has waited for nothing."""
        assert ALARMS["ai-age"]["Threshold"] < settings_of(()).stall_timeout_seconds

    def test_a_slow_reply_is_missed_before_its_batch_stalls(self):
        """A stalled batch is in this figure no more; an ordinary burst and an ordinary AI are far below."""
        settings, alarm = settings_of(()), ALARMS["ReceiptToReply"]

        assert 2 * settings.batch_max_wait_seconds < alarm["Threshold"] < settings.stall_timeout_seconds
        assert alarm["ExtendedStatistic"] == "p95"

    def test_a_window_up_to_400_seconds_rings_no_age(self):
        """A company's policy may ask for more; docs/operations.md says which figure to raise then."""
        visibility = settings_of(()).visibility_timeout_seconds

        assert all(400 + visibility < ALARMS[f"{queue}-age"]["Threshold"] for queue in ("whatsapp", "sms", "email"))

    def test_what_nobody_tells_is_well_but_for_the_sweeps(self):
        """A night without messages is a quiet night."""
        missing = {name: alarm["TreatMissingData"] for name, alarm in ALARMS.items() if not name.endswith("-silent")}

        assert set(missing.values()) == {"notBreaching"}

    def test_a_topic_is_told_of_the_alarm_and_of_its_end(self):
        """Where there is one; else nobody is."""
        with_topic = resources(MONITORING_FILE, STAGE, AlarmTopicArn=TOPIC)

        told = [one.properties for one in with_topic.values() if one.kind == "AWS::CloudWatch::Alarm"]

        assert [(one["AlarmActions"], one["OKActions"]) for one in told] == [([TOPIC], [TOPIC])] * len(ALARMS)
        assert not any("AlarmActions" in one or "OKActions" in one for one in ALARMS.values())

    def test_two_stages_share_no_name(self):
        """They may stand in one account."""
        other = resources(MONITORING_FILE, "prod")

        names = {json.dumps(one.properties) for one in other.values()}

        assert not any(f"{PREFIX}" in one or f"-{STAGE}" in one for one in names)

    def test_cloudwatch_takes_every_alarm_and_the_dashboard(self):
        """As botocore knows its parameters, and moto its rules."""
        with mock_aws():
            cloudwatch = boto3.client("cloudwatch", region_name="eu-central-1")

            for alarm in ALARMS.values():
                cloudwatch.put_metric_alarm(**alarm)
            cloudwatch.put_dashboard(DashboardName=PREFIX, DashboardBody=json.dumps(BOARD))

            assert len(cloudwatch.describe_alarms(MaxRecords=100)["MetricAlarms"]) == len(ALARMS)


class TestDashboard:
    def test_no_two_widgets_lie_upon_each_other(self):
        """And none reaches over the edge: CloudWatch's board is 24 wide."""
        areas = [(one["x"], one["y"], one["x"] + one["width"], one["y"] + one["height"]) for one in BOARD["widgets"]]

        assert all(right <= 24 for _, _, right, _ in areas)
        for (x, y, right, bottom), (other_x, other_y, other_right, other_bottom) in combinations(areas, 2):
            assert right <= other_x or other_right <= x or bottom <= other_y or other_bottom <= y

    def test_each_widget_says_what_it_shows(self):
        """In words, and each in its own."""
        titles = [one["properties"]["title"] for one in BOARD["widgets"]]

        assert all(titles)
        assert len(set(titles)) == len(titles)


class TestPage:
    def test_what_is_counted_in_a_log_is_on_the_page_of_metrics(self):
        """Namespace and name."""
        page = (ROOT / "docs" / "metrics.md").read_text().partition("### Counted in the API's access log")[2]

        for namespace, name, dimensions in OF_LOGS:
            assert re.search(rf"^\| `{name}` \|", page, re.MULTILINE)
            assert all(f"`{one}`" in page for one in (namespace.replace(STAGE, "<stage>"), *dimensions))

    def test_every_alarm_has_its_section_and_every_section_its_alarm(self):
        """What to do at night is written down for what rings, under its name."""
        page = (ROOT / "docs" / "operations.md").read_text().partition("\n## The alarms\n")[2].partition("\n## ")[0]

        headings = [name for heading in re.findall(r"^### (.*)$", page, re.MULTILINE) for name in heading.split(", ")]

        assert sorted(headings) == sorted(f"`{name}`" for name in ALARMS)

    def test_every_section_says_what_to_do(self):
        """More than its heading."""
        page = (ROOT / "docs" / "operations.md").read_text().partition("\n## The alarms\n")[2].partition("\n## ")[0]

        sections = re.split(r"^### .*$", page, flags=re.MULTILINE)[1:]

        assert all("**Do**" in section and "**Means**" in section for section in sections)
