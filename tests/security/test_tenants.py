"""A company reaches what is its own: its replies, its secrets, and the queue of its people."""

from __future__ import annotations

import fnmatch
import json
from typing import Any

import pytest

from chalicelib.telemetry import Metric
from infrastructure import policies
from infrastructure.stages import stages
from tests.emails import Email
from tests.fakes.faults import Fault
from tests.world import EMAIL_SECRET_REF, KEY, SECRET_REF, World, conversation, email_conversation


def due(world: World) -> dict[str, Any]:
    """A batch that waits for its reply, as the AI received it."""
    world.deliver()
    world.clock.advance(11)
    world.work()
    (document,) = world.take(world.queues.ai)
    return document


def of_ai(document: dict[str, Any], **fields: Any) -> str:
    return json.dumps({**KEY.item, "version": "1.0", "batch_id": document["meta"]["batch_id"], "body": "x", **fields})


def of_people(**fields: Any) -> str:
    return json.dumps({**KEY.item, "version": "1.0", "source": "human", "reply_id": "r-1", "body": "x", **fields})


@pytest.mark.parametrize("group", ["globex", "ACME", "acme-2", "unknown"])
def test_a_reply_in_another_company_s_group_is_dead_lettered(group: str):
    """Who may send for one company knows ids of another at most."""
    world = World()
    document = due(world)

    world.queues.replies.inject(of_ai(document), group=group)
    world.send_replies()

    assert world.phone.texts == []
    assert [one.reason for one in world.queues.dead_replies.messages] == ["OTHER_COMPANY"]
    assert world.row["conversation_status"] == "processing_reply"


@pytest.mark.parametrize("group", ["globex", "unknown"])
def test_people_s_reply_in_another_company_s_group_is_dead_lettered(group: str):
    """On people's own dead-letter queue."""
    world = World()
    due(world)

    world.queues.human_replies.inject(of_people(), group=group)
    world.send_replies()

    assert world.phone.texts == []
    assert [one.reason for one in world.queues.dead_human_replies.messages] == ["OTHER_COMPANY"]


def test_the_company_s_own_group_sends():
    """Or the other tests would show nothing."""
    world = World()
    document = due(world)

    world.queues.replies.inject(of_ai(document), group="acme")
    world.send_replies()

    assert world.phone.texts == ["x"]


def test_nobody_speaks_as_a_person_on_the_ai_s_queue():
    """The rights to that queue are the AI worker's."""
    world = World()
    due(world)

    world.queues.replies.inject(of_people(), group="acme")
    world.send_replies()

    assert world.phone.texts == []
    (dead,) = world.queues.dead_replies.messages
    assert "source human" in dead.reason


def test_nobody_speaks_as_the_ai_on_people_s_queue():
    """Nor is our own reminder taken there."""
    world = World()
    document = due(world)

    world.queues.human_replies.inject(of_ai(document), group="acme")
    world.send_replies()

    assert world.phone.texts == []
    (dead,) = world.queues.dead_human_replies.messages
    assert "source ai" in dead.reason


def test_people_s_reply_comes_again_on_people_s_queue():
    """A retry stays on the queue whose rights it came with."""
    world = World()
    due(world)
    world.queues.human_replies.inject(of_people(), group="acme")
    world.plan.faults[len(world.plan.calls) + 1] = Fault.THROTTLED

    world.send_replies()

    assert (len(world.queues.replies.messages), len(world.queues.human_replies.messages)) == (0, 1)


@pytest.mark.parametrize("stage", ["dev", "prod"])
@pytest.mark.parametrize(
    "name",
    [
        "ai-multi-comms/sms-credentials/acme/main/twilio-pre-{stage}",
        "ai-multi-comms/sms-credentials/acme/main/other-{stage}",
        "ai-multi-comms/sms-credentials/acme/main/twilio-{stage}-2",
        "ai-multi-comms/sms-credentials/acme/main/twilio-x/y-{stage}",
        "other/sms-credentials/acme/main/twilio-{stage}",
    ],
)
def test_a_stage_s_functions_read_no_other_stage_s_secrets_and_no_other_provider_s(stage: str, name: str):
    """A star of IAM matches everything, slashes and hyphens too."""
    patterns = secrets_of(stage)
    arn = f"arn:aws:secretsmanager:eu-west-1:000000000000:secret:{name.format(stage=stage)}-AbCdEf"
    own = (
        f"arn:aws:secretsmanager:eu-west-1:000000000000:secret:ai-multi-comms/sms-credentials/a/b/twilio-{stage}-AbCdEf"
    )

    assert [one for one in patterns if fnmatch.fnmatchcase(arn, one)] == []
    assert [one for one in patterns if fnmatch.fnmatchcase(own, one)]


def secrets_of(stage: str) -> set[str]:
    return {
        arn
        for function in ("api_handler", "send_replies", "send_human_replies")
        for (action, arn) in policies.allowed(stages()[stage], function)
        if action == "secretsmanager:GetSecretValue"
    }


def test_the_function_of_people_s_replies_reaches_no_queue_of_the_ai():
    """And the AI's none of people's."""
    rights = {
        function: {
            arn.rpartition(":")[2] for action, arn in policies.allowed(stages()["prod"], function) if "sqs" in action
        }
        for function in ("send_replies", "send_human_replies")
    }

    assert not {name for name in rights["send_human_replies"] if "ai-replies" in name}
    assert not {name for name in rights["send_replies"] if "human-replies" in name}


PATTERN = "ai-multi-comms/*-credentials/{company}/*/*"


@pytest.mark.parametrize(
    "ref",
    [
        "ai-multi-comms/whatsapp-credentials/globex/main/twilio-local",
        "ai-multi-comms/whatsapp-credentials/globex/x-credentials/acme/main/twilio-local",
        "ai-multi-comms/whatsapp-credentials/globex/acme/twilio-local",
        "elsewhere",
    ],
)
def test_a_row_that_names_another_company_s_secret_is_refused_and_reported(ref: str):
    """Whoever can write a row could else receive and send with any company's account."""
    config = {"whatsapp": {"credential_ref": ref}}
    world = World(None, conversation(channel_config=config), credential_ref_pattern=PATTERN)
    world.secrets.texts[ref] = world.secrets.texts[SECRET_REF]

    world.post(world.form())

    assert world.staged_ids == []
    assert [call.operation for call in world.plan.calls] == ["Query"]
    assert world.telemetry.total(Metric.SECRET_FAILURE) == 1


def test_a_row_that_names_its_own_company_s_secret_is_taken():
    """With the same pattern."""
    world = World(None, conversation(), credential_ref_pattern=PATTERN)

    world.post(world.form())

    assert len(world.staged_ids) == 1


def test_no_reply_is_sent_with_another_company_s_secret():
    """The row may have changed since the message came."""
    world = World(credential_ref_pattern=PATTERN)
    document = due(world)
    other = "ai-multi-comms/whatsapp-credentials/globex/main/twilio-local"
    world.secrets.texts[other] = world.secrets.texts[SECRET_REF]
    row = {**world.row, "channel_config": {"whatsapp": {"credential_ref": other}}}
    world.tables.conversations.seed(row)

    world.queues.replies.inject(of_ai(document), group="acme")
    world.send_replies()

    assert world.phone.texts == []


OTHER_REF = "ai-multi-comms/whatsapp-credentials/globex/main/twilio-local"


def test_no_delivery_report_is_verified_with_another_company_s_secret():
    """The row of the part may have been written before the pattern was set, or by somebody else."""
    world = World(credential_ref_pattern=PATTERN)
    world.queues.replies.inject(of_ai(due(world)), group="acme")
    world.send_replies()
    (part,) = world.sends
    world.tables.sends.seed({**part, "credential_ref": OTHER_REF})
    world.secrets.texts[OTHER_REF] = world.secrets.texts[SECRET_REF]
    calls = len(world.plan.calls)

    world.report(part["send_id"], "delivered")

    assert "GetSecretValue" not in [call.operation for call in world.plan.calls[calls:]]
    assert "delivery_status" not in world.sends[0] or world.sends[0]["delivery_status"] != "delivered"
    assert world.telemetry.total(Metric.SECRET_FAILURE) == 1


def test_no_unknown_sender_is_written_to_with_another_company_s_secret():
    """The row that the queue's message names holds the secret's name."""
    world = World(None, email_conversation(), credential_ref_pattern=PATTERN)
    address = "stranger@customer.example"
    world.post_email(Email(sender=address, return_path=address))
    (row,) = world.stranger_rows
    other = "ai-multi-comms/email-credentials/globex/main/sendgrid-local"
    world.tables.unknown_senders.seed({**row, "letter": {**row["letter"], "credential_ref": other}})
    world.secrets.texts[other] = world.secrets.texts[EMAIL_SECRET_REF]
    calls = len(world.plan.calls)

    world.send_replies()

    assert world.phone.received == []
    assert "GetSecretValue" not in [call.operation for call in world.plan.calls[calls:]]


def test_no_media_are_copied_with_another_company_s_secret():
    """The conversation's row may have changed since the message came."""
    world = World(credential_ref_pattern=PATTERN, media_copying="true")
    world.deliver(**world.with_media((b"jpeg", "image/jpeg")))
    world.secrets.texts[OTHER_REF] = world.secrets.texts[SECRET_REF]
    world.tables.conversations.seed({**world.row, "channel_config": {"whatsapp": {"credential_ref": OTHER_REF}}})
    world.clock.advance(31)

    world.work()

    (document,) = world.take(world.queues.ai)
    assert [one["problem"] for one in document["messages"][0]["media"]] == ["copy_failed"]
    assert world.bucket.objects == {}
