"""Faults that tests plant in a deployed stage: how, what the doctor says of each, and what fixes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.aws.attributes import item_to_wire
from chalicelib.channels.twilio import RETRIES
from chalicelib.clock import iso
from local.stubs.console_settings import ConsoleSettings, Hook
from tests.ops.conftest import BUCKET, REF, SECRET, Stage, turn_ttl_on
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, KEY, conversation


def delete_index(stage: Stage) -> None:
    stage.client("dynamodb").update_table(
        TableName="conversations-dev",
        GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "company-sms-number-recipient-tel-index"}}],
    )


def remake_index(stage: Stage, *, hash_key: str, projection: dict) -> None:
    """The SMS index anew, by another key or with another projection."""
    delete_index(stage)
    create = {
        "IndexName": "company-sms-number-recipient-tel-index",
        "KeySchema": [
            {"AttributeName": hash_key, "KeyType": "HASH"},
            {"AttributeName": "gsi_recipient_tel", "KeyType": "RANGE"},
        ],
        "Projection": projection,
    }
    stage.client("dynamodb").update_table(
        TableName="conversations-dev",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in (hash_key, "gsi_recipient_tel")
        ],
        GlobalSecondaryIndexUpdates=[{"Create": create}],
    )


def remake_table(stage: Stage) -> None:
    """The stage table with another range key."""
    dynamodb = stage.client("dynamodb")
    dynamodb.delete_table(TableName="conversations-stage-dev")
    dynamodb.create_table(
        TableName="conversations-stage-dev",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("conversation_id", "received_at")
        ],
        KeySchema=[
            {"AttributeName": "conversation_id", "KeyType": "HASH"},
            {"AttributeName": "received_at", "KeyType": "RANGE"},
        ],
    )
    turn_ttl_on("conversations-stage-dev")


def set_queue(stage: Stage, role: str, **attributes: str) -> None:
    stage.client("sqs").set_queue_attributes(QueueUrl=stage.queue_url(role), Attributes=attributes)


def redrive_elsewhere(stage: Stage) -> None:
    attributes = stage.client("sqs").get_queue_attributes(
        QueueUrl=stage.queue_url("sms-dlq"), AttributeNames=["QueueArn"]
    )["Attributes"]
    policy = {"deadLetterTargetArn": attributes["QueueArn"], "maxReceiveCount": 5}
    set_queue(stage, "whatsapp", RedrivePolicy=json.dumps(policy))


def write_secret(stage: Stage, text: str) -> None:
    stage.client("secretsmanager").put_secret_value(SecretId=REF, SecretString=text)


def stop_mapping(stage: Stage) -> None:
    functions = stage.client("lambda")
    (found,) = functions.list_event_source_mappings(FunctionName="replies-engine-dev-batch_sms")["EventSourceMappings"]
    functions.delete_event_source_mapping(UUID=found["UUID"])


Plant = Callable[[Stage], object]


@dataclass(frozen=True)
class Planted:
    """One fault."""

    plant: Plant
    area: str
    what: str
    """Part of what the doctor says."""
    fix: str
    """Part of what it says to do; a command is run as it stands."""
    typed: str = ""
    """What the operator types where the command asks."""
    by_hand: Plant | None = None
    """What the operator does where the fix is a step in a file or a console."""
    is_warning: bool = False


def set_back(**environment: str) -> Plant:
    """The step in `.chalice/config.json`, and the deployment after it."""
    return lambda stage: stage.configure_all(**environment)


def update_row(stage: Stage, **values: Any) -> None:
    """Write attributes of the conversation; None: remove."""
    row = conversation(**{"channel_config": {name: {"credential_ref": REF} for name in ("whatsapp", "sms")}, **values})
    row = {name: value for name, value in row.items() if value is not None}
    stage.client("dynamodb").put_item(TableName="conversations-dev", Item=item_to_wire(row))


def add_row(stage: Stage, **values: Any) -> None:
    """A second conversation."""
    update_row(stage, **{"conversation_id": "c-2", **values})


def lock(stage: Stage, *, hours_ago: float | None) -> None:
    """A lock that nothing has reset."""
    at = {} if hours_ago is None else {"processing_started_at": iso(datetime.now(UTC) - timedelta(hours=hours_ago))}
    shard = {"lock_shard": "3"} if at else {}
    update_row(stage, conversation_status="processing_reply", last_batch_id="b1", unanswered_ids=[], **at, **shard)


PREFIXES = {"whatsapp": "whatsapp:", "sms": ""}
TYPED = f"{ACCOUNT_SID}\n{AUTH_TOKEN}\n"
WRONG = json.dumps({**SECRET, "auth_token": "0" * 32})


def send_dead_letter(stage: Stage, body: str) -> None:
    """A dead letter of a queue that none of our functions reads."""
    stage.client("sqs").send_message(QueueUrl=stage.queue_url("human-handoff-dlq"), MessageBody=body)


def set_console(stage: Stage, url: str) -> None:
    """Have Twilio's console name the webhooks below a URL for both channels of the company."""
    hooks = {f"{prefix}{COMPANY}": Hook(f"{url}/webhooks/{name}{RETRIES}") for name, prefix in PREFIXES.items()}
    stage.twilio.console = ConsoleSettings(hooks)


def change_console(stage: Stage, sender: str, hook: Hook) -> None:
    """Change one URL of the console, and remember what it was."""
    senders = stage.twilio.console.senders
    senders[sender], senders["before"] = hook, senders[sender]


def set_console_back(sender: str) -> Plant:
    """The step in Twilio's console."""

    def back(stage: Stage) -> None:
        stage.twilio.console.senders[sender] = stage.twilio.console.senders.pop("before")

    return back


def adopt_table(stage: Stage) -> None:
    """A conversations table of the company's own, which lacks one index, in place of the template's."""
    dynamodb = stage.client("dynamodb")
    like = dynamodb.describe_table(TableName="conversations-dev")["Table"]
    indexes = [
        {name: one[name] for name in ("IndexName", "KeySchema", "Projection")}
        for one in like["GlobalSecondaryIndexes"]
        if one["IndexName"] != "conversation-lock-index"
    ]
    keys = {key["AttributeName"] for one in (like, *indexes) for key in one["KeySchema"]}
    dynamodb.create_table(
        TableName="acme-talks",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=like["KeySchema"],
        AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in sorted(keys)],
        GlobalSecondaryIndexes=indexes,
    )
    dynamodb.update_continuous_backups(
        TableName="acme-talks", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    stage.configure_all(CONVERSATIONS_TABLE="acme-talks")


def restore_table(stage: Stage) -> None:
    """The table as the template has it: what a new one under another name would be."""
    dynamodb = stage.client("dynamodb")
    dynamodb.delete_table(TableName="conversations-stage-dev")
    names = (("conversation_id", "HASH"), ("message_sid", "RANGE"))
    dynamodb.create_table(
        TableName="conversations-stage-dev",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in names],
        KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names],
    )
    turn_ttl_on("conversations-stage-dev")
    dynamodb.update_continuous_backups(
        TableName="conversations-stage-dev", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )


def set_workers(stage: Stage, handler: str, **scaling: int) -> None:
    """Change how often a function that reads a queue may run at once."""
    functions = stage.client("lambda")
    name = f"replies-engine-dev-{handler}"
    (found,) = functions.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=found["UUID"], ScalingConfig=scaling)


PLANTED: dict[str, Planted] = {
    "workers in another number": Planted(
        lambda stage: set_workers(stage, "send_replies", MaximumConcurrency=200),
        "concurrency",
        "replies-engine-dev-send_replies may run 200 times at once, and the settings say 20",
        "make deploy STAGE=dev",
    ),
    "workers without a bound": Planted(
        lambda stage: set_workers(stage, "batch_sms"),
        "concurrency",
        "replies-engine-dev-batch_sms may run any number of times at once, and the settings say 20",
        "make deploy STAGE=dev",
    ),
    "a missing table": Planted(
        lambda stage: stage.client("dynamodb").delete_table(TableName="conversations-sends-dev"),
        "tables",
        "conversations-sends-dev is missing (SENDS_TABLE)",
        "replies-engine restore conversations-sends-dev --stage dev --region eu-west-1",
    ),
    "another key schema": Planted(
        remake_table,
        "tables",
        "conversations-stage-dev has the keys conversation_id",
        "docs/data",
        by_hand=restore_table,
    ),
    "a missing index": Planted(
        delete_index,
        "tables",
        "conversations-dev has no index company-sms-number-recipient-tel-index",
        "replies-engine restore conversations-dev --stage dev --region eu-west-1",
    ),
    "an index by another key": Planted(
        lambda stage: remake_index(stage, hash_key="gsi_company_whatsapp_number", projection={"ProjectionType": "ALL"}),
        "tables",
        "index company-sms-number-recipient-tel-index of conversations-dev is not as the template has it: its keys",
        "replies-engine restore conversations-dev --stage dev --region eu-west-1",
    ),
    "an index that projects too little": Planted(
        lambda stage: remake_index(
            stage, hash_key="gsi_company_sms_number", projection={"ProjectionType": "KEYS_ONLY"}
        ),
        "tables",
        "projection lacks channel_config, company_id, created_at, task_complete",
        "replies-engine restore conversations-dev --stage dev --region eu-west-1",
    ),
    "the time to live off": Planted(
        lambda stage: stage.client("dynamodb").update_time_to_live(
            TableName="conversations-stage-dev",
            TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"},
        ),
        "tables",
        "the time to live of conversations-stage-dev is off",
        "replies-engine restore conversations-stage-dev --stage dev --region eu-west-1",
    ),
    "a missing queue": Planted(
        lambda stage: stage.client("sqs").delete_queue(QueueUrl=stage.queue_url("ai")),
        "queues",
        "replies-engine-dev-ai is missing (AI_QUEUE)",
        "replies-engine restore replies-engine-dev-ai --stage dev --region eu-west-1",
    ),
    "a missing dead-letter queue": Planted(
        lambda stage: stage.client("sqs").delete_queue(QueueUrl=stage.queue_url("ai-replies-dlq")),
        "queues",
        "replies-engine-dev-ai-replies-dlq, the dead-letter queue of replies-engine-dev-ai-replies, is missing",
        "replies-engine restore replies-engine-dev-ai-replies --stage dev --region eu-west-1",
    ),
    "no redrive": Planted(
        lambda stage: set_queue(stage, "whatsapp", RedrivePolicy=""),
        "queues",
        "replies-engine-dev-whatsapp has no redrive",
        "replies-engine restore replies-engine-dev-whatsapp --stage dev --region eu-west-1",
    ),
    "a redrive to another queue": Planted(
        redrive_elsewhere,
        "queues",
        "replies-engine-dev-whatsapp sends what fails to replies-engine-dev-sms-dlq",
        "replies-engine restore replies-engine-dev-whatsapp --stage dev --region eu-west-1",
    ),
    "a visibility shorter than the function": Planted(
        lambda stage: set_queue(stage, "whatsapp", VisibilityTimeout="30"),
        "queues",
        "delivers again after 30 s, while batch_whatsapp may work for 30 s",
        "replies-engine restore replies-engine-dev-whatsapp --stage dev --region eu-west-1",
    ),
    "another visibility than the settings say": Planted(
        lambda stage: set_queue(stage, "ai-replies", VisibilityTimeout="90"),
        "queues",
        "delivers again after 90 s, and VISIBILITY_TIMEOUT_SECONDS is 180",
        "replies-engine restore replies-engine-dev-ai-replies --stage dev --region eu-west-1",
    ),
    "a missing setting": Planted(
        lambda stage: stage.configure_all(AI_QUEUE=None),
        "settings",
        "AI_QUEUE is missing",
        "stages.dev.environment_variables of .chalice/config.json, then make deploy STAGE=dev",
        by_hand=set_back(AI_QUEUE="replies-engine-dev-ai"),
    ),
    "a stall shorter than the visibility": Planted(
        lambda stage: stage.configure_all(STALL_TIMEOUT_SECONDS="120"),
        "settings",
        "VISIBILITY_TIMEOUT_SECONDS must be less than STALL_TIMEOUT_SECONDS",
        ".chalice/config.json",
        by_hand=set_back(STALL_TIMEOUT_SECONDS="300"),
    ),
    "retries that end before a stall": Planted(
        lambda stage: stage.configure_all(REQUEUE_ATTEMPTS_MAX="3"),
        "settings",
        "REQUEUE_DELAY_SECONDS and REQUEUE_ATTEMPTS_MAX keep a trigger coming for 105 s",
        ".chalice/config.json",
        by_hand=set_back(REQUEUE_ATTEMPTS_MAX="6"),
    ),
    "a window longer than a stall": Planted(
        lambda stage: stage.configure_all(BATCH_MAX_WAIT_SECONDS="400"),
        "settings",
        "BATCH_MAX_WAIT_SECONDS must be less than STALL_TIMEOUT_SECONDS: window < stall < retry horizon",
        ".chalice/config.json",
        by_hand=set_back(BATCH_MAX_WAIT_SECONDS="30"),
    ),
    "a queue of another stage": Planted(
        lambda stage: stage.configure_all(WHATSAPP_QUEUE="replies-engine-prod-whatsapp"),
        "settings",
        "WHATSAPP_QUEUE is replies-engine-prod-whatsapp, which is of stage prod",
        ".chalice/config.json",
        by_hand=set_back(WHATSAPP_QUEUE="replies-engine-dev-whatsapp"),
    ),
    "the name of another stage": Planted(
        lambda stage: stage.configure_all(STAGE="prod"),
        "settings",
        "STAGE is prod, and the stage is dev",
        ".chalice/config.json",
        by_hand=set_back(STAGE="dev"),
    ),
    "a function that was not deployed": Planted(
        lambda stage: stage.client("lambda").delete_function(FunctionName="replies-engine-dev-send_replies"),
        "functions",
        "replies-engine-dev-send_replies is missing: the stage is half deployed",
        "make deploy STAGE=dev",
    ),
    "a function that ends too late": Planted(
        lambda stage: stage.configure("batch_sms", Timeout=170),
        "functions",
        "replies-engine-dev-batch_sms ends after 170 s, and .chalice/config.json says 30 s",
        "make deploy STAGE=dev",
    ),
    "a function with other settings": Planted(
        lambda stage: stage.configure("batch_email", Environment={"AI_QUEUE": "replies-engine-dev-ai-2"}),
        "functions",
        "replies-engine-dev-batch_email was deployed with another AI_QUEUE",
        "make deploy STAGE=dev",
    ),
    "a function that cannot start": Planted(
        lambda stage: stage.configure("send_replies", Environment={"STAGE_TABLE": None}),
        "functions",
        "replies-engine-dev-send_replies cannot start: STAGE_TABLE is missing",
        "make deploy STAGE=dev",
    ),
    "a queue that nothing reads": Planted(
        stop_mapping,
        "functions",
        "replies-engine-dev-batch_sms does not read replies-engine-dev-sms",
        "make deploy STAGE=dev",
    ),
    "a missing schedule": Planted(
        lambda stage: stage.client("events").delete_rule(Name="replies-engine-dev-recover_orphaned_messages-event"),
        "functions",
        "no schedule runs replies-engine-dev-recover_orphaned_messages",
        "make deploy STAGE=dev",
    ),
    "a missing bucket": Planted(
        lambda stage: stage.client("s3").delete_bucket(Bucket=BUCKET),
        "bucket",
        f"{BUCKET} is missing (ATTACHMENTS_BUCKET)",
        f"replies-engine restore {BUCKET} --stage dev --region eu-west-1",
    ),
    "a bucket that could be made public": Planted(
        lambda stage: stage.client("s3").delete_public_access_block(Bucket=BUCKET),
        "bucket",
        f"{BUCKET} could be made public",
        f"replies-engine restore {BUCKET} --stage dev --region eu-west-1",
    ),
    "a secret that is no JSON": Planted(
        lambda stage: write_secret(stage, AUTH_TOKEN),
        "secrets",
        f"{REF} is malformed: a Twilio secret is no JSON",
        "replies-engine tenant add acme --project main --channel whatsapp --replace --stage dev",
        typed=TYPED,
    ),
    "a secret without a token": Planted(
        lambda stage: write_secret(stage, json.dumps({"account_sid": "AC1"})),
        "secrets",
        f"{REF} is malformed: a Twilio secret has no auth_token",
        "replies-engine tenant add acme --project main --channel whatsapp --replace",
        typed=TYPED,
    ),
    "a table of another stage": Planted(
        lambda stage: stage.configure_all(CONVERSATIONS_TABLE="conversations-prod"),
        "settings",
        "CONVERSATIONS_TABLE is conversations-prod, which is of stage prod",
        "stages.dev.environment_variables of .chalice/config.json, then make deploy STAGE=dev",
        by_hand=set_back(CONVERSATIONS_TABLE="conversations-dev"),
    ),
    "a table of the company's own without an index": Planted(
        adopt_table,
        "tables",
        "acme-talks has no index conversation-lock-index",
        "replies-engine restore acme-talks --stage dev --region eu-west-1",
    ),
    "a schedule that is off": Planted(
        lambda stage: stage.client("events").disable_rule(Name="replies-engine-dev-recover_orphaned_messages-event"),
        "functions",
        "the schedule of replies-engine-dev-recover_orphaned_messages is off",
        "aws events enable-rule --cli-input-json",
    ),
    "a token that Twilio does not accept": Planted(
        lambda stage: write_secret(stage, WRONG),
        "accounts",
        f"twilio does not accept the auth_token of {REF}",
        "replies-engine tenant add acme --project main --channel whatsapp --replace --stage dev",
        typed=TYPED,
    ),
    "a token that was promoted at Twilio": Planted(
        lambda stage: write_secret(stage, json.dumps({**json.loads(WRONG), "next_auth_token": AUTH_TOKEN})),
        "accounts",
        f"twilio does not accept the auth_token of {REF}",
        "replies-engine tenant rotate acme --channel whatsapp --stage dev",
    ),
    "a secret that was deleted": Planted(
        lambda stage: stage.client("secretsmanager").delete_secret(SecretId=REF, ForceDeleteWithoutRecovery=True),
        "secrets",
        f"{REF} is missing, or not a text",
        "replies-engine tenant add acme --project main --channel whatsapp --stage dev",
        typed=TYPED,
    ),
    "a secret that is scheduled for deletion": Planted(
        lambda stage: stage.client("secretsmanager").delete_secret(SecretId=REF),
        "secrets",
        f"{REF} is scheduled for deletion",
        "aws secretsmanager restore-secret --cli-input-json",
    ),
    "a row without task_complete": Planted(
        lambda stage: update_row(stage, task_complete=None),
        "rows",
        "1 conversation(s) of acme have no readable task_complete: no message finds them",
        "replies-engine tenant repair acme task-complete --value 0 --stage dev",
    ),
    "a row whose task_complete is another text": Planted(
        lambda stage: update_row(stage, task_complete="open"),
        "rows",
        "1 conversation(s) of acme have no readable task_complete: no message finds them",
        "replies-engine tenant repair acme task-complete --value 0 --stage dev",
    ),
    "a paused project": Planted(
        lambda stage: update_row(stage, project_status="paused"),
        "rows",
        "1 conversation(s) of acme are in a project that is not active",
        "replies-engine tenant repair acme paused --value active --stage dev",
        is_warning=True,
    ),
    "a row without project_status": Planted(
        lambda stage: update_row(stage, project_status=None),
        "rows",
        "1 conversation(s) of acme have no readable project_status: every message is refused",
        "replies-engine tenant repair acme project-status --value active --stage dev",
    ),
    "a row that allows no channel": Planted(
        lambda stage: update_row(stage, allowed_channels=[]),
        "rows",
        "1 conversation(s) of acme have no allowed_channels: every message is refused",
        "replies-engine tenant repair acme allowed-channels --value whatsapp,sms,email --stage dev",
    ),
    "a row that names an unknown channel": Planted(
        lambda stage: update_row(stage, allowed_channels=["whatsapp", "sms", "telegram"]),
        "rows",
        "1 conversation(s) of acme name an unknown channel in allowed_channels",
        "replies-engine tenant repair acme unknown-channels --value whatsapp,sms,email --stage dev",
        is_warning=True,
    ),
    "a number that is written with blanks": Planted(
        lambda stage: update_row(stage, gsi_recipient_tel="+49 151 12345678"),
        "rows",
        "1 conversation(s) of acme have a gsi_recipient_tel that is not a number",
        "replies-engine tenant repair acme numbers --stage dev",
    ),
    "a row without the customer's key": Planted(
        lambda stage: update_row(stage, gsi_recipient_tel=None),
        "rows",
        "1 conversation(s) of acme have no gsi_recipient_tel: no message finds them",
        "replies-engine tenant repair acme lookup-keys --stage dev",
    ),
    "a row that names no secret": Planted(
        lambda stage: update_row(stage, channel_config={"whatsapp": {"credential_ref": REF}, "sms": {}}),
        "rows",
        "1 conversation(s) of acme name no secret for sms (MISSING_CREDENTIAL_CONFIG)",
        "replies-engine tenant add acme --channel sms --write-rows --stage dev",
        typed=TYPED,
    ),
    "a row that names no secret where there is one": Planted(
        lambda stage: update_row(stage, channel_config={"sms": {"credential_ref": REF}}),
        "rows",
        "1 conversation(s) of acme name no secret for whatsapp (MISSING_CREDENTIAL_CONFIG)",
        "replies-engine tenant repair acme credentials --stage dev",
    ),
    "a stuck lock": Planted(
        lambda stage: lock(stage, hours_ago=5),
        "rows",
        "conversation conversation-1 of acme is locked since",
        "replies-engine unlock conversation-1 --stage dev",
    ),
    "a lock that the sweep cannot see": Planted(
        lambda stage: lock(stage, hours_ago=None),
        "rows",
        "conversation conversation-1 of acme is locked by another system, since an unknown time",
        "replies-engine unlock conversation-1 --now --stage dev",
    ),
    "a policy out of bounds": Planted(
        lambda stage: update_row(
            stage,
            channel_config={
                "whatsapp": {"credential_ref": REF, "policy": {"batch_window_seconds": 90_000}},
                "sms": {"credential_ref": REF},
            },
        ),
        "tenants",
        "acme: channel_config.whatsapp.policy.batch_window_seconds must be a number from 0 to 900",
        "replies-engine tenant policy acme --channel whatsapp --unset batch_window_seconds --stage dev",
        is_warning=True,
    ),
    "a dead letter": Planted(
        lambda stage: send_dead_letter(stage, json.dumps({**KEY.item, "trigger_id": "t", "RetryAttempt": 0})),
        "queues",
        "replies-engine-dev-human-handoff-dlq holds 1 message(s)",
        "replies-engine redrive human-handoff --stage dev",
        is_warning=True,
    ),
    "a wrong URL in Twilio's console": Planted(
        lambda stage: change_console(stage, COMPANY, Hook("https://old.example.com/sms")),
        "console urls",
        "Twilio sends sms of acme at +14…886 to https://old.example.com/sms",
        "Twilio's console, Phone Numbers, Active numbers",
        by_hand=set_console_back(COMPANY),
    ),
    "a wrong URL of a WhatsApp sender": Planted(
        lambda stage: change_console(stage, f"whatsapp:{COMPANY}", Hook("https://old.example.com/wa")),
        "console urls",
        "Twilio sends whatsapp of acme at +14…886 to https://old.example.com/wa",
        "Twilio's console, Messaging, Senders, WhatsApp senders",
        by_hand=set_console_back(f"whatsapp:{COMPANY}"),
    ),
    "a wrong PUBLIC_BASE_URL": Planted(
        lambda stage: stage.configure_all(PUBLIC_BASE_URL="http://127.0.0.1:9"),
        "webhooks",
        "no server answers at http://127.0.0.1:9",
        "make deploy STAGE=dev",
        by_hand=set_back(PUBLIC_BASE_URL=""),
    ),
}
