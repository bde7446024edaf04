"""The local workers hand the app what Lambda hands it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from chalice.app import Rate

from local.worker import function_size, schedule_event, seconds_between, sqs_event

RECEIVED = {
    "MessageId": "id-1",
    "ReceiptHandle": "handle-1",
    "Body": '{"trigger_id": "t"}',
    "MD5OfBody": "0",
    "Attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1795320774644", "MessageGroupId": "company-a"},
    "MessageAttributes": {"reason": {"DataType": "String", "StringValue": "because"}},
}


def test_a_queues_event_has_the_shape_of_an_event_source_mapping():
    """Every key that Lambda sends is there, under Lambda's spelling of it."""
    event = sqs_event("some-queue", [RECEIVED])

    (record,) = event["Records"]

    assert record == {
        "messageId": "id-1",
        "receiptHandle": "handle-1",
        "body": RECEIVED["Body"],
        "attributes": RECEIVED["Attributes"],
        "messageAttributes": {
            "reason": {
                "stringValue": "because",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            }
        },
        "md5OfBody": "0",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:000000000000:some-queue",
        "awsRegion": "eu-west-1",
    }


def test_a_schedules_event_has_the_shape_of_a_rule_that_fired():
    """The event is a scheduled one, tells when in whole seconds, and has an empty detail."""
    now = datetime(2026, 11, 22, 4, 0, 0, 123456, tzinfo=UTC)

    event = schedule_event("recover", now)

    assert event["source"] == "aws.events"
    assert event["detail-type"] == "Scheduled Event"
    assert event["time"] == "2026-11-22T04:00:00Z"
    assert event["resources"][0].startswith("arn:aws:events:")
    assert event["detail"] == {}


@pytest.mark.parametrize(
    ("expression", "seconds"),
    [(Rate(1, Rate.MINUTES), 60), (Rate(5, Rate.MINUTES), 300), ("rate(2 hours)", 7_200), ("rate(1 day)", 86_400)],
)
def test_a_rate_is_kept_in_seconds(expression, seconds):
    """A rate of the app, spelled by Chalice or by hand, fires that often."""
    told = expression

    between = seconds_between(told)

    assert between == seconds


def test_a_schedule_that_cannot_be_kept_is_refused():
    """A cron expression is an error at once and not a schedule that never fires."""
    expression = "cron(0 12 * * ? *)"

    with pytest.raises(ValueError, match="rates"):
        seconds_between(expression)


def test_a_handler_gets_the_size_that_the_configuration_gives_its_function():
    """The context's memory and timeout are those of the deployed function, or of the app where it has none."""
    stage = "local"

    sizes = {name: function_size(stage, name) for name in ("batch_sms", "no_such_function")}

    assert sizes == {"batch_sms": (512, 30), "no_such_function": (512, 15)}
