"""Each command as it is typed, over a whole stage in moto and a stub for Twilio's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from chalicelib.aws.attributes import item_from_wire, item_to_wire
from chalicelib.clock import iso
from chalicelib.protocol import send_rows
from local.stubs.twilio import Account, TwilioStub
from ops.__main__ import cli
from ops.tenants import providers
from tests.ops.conftest import REF, REGION, SECRET, STAGE, Stage, deployed
from tests.ops.serving import served
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, CUSTOMER, KEY, conversation

SID = "SM" + "7" * 32


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Whose queues keep what is sent to them."""
    with deployed(is_woken=False) as made:
        yield made


def run(*arguments: str, typed: str | None = None) -> Result:
    """One command; it never fails in a way that nobody foresaw."""
    result = CliRunner().invoke(cli, [*arguments, "--stage", STAGE, "--region", REGION], input=typed)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert CUSTOMER not in result.output
    return result


def rows(stage: Stage, table: str) -> list[dict]:
    return [item_from_wire(one) for one in stage.client("dynamodb").scan(TableName=f"{table}-{STAGE}")["Items"]]


def waiting(stage: Stage, role: str) -> int:
    attributes = stage.client("sqs").get_queue_attributes(QueueUrl=stage.queue_url(role), AttributeNames=["All"])
    names = ("", "Delayed", "NotVisible")
    return sum(int(attributes["Attributes"][f"ApproximateNumberOfMessages{name}"]) for name in names)


def send_dead_letter(stage: Stage, role: str, body: str) -> None:
    stage.client("sqs").send_message(QueueUrl=stage.queue_url(f"{role}-dlq"), MessageBody=body, MessageGroupId="acme")


def log(stage: Stage, function: str, **fields: object) -> None:
    """One line of ours in a function's log group."""
    logs, group = stage.client("logs"), f"/aws/lambda/replies-engine-{STAGE}{function}"
    there = {one["logGroupName"] for one in logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]}
    if group not in there:
        logs.create_log_group(logGroupName=group)
    if not logs.describe_log_streams(logGroupName=group)["logStreams"]:
        logs.create_log_stream(logGroupName=group, logStreamName="one")
    event = {
        "timestamp": int(datetime.now(UTC).timestamp() * 1_000),
        "message": json.dumps({"level": "INFO", **fields}),
    }
    logs.put_log_events(logGroupName=group, logStreamName="one", logEvents=[event])


class TestRedrive:
    TRIGGER = json.dumps({**KEY.item, "trigger_id": "t1", "RetryAttempt": 0})

    def test_a_dry_run_tells_and_leaves(self, stage: Stage):
        """By conversation, with when and why; no address."""
        send_dead_letter(stage, "whatsapp", self.TRIGGER)

        told = run("redrive", "whatsapp", "--dry-run")

        assert "conversation-1  failed too often  would be redriven" in told.stdout
        assert (waiting(stage, "whatsapp-dlq"), waiting(stage, "whatsapp")) == (1, 0)

    def test_a_redrive_asks_and_a_no_changes_nothing(self, stage: Stage):
        """Its exit code says so."""
        send_dead_letter(stage, "whatsapp", self.TRIGGER)

        told = run("redrive", "whatsapp", typed="n\n")

        assert told.exit_code == 3
        assert waiting(stage, "whatsapp-dlq") == 1

    def test_a_redrive_moves_the_letters_back(self, stage: Stage):
        """With an answer given beforehand; to repeat it does nothing more."""
        send_dead_letter(stage, "whatsapp", self.TRIGGER)

        first, second = (run("redrive", "whatsapp", "--yes") for _ in range(2))

        assert "1 redriven" in first.stdout
        assert "no dead letters" in second.stdout
        assert (waiting(stage, "whatsapp-dlq"), waiting(stage, "whatsapp")) == (0, 1)

    def test_a_queue_that_is_not_there_is_one_line(self, stage: Stage):
        """With those that are."""
        told = run("redrive", "mail", "--yes")

        assert told.exit_code == 2
        assert told.stderr == (
            "Error: stage dev has no queue mail; "
            "fix: one of whatsapp, sms, email, human-handoff, ai, ai-replies, human-replies\n"
        )


class TestDeadLetters:
    BODY = json.dumps({**KEY.item, "reply_id": "r1", "batch_id": "b1", "body": "your diagnosis"})

    def the_id(self) -> str:
        (one,) = json.loads(run("dead-letters", "list", "--json").stdout)["dead_letters"]
        return str(one["id"])

    def test_letters_of_every_queue_are_listed(self, stage: Stage):
        """With when, whose and why; each stays where it is."""
        send_dead_letter(stage, "ai-replies", self.BODY)
        send_dead_letter(stage, "whatsapp", "no JSON")

        told = run("dead-letters", "list").stdout

        assert "ai-replies     conversation-1  it failed too often" in told
        assert "whatsapp       no conversation  it failed too often  unreadable" in told
        assert (waiting(stage, "ai-replies-dlq"), waiting(stage, "whatsapp-dlq")) == (1, 1)

    def test_one_letter_is_shown_masked(self, stage: Stage):
        """Ids whole, a text as its length, an address as its ends."""
        send_dead_letter(stage, "ai-replies", self.BODY)

        told = run("dead-letters", "show", self.the_id()).stdout

        assert '"body": "14 characters"' in told
        assert '"primary_channel": "+49…678"' in told
        assert "diagnosis" not in told
        assert waiting(stage, "ai-replies-dlq") == 1

    def test_one_letter_is_redriven_and_the_others_stay(self, stage: Stage):
        """By how its id begins."""
        for _ in range(2):
            send_dead_letter(stage, "ai-replies", self.BODY)
        first = json.loads(run("dead-letters", "list", "ai-replies", "--json").stdout)["dead_letters"][0]["id"]

        told = run("dead-letters", "redrive", first[:12], "--yes")

        assert told.exit_code == 0
        assert (waiting(stage, "ai-replies-dlq"), waiting(stage, "ai-replies")) == (1, 1)

    def test_one_letter_is_dropped_with_its_reason(self, stage: Stage, tmp_path):
        """The reason is kept; a no keeps the letter."""
        send_dead_letter(stage, "whatsapp", "no JSON")
        letter = self.the_id()
        declined = run("dead-letters", "drop", letter, "--reason", "a test", typed="n\n")
        kept = waiting(stage, "whatsapp-dlq")

        told = run("dead-letters", "drop", letter, "--reason", "a test", "--yes")

        assert (declined.exit_code, kept, told.exit_code, waiting(stage, "whatsapp-dlq")) == (3, 1, 0, 0)
        entry = json.loads((tmp_path / "config" / "replies-engine" / "dropped.jsonl").read_text())
        assert (entry["id"], entry["why"], entry["queue"]) == (letter, "a test", "whatsapp")

    def test_what_nobody_can_read_is_dropped_by_queue(self, stage: Stage):
        """What its reader can read stays."""
        send_dead_letter(stage, "whatsapp", "no JSON")
        send_dead_letter(stage, "whatsapp", TestRedrive.TRIGGER)

        told = run("dead-letters", "drop", "whatsapp", "--unreadable", "--reason", "a test", "--yes")

        assert told.stdout.splitlines()[-1] == "1 dropped"
        assert waiting(stage, "whatsapp-dlq") == 1

    @pytest.mark.parametrize("letter", ["abc", "abcdef0123"])
    def test_an_id_that_names_no_letter_is_one_line(self, stage: Stage, letter: str):
        """With the command that lists them."""
        told = run("dead-letters", "show", letter)

        assert (told.exit_code, told.stderr.count("\n")) == (2, 1)
        assert "dead-letters list" in told.stderr


class TestUnlock:
    def lock(self, stage: Stage, *, seconds_ago: float) -> None:
        at = iso(datetime.now(UTC) - timedelta(seconds=seconds_ago))
        told = {"conversation_status": "processing_reply", "last_batch_id": "b1", "lock_shard": "3"}
        stage.put_row(**told, processing_started_at=at, unanswered_ids=[])

    def test_a_stalled_lock_is_let_go_of(self, stage: Stage):
        """As the sweep does it."""
        self.lock(stage, seconds_ago=400)

        told = run("unlock", "conversation-1", "--yes")

        assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "unlocked")
        (row,) = rows(stage, "conversations")
        assert row["conversation_status"] == "processing_timeout"
        assert "lock_shard" not in row

    def test_a_young_lock_is_kept(self, stage: Stage):
        """Unless it is asked for."""
        self.lock(stage, seconds_ago=10)

        assert run("unlock", "conversation-1", "--yes").exit_code == 1
        assert run("unlock", "conversation-1", "--now", "--yes").exit_code == 0

    def test_a_conversation_that_is_not_there_is_one_line(self, stage: Stage):
        """Nothing is changed."""
        told = run("unlock", "nobody")

        assert (told.exit_code, told.stderr.count("\n")) == (2, 1)

    def test_two_conversations_of_one_id_are_told_apart(self, stage: Stage):
        """By the row's hash key."""
        stage.put_row(primary_channel="+4915100000000")

        assert "2 conversations are called conversation-1" in run("unlock", "conversation-1").stderr
        assert run("unlock", "conversation-1", "--primary-channel", "+4915100000000").exit_code == 0


class TestHandoff:
    def test_an_open_conversation_is_handed_to_people(self, stage: Stage):
        """Until they give it back."""
        told = run("handoff", "conversation-1", "--reason", "asked for", "--yes")

        assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "handed to people")
        (row,) = rows(stage, "conversations")
        assert (row["handed_off_by"], row["handoff_reason"]) == ("operator", "asked for")

    def test_a_dry_run_changes_nothing(self, stage: Stage):
        """It says what would be done."""
        before = rows(stage, "conversations")

        told = run("handoff", "conversation-1", "--dry-run")

        assert told.exit_code == 0
        assert told.stdout.splitlines()[-1] == "nothing was changed: this was a dry run"
        assert rows(stage, "conversations") == before

    def test_a_conversation_that_is_with_people_is_left_alone(self, stage: Stage):
        """Its handoff keeps its id."""
        run("handoff", "conversation-1", "--yes")
        before = rows(stage, "conversations")

        told = run("handoff", "conversation-1", "--yes")

        assert told.exit_code != 0
        assert "is with people already" in told.stderr
        assert rows(stage, "conversations") == before

    def test_a_reason_that_is_too_long_is_refused(self, stage: Stage):
        """Before anything is read."""
        told = run("handoff", "conversation-1", "--reason", "r" * 1_001, "--yes")

        assert "at most 1000 characters" in told.stderr
        assert "handed_off_by" not in rows(stage, "conversations")[0]


class TestWatchUnanswered:
    def leave(self, stage: Stage) -> None:
        """A batch is at rest, unanswered and in no index."""
        entry = {
            "message_id": "SM1",
            "direction": "INBOUND",
            "content": "hello",
            "timestamp": iso(datetime.now(UTC)),
            "channel_type": "whatsapp",
            "metadata": {"sender": "+4915112345678", "recipient": "+14155238886"},
        }
        told = {"conversation_status": "processing_timeout", "last_batch_id": "b1", "unanswered_ids": ["SM1"]}
        stage.put_row(**told, messages=[entry], last_activity_at=iso(datetime.now(UTC)))

    def test_what_is_at_rest_is_shown_and_watched(self, stage: Stage):
        """The sweep finds it from then on."""
        self.leave(stage)

        told = run("watch-unanswered", "--yes")

        assert (told.exit_code, told.stdout.splitlines()[-1]) == (0, "1 watched, 0 changed meanwhile")
        (row,) = rows(stage, "conversations")
        assert row["lock_shard"].startswith("open-")

    def test_a_dry_run_watches_nothing(self, stage: Stage):
        """It says what would be."""
        self.leave(stage)

        told = run("watch-unanswered", "--dry-run")

        assert told.stdout.splitlines()[-1] == "would be: 1 watched, 0 changed meanwhile"
        (row,) = rows(stage, "conversations")
        assert "lock_shard" not in row

    def test_where_nothing_is_at_rest_that_is_said(self, stage: Stage):
        """Nobody is asked."""
        assert run("watch-unanswered").stdout == "no unanswered messages were left\n"


class TestWidenOptOuts:
    def test_who_is_opted_out_of_a_channel_is_shown_and_widened(self, stage: Stage):
        """The previous version honours it from then on."""
        stage.put_row(opted_out_channels=["sms"])

        told = run("widen-opt-outs", "--yes")

        assert told.exit_code == 0
        assert told.stdout.splitlines()[0].endswith("opted out of sms")
        assert told.stdout.splitlines()[-1] == "1 widened, 0 changed meanwhile"
        (row,) = rows(stage, "conversations")
        assert (row["opted_out"], row["opted_out_channels"]) == (True, [])

    def test_a_dry_run_widens_nothing(self, stage: Stage):
        """It says what would be."""
        stage.put_row(opted_out_channels=["sms"])

        told = run("widen-opt-outs", "--dry-run")

        assert told.stdout.splitlines()[-1] == "would be: 1 widened, 0 changed meanwhile"
        (row,) = rows(stage, "conversations")
        assert row["opted_out_channels"] == ["sms"]

    def test_where_nobody_is_opted_out_that_is_said(self, stage: Stage):
        """Nobody is asked."""
        stage.put_row(opted_out_channels=[])

        assert run("widen-opt-outs").stdout == "no conversation is opted out of a channel\n"


class TestExplain:
    def test_a_conversation_s_story_comes_from_tables_queues_and_logs(self, stage: Stage):
        """In order, masked, with a verdict."""
        entry = {
            "message_id": SID,
            "direction": "INBOUND",
            "content": "my diagnosis",
            "timestamp": "2026-01-31T18:00:00+00:00",
            "channel_type": "whatsapp",
            "metadata": {"sender": CUSTOMER, "recipient": COMPANY},
            "batch_id": "b1",
        }
        locked = {"conversation_status": "processing_reply", "last_batch_id": "b1", "unanswered_ids": [SID]}
        stage.put_row(messages=[entry], processing_started_at=iso(datetime.now(UTC)), **locked)
        send_dead_letter(stage, "ai", json.dumps({"conversation": KEY.item, "meta": {"batch_id": "b1"}}))
        log(stage, "-batch_whatsapp", step="dispatched", batch_id="b1", count=1, conversation_id="conversation-1")

        told = run("explain", "conversation-1").stdout

        assert "the customer wrote: " + SID + ", 12 characters, batch_id b1" in told
        assert "batch b1 dispatched to the AI: 1 message(s)" in told
        assert "ai-dlq" in told
        assert told.splitlines()[-1].startswith("=> a dead letter: no reply yet: the AI worker failed at it")
        assert "diagnosis" not in told
        assert waiting(stage, "ai-dlq") == 1

    def test_a_message_that_is_only_in_the_logs_leads_to_its_conversation(self, stage: Stage):
        """By its sid."""
        log(stage, "", step="received", message_sid=SID)
        log(stage, "", step="staged", message_sid=SID, conversation_id="conversation-1")

        told = run("explain", SID).stdout

        assert "conversation conversation-1 of acme" in told
        assert f"the log has {SID}, and no table holds it" in told

    def test_a_message_that_the_webhook_refused_is_explained_by_its_line(self, stage: Stage):
        """No conversation is known of it."""
        log(stage, "", step="refused", message_sid=SID, code="INVALID_SIGNATURE", reason="no secret signed it")

        told = run("explain", SID).stdout

        assert "no reply: it was not taken, INVALID_SIGNATURE" in told

    @pytest.mark.parametrize("is_moved", [False, True])
    def test_a_message_that_no_log_tells_of_is_found_in_the_record_and_the_history(self, stage: Stage, is_moved: bool):
        """It is older than the lines that are read: nothing says that it never came."""
        at = "2026-01-31T18:00:00+00:00"
        entry = {"message_id": SID, "direction": "INBOUND", "content": "hello", "timestamp": at, "batch_id": "b1"}
        stage.put_row(messages=[] if is_moved else [entry])
        if is_moved:
            row = {**KEY.item, "message_id": SID, "entry": entry}
            stage.client("dynamodb").put_item(TableName=f"conversations-history-{STAGE}", Item=item_to_wire(row))

        told = run("explain", SID).stdout

        assert f"the customer wrote: {SID}, 5 characters, batch_id b1" in told
        assert "never came" not in told

    def test_a_staged_message_is_found_by_its_sid(self, stage: Stage):
        """Without any log."""
        context = {"messages": [{"from": CUSTOMER, "to": COMPANY}]}
        row = {**KEY.item, "message_sid": SID, "channel": "whatsapp", "tenant": "acme", "route": "channel"}
        told = {**row, "received_at": iso(datetime.now(UTC)), "expires_at": 1, "context_object": context}
        stage.client("dynamodb").put_item(TableName=f"conversations-stage-{STAGE}", Item=item_to_wire(told))

        assert "no reply: it is staged and no trigger waits" in run("explain", SID).stdout

    def test_a_person_s_address_leads_to_their_conversations(self, stage: Stage):
        """Written in any way, and shown masked; the exit code is that of the last one."""
        stage.put_row(project_status="paused")

        told = run("explain", f"whatsapp:{CUSTOMER}")

        assert told.exit_code == 30
        assert "=> the project is paused" in told.stdout

    def test_a_send_id_leads_to_its_conversation(self, stage: Stage):
        """As the status callback's URL has it."""
        row = {
            **KEY.item,
            "send_id": "s" * 40,
            "tenant": "acme",
            "channel": "whatsapp",
            "credential_ref": REF,
            "reply_id": "r1",
            "part": 1,
            "parts": 1,
            "entry": {},
            "state": "sent",
            "claim_token": "t",
            "claimed_at": "2026-01-31T18:00:00+00:00",
            "provider_sid": "SM9",
        }
        names = {"state": send_rows.STATE, "claim_token": send_rows.TOKEN, "claimed_at": send_rows.CLAIMED_AT}
        row = {names.get(name, name): value for name, value in row.items()}
        stage.client("dynamodb").put_item(TableName=f"conversations-sends-{STAGE}", Item=item_to_wire(row))

        assert "conversation conversation-1 of acme" in run("explain", "s" * 40).stdout

    def test_an_unknown_id_has_an_exit_code_of_its_own(self, stage: Stage):
        """And is called no fault of ours."""
        told = run("explain", "SM404", "--json")

        document = json.loads(told.stdout)
        assert (told.exit_code, document["exit_code"]) == (60, 60)
        assert [one["is_a_fault_of_ours"] for one in document["stories"]] == [False]


@pytest.fixture
def lost(twilio: TwilioStub) -> TwilioStub:
    """A message that Twilio delivered and nobody took."""
    twilio.take_in(ACCOUNT_SID, to=f"whatsapp:{COMPANY}", sender=f"whatsapp:{CUSTOMER}", body="lost", sid=SID)
    return twilio


@pytest.mark.usefixtures("lost")
class TestCatchUp:
    def test_a_dry_run_tells_what_would_come_back(self, stage: Stage, twilio: TwilioStub):
        """And changes nothing."""
        told = run("catch-up", "acme", "--since", "1h", "--dry-run")

        assert f"whatsapp  {SID}  +49…678  taken in; staged, route channel, trigger sent" in told.stdout
        assert told.stdout.splitlines()[-1] == "would be: 1 taken in"
        assert (rows(stage, "conversations-stage"), waiting(stage, "whatsapp")) == ([], 0)

    def test_an_ended_conversation_without_a_secret_is_in_nobody_s_way(self, stage: Stage, twilio: TwilioStub):
        """Its address is asked for with the secret that the others name."""
        for ref in ({}, {"credential_ref": REF.replace("whatsapp", "gone")}):
            old = conversation(conversation_id=f"old{len(ref)}", task_complete=1, channel_config={"whatsapp": ref})
            row = {name: value for name, value in old.items() if name != "gsi_company_sms_number"}
            stage.client("dynamodb").put_item(TableName=f"conversations-{STAGE}", Item=item_to_wire(row))

        told = run("catch-up", "acme", "--since", "1h", "--yes")

        assert told.stdout.splitlines()[-1] == "1 taken in"

    def test_what_is_missing_comes_back_and_to_repeat_does_nothing(self, stage: Stage, twilio: TwilioStub):
        """Staged and triggered as by a webhook."""
        first, second = (run("catch-up", "acme", "--since", "1h", "--yes") for _ in range(2))

        assert [one.stdout.splitlines()[-1] for one in (first, second)] == ["1 taken in", "1 known here"]
        assert [row["message_sid"] for row in rows(stage, "conversations-stage")] == [SID]
        assert waiting(stage, "whatsapp") == 1

    def test_one_message_is_taken_in_alone(self, stage: Stage, twilio: TwilioStub):
        """By its sid; one that the provider does not list is said to be one."""
        twilio.take_in(ACCOUNT_SID, to=f"whatsapp:{COMPANY}", sender=f"whatsapp:{CUSTOMER}", body="another")

        told = run("catch-up", "acme", "--message", SID, "--yes")
        unknown = run("catch-up", "acme", "--message", "SM404", "--yes")

        assert told.stdout.splitlines()[-1] == "1 taken in"
        assert [row["message_sid"] for row in rows(stage, "conversations-stage")] == [SID]
        assert (unknown.exit_code, "does not list SM404" in unknown.stderr) == (2, True)

    def test_a_tenant_that_nobody_knows_is_one_line(self, stage: Stage, twilio: TwilioStub):
        """With those that are known."""
        told = run("catch-up", "nobody", "--since", "1h").stderr

        assert told == "Error: nobody has no conversation; fix: one of the known companies: acme\n"

    def test_a_provider_without_a_list_is_said_to_be_one(self, stage: Stage, twilio: TwilioStub, monkeypatch):
        """Nothing can be asked of it."""
        monkeypatch.setattr(providers, "of_channel", lambda _: providers.SENDGRID)

        told = run("catch-up", "acme", "--since", "1h", "--yes")

        assert "its provider keeps no list of delivered messages, so catch-up is not possible" in told.stdout


class TestTail:
    def test_lines_of_all_functions_are_one_stream(self, stage: Stage):
        """In words, with whose they are; nothing quieter than was asked for."""
        log(stage, "", step="staged", route="channel", message_sid=SID, tenant="acme")
        log(stage, "-send_replies", step="no_status_callback", level="WARNING")
        log(stage, "-batch_sms", step="nothing_staged", level="DEBUG")
        log(stage, "-answer_batches", step="answered")  # a rehearsal deploys an AI worker that no file names

        told = run("tail", "--since", "1h", "--no-follow").stdout.splitlines()

        assert sorted(line[9:].split()[0] for line in told) == ["answer_batches", "api_handler", "send_replies"]
        assert told[0].endswith(f"staged, route channel  acme {SID}")

    def test_a_stage_without_log_groups_says_so(self, stage: Stage):
        """In one line."""
        for one in stage.client("logs").describe_log_groups()["logGroups"]:
            stage.client("logs").delete_log_group(logGroupName=one["logGroupName"])

        assert run("tail", "--no-follow").stderr.startswith("Error: stage dev has no log group; fix: make deploy")


class TestTenant:
    def secret(self, stage: Stage, name: str = REF) -> dict:
        return json.loads(stage.client("secretsmanager").get_secret_value(SecretId=name)["SecretString"])

    def test_a_secret_is_made_by_the_pattern_and_what_to_do_next_is_told(self, stage: Stage):
        """What it holds is typed, and not shown."""
        told = run(
            "tenant", "add", "globex", "--channel", "whatsapp", "--no-ask", "--yes", typed="AC1\ntoken-of-globex\n"
        )

        name = "ai-multi-comms/whatsapp-credentials/globex/main/twilio-dev"
        assert self.secret(stage, name) == {"account_sid": "AC1", "auth_token": "token-of-globex"}
        assert f"channel_config.whatsapp.credential_ref = {name}" in told.stdout
        assert "token-of-globex" not in told.stdout

    def test_a_token_that_twilio_does_not_accept_is_not_stored(self, stage: Stage, twilio: TwilioStub):
        """Twilio is asked before anything is written; one that it accepts is."""
        arguments = ("tenant", "add", "globex", "--channel", "whatsapp", "--yes")
        refused = run(*arguments, typed=f"{ACCOUNT_SID}\nmistyped\n")
        names = [one["Name"] for one in stage.client("secretsmanager").list_secrets()["SecretList"]]

        stored = run(*arguments, typed=f"{ACCOUNT_SID}\n{AUTH_TOKEN}\n")

        assert (refused.exit_code, names, stored.exit_code) == (2, [REF], 0)
        assert "twilio does not accept this auth_token; nothing was stored" in refused.stderr

    def test_one_channel_is_rotated_alone(self, stage: Stage, twilio: TwilioStub):
        """A channel without a secret is answered with those that have one."""
        told = run("tenant", "rotate", "acme", "--channel", "sms", "--yes")

        assert told.exit_code == 2
        assert "secrets are there of: acme (whatsapp)" in told.stderr

    @pytest.mark.parametrize(
        "command", [("tenant", "policy"), ("tenant", "repair"), ("tenant", "check"), ("tenant", "rotate")]
    )
    def test_an_unknown_company_is_answered_with_the_known_ones(self, stage: Stage, twilio: TwilioStub, command):
        """Whatever is asked of it."""
        more = ("numbers",) if command[-1] == "repair" else ()

        told = run(*command, "nobody", *more)

        assert told.exit_code != 0
        assert "acme" in told.output

    def test_a_secret_that_is_there_is_not_overwritten(self, stage: Stage, twilio: TwilioStub):
        """Unless it is asked for."""
        typed = f"{ACCOUNT_SID}\nanother\n"
        twilio._accounts[ACCOUNT_SID] = Account(ACCOUNT_SID, "another")
        refused = run("tenant", "add", "acme", "--channel", "whatsapp", "--yes", typed=typed)
        kept = self.secret(stage)
        replaced = run("tenant", "add", "acme", "--channel", "whatsapp", "--replace", "--yes", typed=typed)

        assert (refused.exit_code, kept, replaced.exit_code) == (2, SECRET, 0)
        assert self.secret(stage)["auth_token"] == "another"

    def test_a_token_is_rotated_in_two_steps_with_a_promotion_in_between(self, stage: Stage, twilio: TwilioStub):
        """The last one waits for the provider to drop the old token."""
        twilio._accounts[ACCOUNT_SID] = Account(ACCOUNT_SID, AUTH_TOKEN, secondary_auth_token="fresh")
        begun = run("tenant", "rotate", "acme", "--yes", typed="fresh\n")
        between = self.secret(stage)
        too_soon = run("tenant", "rotate", "acme", "--yes")
        still = self.secret(stage)
        twilio._accounts[ACCOUNT_SID] = Account(ACCOUNT_SID, "fresh")

        finished = run("tenant", "rotate", "acme", "--yes")

        assert "either token is accepted in 1800 s at the latest" in begun.stdout
        assert between == still == {**SECRET, "next_auth_token": "fresh"}
        assert "promote the new one" in too_soon.stdout
        assert "rotated" in finished.stdout
        assert self.secret(stage) == {**SECRET, "auth_token": "fresh"}

    def test_a_token_that_twilio_does_not_take_is_not_written(self, stage: Stage, twilio: TwilioStub):
        """It would prove nothing."""
        told = run("tenant", "rotate", "acme", "--yes", typed="mistyped\n")

        assert (told.exit_code, self.secret(stage)) == (2, SECRET)

    def test_a_rotation_can_be_abandoned(self, stage: Stage, twilio: TwilioStub):
        """The new token goes, and nothing else."""
        text = json.dumps({**SECRET, "next_auth_token": "mistyped"})
        stage.client("secretsmanager").put_secret_value(SecretId=REF, SecretString=text)

        assert run("tenant", "rotate", "acme", "--yes").exit_code == 2
        run("tenant", "rotate", "acme", "--abandon", "--yes")

        assert self.secret(stage) == SECRET

    def test_a_check_looks_at_addresses_secrets_account_and_webhooks(self, stage: Stage, twilio: TwilioStub):
        """Of this tenant alone."""
        with served() as (_, url):
            sound = run("tenant", "check", "acme", "--url", url)
        twilio._accounts[ACCOUNT_SID] = Account(ACCOUNT_SID, "promoted")
        with served() as (_, url):
            revoked = run("tenant", "check", "acme", "--url", url)

        assert sound.stdout.splitlines()[:6] == [
            "✓ tenants",
            "✓ rows",
            "✓ shared addresses",
            "✓ secrets",
            "✓ accounts",
            "✓ webhooks",
        ]
        assert (sound.exit_code, revoked.exit_code) == (0, 1)
        assert f"twilio does not accept the auth_token of {REF}" in revoked.stdout


class TestErase:
    def test_a_dry_run_counts_and_a_run_erases(self, stage: Stage):
        """By the person's number, as a provider writes it."""
        stage.put_row(
            primary_channel="+4915100000000",
            conversation_id="c-2",
            recipient_tel="+4915100000000",
            gsi_recipient_tel="+4915100000000",
        )
        counted = run("erase", f"whatsapp:{CUSTOMER}", "--dry-run")
        asked = run("erase", CUSTOMER, typed="n\n")
        before = rows(stage, "conversations")

        erased = run("erase", CUSTOMER, "--yes")

        assert "1  conversations-dev" in counted.stdout
        assert (asked.exit_code, len(before)) == (3, 2)
        assert "Erased 1 row(s)" in erased.stdout
        assert [row["conversation_id"] for row in rows(stage, "conversations")] == ["c-2"]

    def test_somebody_of_whom_there_is_nothing_is_said_to_be_one(self, stage: Stage):
        """Nobody is asked."""
        assert run("erase", "+4915100000009").stdout.endswith("Nothing was erased.\n")


def test_every_command_tells_what_it_does():
    """And the group all of them."""
    told = CliRunner().invoke(cli, ["--help"]).stdout

    for command in (
        "catch-up",
        "doctor",
        "erase",
        "explain",
        "handoff",
        "redrive",
        "tail",
        "tenant",
        "unlock",
        "watch-unanswered",
        "widen-opt-outs",
    ):
        assert f"  {command}" in told
        assert CliRunner().invoke(cli, [command, "--help"]).exit_code == 0


class TestTrials:
    def test_production_is_loaded_only_with_a_word_of_its_own(self, stage: Stage):
        """A stage named prod serves customers."""
        result = CliRunner().invoke(cli, ["load", "--stage", "prod", "--region", REGION, "--yes"])

        assert result.exit_code == 2
        assert "stage prod serves customers; fix: another --stage, or --on-production" in result.output

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            (["--rate", "51"], "0.1<=x<=50"),
            (["--seconds", "901"], "1<=x<=900"),
            (["--tenants", "51"], "1<=x<=50"),
            (["--rate", "50", "--seconds", "900"], "at most 20000 are sent"),
        ],
    )
    def test_a_load_has_its_bounds(self, stage: Stage, options: list[str], why: str):
        """Each alone, and all together."""
        told = run("load", "--yes", *options)

        assert told.exit_code == 2
        assert why in told.output

    @pytest.mark.parametrize("command", ["smoke", "load"])
    def test_a_no_changes_nothing(self, stage: Stage, twilio: TwilioStub, command: str):
        """No company is made."""
        before = rows(stage, "conversations")

        told = run(command, "--url", "http://127.0.0.1:9", typed="n\n")

        assert told.exit_code == 3
        assert rows(stage, "conversations") == before

    @pytest.mark.parametrize("command", ["smoke", "load"])
    def test_a_trial_needs_accounts_that_send_nothing(self, stage: Stage, command: str):
        """Twilio's own API is there, and no test credentials are."""
        told = run(command, "--url", "http://127.0.0.1:9", "--yes")

        assert told.exit_code == 2
        assert "needs Twilio's test credentials" in told.output

    def test_an_unreachable_stage_fails_at_the_receipt_and_nothing_is_left(self, stage: Stage, twilio: TwilioStub):
        """Neither a row nor a secret; the exit code says that a step failed."""
        before = rows(stage, "conversations")

        told = run("smoke", "--url", "http://127.0.0.1:9", "--yes")

        assert told.exit_code == 1
        assert "whatsapp failed at receipt; sms failed at receipt; email failed at receipt" in told.output
        assert rows(stage, "conversations") == before
        names = [one["Name"] for one in stage.client("secretsmanager").list_secrets()["SecretList"]]
        assert names == [REF]

    def test_a_load_that_nobody_answers_says_so(self, stage: Stage, twilio: TwilioStub):
        """As one document for programs; its company is gone."""
        told = run(
            "load", "--url", "http://127.0.0.1:9", "--yes", "--json", "--rate", "50", "--seconds", "1", "--tenants", "1"
        )

        document = json.loads(told.stdout)
        assert (told.exit_code, document["answers"]) == (1, {"no answer": 50})
        assert len(rows(stage, "conversations")) == 1
