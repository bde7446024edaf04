"""All that a whole run writes: it tells every step, and nothing that is a customer's or a secret."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout

import pytest

from chalicelib import wiring
from chalicelib.channels.sender import InDoubt, TemporaryFailure
from chalicelib.telemetry import Level, Step
from tests.app.conftest import Deployment, fresh_process
from tests.fakes.clock import FakeClock
from tests.fakes.faults import FaultPlan
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, CUSTOMER, KEY, Phone

PRIVATE = ("top-secret-words", "my iban is", "https://media.example/1", "Profile of Ann")


def sid(number: int) -> str:
    return f"SM{number:032x}"


def play(deployment: Deployment) -> None:
    """An evening: messages, a retry, a forgery, strangers, people, a lock, a crash's remains and bad triggers."""
    first = deployment.form(PRIVATE[0], sid=sid(1), ProfileName=PRIVATE[3])
    deployment.post(first)
    deployment.post(first)
    deployment.post(deployment.form("", sid=sid(2), MediaUrl0=PRIVATE[2], MediaContentType0="image/png"))
    deployment.post(deployment.form(PRIVATE[0], sid=sid(3)), token="forged")
    deployment.post(deployment.form(PRIVATE[0], sid=sid(4), From="whatsapp:+49999999999999"))
    deployment.post(deployment.form(PRIVATE[0], sid=sid(5), To="whatsapp:+49989898989898"))
    deployment.send(b"Body=top-secret-words&From=%2B4915112345678", {})
    url = deployment.sqs.get_queue_url(QueueName="replies-engine-local-whatsapp")["QueueUrl"]
    deployment.sqs.send_message(
        QueueUrl=url, MessageBody='{"primary_channel": "+4915112345678"}', MessageGroupId="acme"
    )
    deployment.run_worker("whatsapp")
    deployment.post(deployment.form(PRIVATE[1], sid=sid(6)))
    deployment.run_worker("whatsapp")
    deployment.seed(processing_started_at="2026-01-01T00:00:00.000000+00:00")
    deployment.run_schedules()
    deployment.run_worker("whatsapp")
    play_replies(deployment)
    deployment.run_worker("whatsapp")  # the STOP and the START take their turn
    deployment.seed(auto_queue_reply_message=True)
    deployment.post(deployment.form(PRIVATE[1], sid=sid(7)))
    deployment.seed(project_status="closed")
    deployment.post(deployment.form(PRIVATE[1], sid=sid(8)))
    deployment.seed(unanswered_ids="of a strange shape")
    deployment.post(deployment.form(PRIVATE[1], sid=sid(9)))


def play_replies(deployment: Deployment) -> None:
    """Replies that are malformed, wait for the provider, are in doubt, sent, second; a report; STOP and START."""
    phone = Phone(FakeClock(), FaultPlan())
    phone.outcomes = [TemporaryFailure("20429"), InDoubt()]
    vars(wiring.engine())["senders"] = dict.fromkeys(("whatsapp", "sms"), phone)
    key = {"conversation_id": KEY.conversation_id, "primary_channel": KEY.primary_channel}
    reply = {**key, "batch_id": deployment.row["last_batch_id"], "body": PRIVATE[0]}
    person = {**key, "source": "human", "reply_id": "r-1", "body": PRIVATE[1]}
    deployment.send_replies("no json " + PRIVATE[0], json.dumps({**key, "body": PRIVATE[0]}))
    deployment.send_replies(json.dumps(reply))
    deployment.send_human_replies(json.dumps(person))
    deployment.send_replies(json.dumps(reply))
    deployment.send_replies(json.dumps({**reply, "body": PRIVATE[1]}))
    (send_id,) = {row["send_id"] for row in deployment.rows("sends") if row["reply_id"] != "r-1"}
    report = {"MessageSid": sid(1), "AccountSid": ACCOUNT_SID, "MessageStatus": "sent", "To": f"whatsapp:{CUSTOMER}"}
    deployment.post(report, path=f"/webhooks/twilio/status/{send_id}")
    deployment.post({**report, "ErrorCode": "21610"}, path=f"/webhooks/twilio/status/{send_id}")
    deployment.post(deployment.form("STOP", sid=sid(11), OptOutType="STOP"))
    deployment.post(deployment.form("START", sid=sid(12), OptOutType="START"))


@pytest.fixture(scope="module")
def out(stack: Deployment) -> str:
    """Everything that the evening wrote."""
    written = io.StringIO()
    fresh_process()
    stack.seed()
    with redirect_stdout(written), redirect_stderr(written):
        play(stack)
    fresh_process()
    return written.getvalue()


@pytest.fixture(scope="module")
def lines(out: str) -> list[dict]:
    """The log lines, metrics left out."""
    told = [json.loads(line) for line in out.splitlines()]
    return [line for line in told if "_aws" not in line]


def test_nothing_but_json_lines_is_written(out: str):
    """Each is a log line or a metric."""
    strange = [line for line in out.splitlines() if not line.startswith("{")]

    assert strange == []


def test_the_evening_visits_most_steps(lines: list[dict]):
    """So that what holds of its lines holds of something."""
    visited = {line["step"] for line in lines}

    assert visited >= {
        step.value
        for step in (
            Step.RECEIVED,
            Step.REFUSED,
            Step.STAGED,
            Step.DUPLICATE,
            Step.TRIGGERED,
            Step.ANSWERED,
            Step.ACQUIRED,
            Step.DISPATCHED,
            Step.SETTLED,
            Step.HANDED_OFF,
            Step.CONTENDED,
            Step.DEAD_LETTER,
            Step.RESET,
            Step.SWEPT,
            Step.CLAIMED,
            Step.SENT,
            Step.IN_DOUBT,
            Step.RELEASED,
            Step.REPLY_REFUSED,
            Step.REPORTED,
            Step.OPT_OUT,
            Step.FAILED,
        )
    }


@pytest.mark.parametrize(
    "private",
    [
        *PRIVATE,
        CUSTOMER,
        CUSTOMER[1:],
        COMPANY,
        COMPANY[1:],
        "49999999999999",
        "49989898989898",
        AUTH_TOKEN,
        "forged",
        ACCOUNT_SID,
    ],
)
def test_no_message_number_or_secret_is_written(out: str, private: str):
    """Neither in a line nor in a metric; media and names of people are the customer's too."""
    assert private not in out


def test_each_line_carries_its_step_and_what_finds_it(lines: list[dict]):
    """The request's id or the message's."""
    lost = [line for line in lines if not line.get("step") or not (line.get("request_id") or line.get("message_sid"))]

    assert lost == []


def test_each_line_tells_how_far_its_message_has_come(lines: list[dict]):
    """In whole milliseconds."""
    assert all(isinstance(line["milliseconds"], int) and line["milliseconds"] >= 0 for line in lines)


def test_a_queue_s_message_is_told_where_something_is_wrong_with_it(lines: list[dict]):
    """By its id, in warnings and errors alone."""
    dead = [line for line in lines if line["step"] == Step.DEAD_LETTER]
    quiet = [line for line in lines if line["level"] == Level.INFO.upper()]

    assert dead
    assert all(line.get("sqs_message_id", "none") != "none" for line in dead)
    assert quiet
    assert all("sqs_message_id" not in line for line in quiet)


def test_each_line_of_a_message_carries_its_sid_once_it_is_parsed(lines: list[dict]):
    """By request: from the line that received it on."""
    by_request: dict[str, list[dict]] = {}
    for line in lines:
        by_request.setdefault(line["request_id"], []).append(line)
    of_messages = [steps for steps in by_request.values() if steps[0]["step"] == Step.RECEIVED.value]

    assert len(of_messages) == 12
    assert all(line.get("message_sid") for steps in of_messages for line in steps)
    assert all(steps[-1]["step"] == Step.ANSWERED.value for steps in of_messages)


def test_each_line_of_a_conversation_carries_its_tenant(lines: list[dict]):
    """Where the conversation is known, whose it is is known too."""
    without = [
        (line["step"], line.get("reason")) for line in lines if "conversation_id" in line and "tenant" not in line
    ]

    assert without == []


def test_each_line_of_a_batch_carries_its_conversation(lines: list[dict]):
    """And its batch, so that a batch can be followed."""
    steps = {Step.ACQUIRED.value, Step.DISPATCHED.value, Step.CONTENDED.value, Step.RESET.value}

    told = [line for line in lines if line["step"] in steps]

    assert {line["conversation_id"] for line in told} == {KEY.conversation_id}
    assert all(line["batch_id"] for line in told)


def test_an_error_line_names_what_we_must_mend(lines: list[dict]):
    """By its code and our own words."""
    errors = [line for line in lines if line["level"] == "ERROR"]

    assert errors
    assert all(line.get("code") or line.get("reason") for line in errors)
