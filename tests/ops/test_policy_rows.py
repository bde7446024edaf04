"""Policies over a company's rows: shown, written and removed, each row under the condition that it stands as read."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner, Result

from chalicelib.aws.attributes import item_from_wire, item_to_wire
from ops.__main__ import cli
from ops.stage.target import CommandError
from ops.tenants import policy_rows
from ops.tenants.policy_rows import Wish
from tests.fakes.tables import InMemoryTable
from tests.ops.conftest import REF, REGION, STAGE, Stage, deployed
from tests.world import KEY, World, conversation, settings_of

SETTINGS = settings_of(())
CONFIG = {"whatsapp": {"credential_ref": REF}, "sms": {"credential_ref": REF}}


@pytest.fixture
def stage():
    with deployed(is_woken=False) as made:
        made.put_row()
        made.put_row(conversation_id="c-2", task_complete=1)
        made.put_row(conversation_id="c-3", company_id="other")
        yield made


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, ["tenant", "policy", *arguments, "--stage", STAGE, "--region", REGION])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def configs(stage: Stage) -> dict[str, Any]:
    """The configuration of WhatsApp, by conversation."""
    items = stage.client("dynamodb").scan(TableName=f"conversations-{STAGE}")["Items"]
    rows = [item_from_wire(item) for item in items]
    return {row["conversation_id"]: row["channel_config"]["whatsapp"] for row in rows}


def spoil(stage: Stage, policy: Any) -> None:
    """What the company's own systems may write."""
    row = conversation(channel_config={**CONFIG, "whatsapp": {"credential_ref": REF, "policy": policy}})
    stage.client("dynamodb").put_item(TableName=f"conversations-{STAGE}", Item=item_to_wire(row))


class TestCommand:
    def test_what_applies_is_shown_by_channel(self, stage: Stage):
        """With the settings where the company has none of its own; rows that differ are shown apart."""
        spoil(stage, {"batch_window_seconds": 5})

        told = run("acme")

        lines = told.stdout.splitlines()
        assert told.exit_code == 0
        assert [line for line in lines if line.endswith(":")] == [
            "whatsapp, 1 row:",
            "whatsapp, 1 row:",
            "sms, 2 rows:",
        ]
        assert "  batch_window_seconds = 5" in lines
        assert "  batch_window_seconds = 10 (setting)" in lines

    def test_policies_are_written_to_all_rows_of_the_company(self, stage: Stage):
        """Finished conversations too, and no other company's; what else the configuration holds stays."""
        told = run(
            *("acme", "--channel", "whatsapp", "--yes"),
            *("--set", "batch_window_seconds=5", "--set", "on_new_message=reject", "--set", "locked_notice="),
        )

        written = {"batch_window_seconds": 5, "on_new_message": "reject", "locked_notice": ""}
        assert told.exit_code == 0, told.output
        assert "whatsapp: 2 rows changed" in told.stdout
        assert configs(stage) == {
            KEY.conversation_id: {"credential_ref": REF, "policy": written},
            "c-2": {"credential_ref": REF, "policy": written},
            "c-3": {"credential_ref": REF},
        }

    def test_a_dry_run_writes_nothing(self, stage: Stage):
        """And tells how many rows would change."""
        told = run("acme", "--channel", "whatsapp", "--set", "stall_action=handoff", "--dry-run")

        assert (told.exit_code, told.stdout) == (0, "whatsapp: 2 rows would be changed\n")
        assert all("policy" not in one for one in configs(stage).values())

    def test_without_a_yes_nothing_is_written(self, stage: Stage):
        """Nobody is there to ask."""
        told = run("acme", "--channel", "whatsapp", "--set", "stall_action=handoff")

        assert told.exit_code == 3
        assert all("policy" not in one for one in configs(stage).values())

    def test_a_policy_is_removed(self, stage: Stage):
        """With the map, where it was the last; a second run changes nothing."""
        spoil(stage, {"batch_window_seconds": 5})

        first = run("acme", "--channel", "whatsapp", "--unset", "batch_window_seconds", "--yes")
        second = run("acme", "--channel", "whatsapp", "--unset", "batch_window_seconds", "--yes")

        assert configs(stage)[KEY.conversation_id] == {"credential_ref": REF}
        assert sorted(first.stdout.splitlines()) == ["whatsapp: 1 row changed", "whatsapp: 1 row unchanged"]
        assert second.stdout.splitlines() == ["whatsapp: 2 rows unchanged"]

    def test_a_map_that_is_none_is_replaced(self, stage: Stage):
        """It was ignored anyway."""
        spoil(stage, "no map")

        run("acme", "--channel", "whatsapp", "--set", "stall_action=handoff", "--yes")

        assert configs(stage)[KEY.conversation_id]["policy"] == {"stall_action": "handoff"}

    def test_what_is_not_applied_is_shown(self, stage: Stage):
        """By its place."""
        spoil(stage, {"batch_window_seconds": -1})

        told = run("acme", "--channel", "whatsapp")

        place = "channel_config.whatsapp.policy.batch_window_seconds"
        assert f"  ! {place} must be a number from 0 to 900; 0 applies" in told.stdout

    def test_a_value_that_would_not_apply_beside_the_others_is_not_written(self, stage: Stage):
        """A cap of five seconds is below the window of the settings."""
        told = run("acme", "--channel", "whatsapp", "--set", "batch_max_wait_seconds=5", "--yes")

        assert told.exit_code == 1
        assert "whatsapp: 2 rows would not apply the value as written" in told.stdout
        assert all("policy" not in one for one in configs(stage).values())

    @pytest.mark.parametrize(
        ("arguments", "what"),
        [
            (["nobody"], "nobody has no conversation"),
            (["acme", "--set", "stall_action=handoff"], "no channel is named"),
            (["acme", "--channel", "fax"], "there is no channel fax"),
            (["acme", "--channel", "sms", "--set", "stall=warn"], "there is no policy stall"),
            (["acme", "--channel", "sms", "--unset", "stall"], "there is no policy stall"),
            (["acme", "--channel", "sms", "--set", "stall_action"], "is not NAME=VALUE"),
            (["acme", "--channel", "sms", "--set", "stall_action=shout"], "must be one of warn, handoff"),
            (["acme", "--channel", "sms", "--set", "batch_window_seconds=901"], "must be a number from 0 to 900"),
            (["acme", "--channel", "sms", "--set", "batch_window_seconds=ten"], "must be a number from 0 to 900"),
            (
                ["acme", "--channel", "sms", "--set", "stall_action=warn", "--unset", "stall_action"],
                "stall_action is both set and unset",
            ),
        ],
    )
    def test_what_makes_no_sense_is_one_line(self, stage: Stage, arguments: list[str], what: str):
        """And changes nothing."""
        told = run(*arguments, "--yes")

        assert told.exit_code == 2
        assert what in told.output
        assert "Traceback" not in told.output


class TestRows:
    wish = Wish({"stall_action": "handoff"}, ())

    def change(self, world: World, wish: Wish | None = None) -> policy_rows.Result:
        table = world.tables.conversations
        return policy_rows.change(table, SETTINGS, KEY, "whatsapp", wish or self.wish, is_dry_run=False)

    def test_a_row_that_changed_meanwhile_is_read_again(self):
        """What the company wrote in between stays."""
        world = World()
        table = world.tables.conversations
        assert isinstance(table, InMemoryTable)
        theirs = {**conversation()["channel_config"], "email": {"credential_ref": "new"}}
        world.plan.interleave(2, lambda: table.seed(conversation(channel_config=theirs)))

        result = self.change(world)

        assert result is policy_rows.Result.CHANGED
        assert world.row["channel_config"]["email"] == {"credential_ref": "new"}
        assert world.row["channel_config"]["whatsapp"]["policy"] == {"stall_action": "handoff"}

    @pytest.mark.parametrize("config", [None, "text", {}, {"whatsapp": "text"}])
    def test_a_row_without_a_configuration_of_the_channel_is_left(self, config: Any):
        """Whoever makes it names the secret too."""
        world = World(None, conversation(channel_config=config))

        assert self.change(world) is policy_rows.Result.NOT_CONFIGURED

    def test_a_row_that_is_gone_stays_gone(self):
        """The index lags."""
        world = World(None, conversation(conversation_id="another"))

        assert self.change(world) is policy_rows.Result.GONE
        assert len(world.tables.conversations.rows) == 1

    def test_a_row_that_keeps_changing_is_told(self):
        """It is left as it is."""
        world = World()
        table = world.tables.conversations
        assert isinstance(table, InMemoryTable)
        for number in range(2, 20, 2):
            theirs = {**conversation()["channel_config"], "email": {"credential_ref": str(number)}}
            world.plan.interleave(number, lambda theirs=theirs: table.seed(conversation(channel_config=theirs)))

        assert self.change(world) is policy_rows.Result.BUSY
        assert "policy" not in world.row["channel_config"]["whatsapp"]

    def test_the_lock_and_the_messages_of_a_row_are_not_touched(self):
        """One attribute is written."""
        world = World()
        world.burst_with_ai()
        before = world.row

        self.change(world, Wish.of(["batch_window_seconds=7"], [], SETTINGS))

        after = world.row
        assert after.pop("channel_config")["whatsapp"]["policy"] == {"batch_window_seconds": Decimal(7)}
        assert {name: value for name, value in before.items() if name != "channel_config"} == after

    def test_an_equals_sign_may_be_in_a_text(self):
        """The first one ends the name."""
        assert Wish.of(["locked_notice=1 + 1 = 2"], [], SETTINGS).put == {"locked_notice": "1 + 1 = 2"}

    def test_an_unknown_name_lists_those_there_are(self):
        """So that nobody has to look it up."""
        with pytest.raises(CommandError, match="no policy window"):
            Wish.of(["window=3"], [], SETTINGS)
