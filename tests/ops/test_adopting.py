"""A company's own table: what it lacks is reported by kind, what is certain is added, and the rest is left."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from chalicelib.aws.attributes import item_from_wire, item_to_wire
from ops.__main__ import cli
from tests.ops.conftest import REF, REGION, STAGE, Stage
from tests.ops.planted import adopt_table
from tests.world import COMPANY, CUSTOMER, conversation

TABLE = "acme-talks"
REFS = {"whatsapp": {"credential_ref": REF}, "sms": {"credential_ref": REF}}
ROWS = {
    "whole": {},
    "no-completion": {"task_complete": None},
    "lenient": {"task_complete": "0", "allowed_channels": ["WhatsApp", "SMS"]},
    "another-text": {"task_complete": "open"},
    "spelled": {"gsi_recipient_tel": "0049 151 12345678"},
    "national": {"gsi_recipient_tel": "0151 12345678"},
    "no-key": {"gsi_recipient_tel": None},
    "no-secret": {"channel_config": {"sms": {"credential_ref": REF}}},
    "paused": {"project_status": "paused"},
}


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, [*arguments, "--stage", STAGE, "--region", REGION])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert CUSTOMER not in result.output
    return result


@pytest.fixture
def table(stage: Stage) -> Stage:
    """A table of the company's own that lacks an index, with a row of each kind."""
    adopt_table(stage)
    for name, changes in ROWS.items():
        row = conversation(**{"conversation_id": name, "channel_config": REFS, **changes})
        row = {key: value for key, value in row.items() if value is not None}
        stage.client("dynamodb").put_item(TableName=TABLE, Item=item_to_wire(row))
    return stage


def rows(stage: Stage) -> dict[str, dict]:
    found = map(item_from_wire, stage.client("dynamodb").scan(TableName=TABLE)["Items"])
    return {row["conversation_id"]: row for row in found}


def test_a_dry_run_reports_by_kind_and_changes_nothing(table: Stage):
    """What is unambiguous is no finding; what is ambiguous is one."""
    before = rows(table)

    told = run("adopt", "--table", TABLE, "--dry-run", "--json")

    document = json.loads(told.stdout)
    assert (document["rows"], document["companies"]) == (9, ["acme"])
    assert document["indexes"] == ["conversation-lock-index"]
    assert document["secrets"] == [["acme", "sms"]]
    assert {(one["kind"], one["rows"], one["addable"]) for one in document["faults"]} == {
        ("task-complete", 2, 0),
        ("numbers", 2, 1),
        ("lookup-keys", 1, 1),
        ("credentials", 1, 1),
        ("paused", 1, 0),
    }
    assert rows(table) == before
    assert told.exit_code == 1


def test_what_is_certain_is_added_and_the_rest_is_left(table: Stage):
    """The index, and the attributes that the rows say themselves; a second run adds nothing."""
    told = run("adopt", "--table", TABLE, "--yes")
    after = rows(table)

    again = run("adopt", "--table", TABLE, "--yes")

    assert "3 attribute(s) written" in told.stdout
    assert "0 attribute(s) written" in again.stdout
    assert after["spelled"]["gsi_recipient_tel"] == "+4915112345678"
    assert after["no-key"]["gsi_recipient_tel"] == CUSTOMER
    assert after["no-secret"]["channel_config"]["whatsapp"] == {"credential_ref": REF}
    assert "task_complete" not in after["no-completion"]
    assert (after["national"], after["paused"]) == (rows(table)["national"], rows(table)["paused"])
    assert after["national"]["gsi_recipient_tel"] == "0151 12345678"
    indexes = table.client("dynamodb").describe_table(TableName=TABLE)["Table"]["GlobalSecondaryIndexes"]
    assert "conversation-lock-index" in {one["IndexName"] for one in indexes}


def test_a_table_that_is_not_there_or_has_other_keys_is_one_line(table: Stage):
    """Nothing can be adopted of it."""
    missing = run("adopt", "--table", "nothing", "--dry-run")
    other = run("adopt", "--table", "conversations-sends-dev", "--dry-run")

    assert [(one.exit_code, one.stderr.count("\n")) for one in (missing, other)] == [(2, 1), (2, 1)]
    assert "has the keys send_id" in other.stderr


def test_a_conversation_is_created_once_and_the_doctor_finds_nothing_wrong_with_it(stage: Stage):
    """Its addresses may be written in any way."""
    arguments = (
        "--channel",
        "whatsapp",
        "--ours",
        f"whatsapp:{COMPANY}",
        "--customer",
        "0049 151 00000001",
        "--id",
        "new",
    )

    first = run("conversation", "add", "acme", *arguments, "--yes")
    second = run("conversation", "add", "acme", *arguments, "--yes")

    assert (first.exit_code, second.exit_code) == (0, 2)
    found = map(item_from_wire, stage.client("dynamodb").scan(TableName="conversations-dev")["Items"])
    (row,) = (one for one in found if one["conversation_id"] == "new")
    assert (row["gsi_recipient_tel"], row["gsi_company_whatsapp_number"]) == ("+4915100000001", COMPANY)
    assert row["channel_config"] == {"whatsapp": {"credential_ref": REF}}


@pytest.mark.parametrize(
    "told",
    [
        ("acme", "--channel", "fax", "--ours", COMPANY, "--customer", "+4915100000001"),
        ("acme", "--channel", "sms", "--ours", COMPANY, "--customer", "+4915100000001"),
        ("acme", "--channel", "whatsapp", "--ours", COMPANY, "--customer", "0151 1"),
    ],
)
def test_a_row_that_would_not_work_is_not_created(stage: Stage, told: tuple[str, ...]):
    """An unknown channel, a company without a secret for it, a national number."""
    result = run("conversation", "add", *told, "--yes")

    assert result.exit_code == 2
    assert stage.client("dynamodb").scan(TableName="conversations-dev")["Count"] == 1
