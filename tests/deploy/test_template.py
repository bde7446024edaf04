"""The one template tells every table, queue and bucket that the configuration and the settings name."""

from __future__ import annotations

import dataclasses
import json
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from chalicelib.settings import Settings
from infrastructure.template import MONITORING_FILE, TEMPLATE_FILE, Template, load, resources

CONFIG = Path(__file__).parents[2] / ".chalice" / "config.json"
STAGES = ("local", "dev", "prod")
DEFAULTS = {one.name: one.metadata["default"] for one in dataclasses.fields(Settings)}
TEMPLATE_BODY_BYTES_MAX = 51_200
"""What CloudFormation takes in a request; a longer template would have to lie in a bucket first."""


def named(stage: str, ending: str) -> set[str]:
    """The values of a stage's variables whose names end so."""
    variables = json.loads(CONFIG.read_text())["stages"][stage]["environment_variables"]
    return {value for name, value in variables.items() if name.endswith(ending)}


def live_queues(template: Template) -> dict[str, str | None]:
    """Each queue that is no dead-letter queue, with its dead-letter queue."""
    return {name: queue.dead_letter for name, queue in template.queues.items() if not name.endswith("-dlq")}


@pytest.mark.parametrize("stage", STAGES)
def test_the_tables_of_a_stage_are_those_that_its_configuration_names(stage):
    """A table in a function's settings exists, and every table is in a function's settings."""
    configured = named(stage, "_TABLE")

    template = load(stage)

    assert set(template.tables) == configured


@pytest.mark.parametrize("stage", STAGES)
def test_the_queues_of_a_stage_are_those_that_its_configuration_names(stage):
    """A queue in a function's settings exists, and no queue but its dead-letter queue beside it."""
    configured = named(stage, "_QUEUE")

    template = load(stage)

    assert set(live_queues(template)) == configured


@pytest.mark.parametrize("stage", STAGES)
def test_each_queue_has_a_dead_letter_queue_of_the_name_that_the_settings_build(stage):
    """To the DLQ means to the queue's own name with the suffix of the settings, on either way there."""
    suffix = DEFAULTS["dead_letter_suffix"]

    template = load(stage)

    for name, dead_letter in live_queues(template).items():
        assert dead_letter == f"{name}{suffix}"
        assert template.queues[name].receives_max == 5
        assert template.queues[dead_letter].dead_letter is None


@pytest.mark.parametrize("stage", STAGES)
def test_the_bucket_of_a_stage_is_the_one_that_its_configuration_names(stage):
    """Both leave the account's number open, in their own spelling."""
    configured = named(stage, "_BUCKET")

    template = load(stage)

    assert set(template.buckets) == configured


@pytest.mark.parametrize(("stage", "is_kept"), [("local", False), ("dev", False), ("prod", True)])
def test_the_bucket_outlives_its_stack_in_prod_only(stage, is_kept):
    """As the tables refuse deletion there; elsewhere a stack can be thrown away."""
    (bucket,) = load(stage).buckets.values()

    assert bucket.kept_with_stack_gone is is_kept


def test_what_the_bucket_keeps_expires_when_the_parameter_says():
    """Customers' files are not kept for good by anybody's forgetting."""
    (by_default,), (as_told,) = load("dev").buckets.values(), load("dev", AttachmentsDays=30).buckets.values()

    assert (by_default.expires_days, as_told.expires_days) == (90, 30)


@pytest.mark.parametrize("channel", ["whatsapp", "sms", "email"])
def test_the_look_up_finds_its_index_and_its_keys(channel):
    """The index of a channel has the default names of the settings and projects what the look-up reads."""
    conversations = load("dev").tables["conversations-dev"]

    index = conversations.indexes[DEFAULTS[f"{channel}_index"]]

    assert index.hash_key == DEFAULTS[f"{channel}_index_company_key"]
    assert index.range_key == DEFAULTS[f"{channel}_index_customer_key"]
    assert index.projected == {
        index.hash_key,
        index.range_key,
        conversations.hash_key,
        conversations.range_key,
        "task_complete",
        "created_at",
        "channel_config",
        "company_id",
    }


def test_the_sweep_finds_the_index_over_locked_conversations():
    """The sparse index is sorted by when a lock began, and projects what a reset is fenced by."""
    conversations = load("dev").tables["conversations-dev"]

    index = conversations.indexes[DEFAULTS["lock_index"]]

    assert (index.hash_key, index.range_key) == ("lock_shard", "processing_started_at")
    assert index.projected >= {"primary_channel", "conversation_id", "last_batch_id", "processing_trigger_id"}


def test_tables_with_a_time_to_live_spell_it_alike_and_what_is_kept_for_good_has_none():
    """The conversations and their history are never deleted by time; everything else by the same attribute."""
    kept_for_good = {"conversations-dev", "conversations-history-dev"}

    tables = load("dev").tables

    for name, table in tables.items():
        assert table.ttl_attribute == (None if name in kept_for_good else "expires_at")


@pytest.mark.parametrize(("stage", "is_protected"), [("local", False), ("dev", False), ("prod", True)])
def test_tables_refuse_deletion_in_prod_only(stage, is_protected):
    """In prod no table can be deleted by accident; elsewhere a stack can be thrown away."""
    template = load(stage)

    protected = {table.deletion_protected for table in template.tables.values()}

    assert protected == {is_protected}


def test_the_queues_that_we_read_hide_a_message_for_as_long_as_the_settings_say():
    """A crashed worker's trigger comes again when the settings think that it does."""
    default = int(DEFAULTS["visibility_timeout_seconds"])

    as_told, by_default = load("dev", TriggerVisibilitySeconds=7), load("dev")

    for role in ("whatsapp", "sms", "email", "ai-replies", "human-replies"):
        assert as_told.queues[f"replies-engine-dev-{role}"].visibility_seconds == 7
        assert by_default.queues[f"replies-engine-dev-{role}"].visibility_seconds == default


def test_an_existing_conversations_table_is_left_to_the_company():
    """Where the company's account has the table, the stack creates all others."""
    everything = load("dev")

    rest = load("dev", CreateConversationsTable=False)

    assert set(everything.tables) - set(rest.tables) == {"conversations-dev"}


def test_a_parameter_that_the_template_lacks_is_refused():
    """A misspelt parameter is an error and not silently a default."""
    with pytest.raises(ValueError, match="TriggerVisibility"):
        load("dev", TriggerVisibility=7)


@pytest.mark.parametrize("file", [TEMPLATE_FILE, MONITORING_FILE], ids=lambda file: file.stem)
def test_a_template_fits_into_a_request_to_cloudformation(file: Path):
    """A deployment sends it there as it is."""
    size = len(file.read_bytes())

    assert size <= TEMPLATE_BODY_BYTES_MAX


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("policy", ["TlsOnlyQueues", "AttachmentsBucketPolicy"])
def test_a_policy_refuses_everybody_without_tls(stage: str, policy: str):
    """Every action of the service, whatever rights somebody has elsewhere."""
    (statement,) = resources(TEMPLATE_FILE, stage)[policy].properties["PolicyDocument"]["Statement"]

    assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
    assert statement["Action"] in {"sqs:*", "s3:*"}
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("stage", STAGES)
def test_every_queue_refuses_what_comes_without_tls(stage: str):
    """A queue that is added gets the policy too, and the policy's resource matches its name."""
    found = resources(TEMPLATE_FILE, stage)
    queues = {name: one.properties["QueueName"] for name, one in found.items() if one.kind == "AWS::SQS::Queue"}
    properties = found["TlsOnlyQueues"].properties
    pattern = properties["PolicyDocument"]["Statement"][0]["Resource"].rpartition(":")[2]

    assert sorted(properties["Queues"]) == sorted(queues)
    assert [name for name in queues.values() if not fnmatchcase(name, pattern)] == []
