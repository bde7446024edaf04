"""The policy files: generated, exact, used to the last action, and enough for every call."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chalicelib.channels.sender import TemporaryFailure
from chalicelib.clock import iso
from infrastructure import policies
from infrastructure.rights import RIGHTS
from infrastructure.stages import AI_FUNCTION, Stage, functions, stages
from tests.emails import Email
from tests.fakes.clock import START
from tests.fakes.faults import Fault, FaultPlan
from tests.faults.failure_modes import FAILURE_MODES, FailureMode, tell
from tests.faults.scenarios import PHOTO, SCENARIOS, Scenario
from tests.rights import Use, is_allowed, recording
from tests.world import KEY, World, conversation, email_conversation

DEPLOYED = [stage for stage in stages().values() if stage.is_deployable]
CONFIG = json.loads((policies.CHALICE / "config.json").read_text())

ROLE_CHARACTERS_MAX = 10_240
"""What IAM takes as the inline policies of one role, white space not counted."""

READS = {
    "batch_whatsapp": "whatsapp",
    "batch_sms": "sms",
    "batch_email": "email",
    "send_replies": "ai-replies",
    "send_human_replies": "human-replies",
}
"""The queue that an event source mapping reads for a function."""

EACH = pytest.mark.parametrize(
    ("stage", "function"),
    [pytest.param(stage, function, id=f"{stage.name}-{function}") for stage in DEPLOYED for function in functions()],
)


class TextedWorld(World):
    """A world whose customer writes SMS."""

    def form(self, body: str = "hello", **parameters: str) -> dict[str, str]:
        form = super().form(body, **parameters)
        return {**form, **{end: form[end].removeprefix("whatsapp:") for end in ("From", "To")}}


class MailedWorld(World):
    """A world whose customer writes e-mails, each with a photo."""

    def __init__(self, plan: FaultPlan | None = None, *rows: dict[str, Any], **settings: str) -> None:
        mailed = email_conversation()
        super().__init__(plan, *({**mailed, **row, **_of_mail(mailed)} for row in rows or (mailed,)), **settings)

    def deliver(self, body: str = "hello", **_: str) -> str:
        email = Email(body, message_id=f"<{next(self.sids)}@customer.example>", attachments=(PHOTO,))
        self.deliver_email(email)
        return email.message_sid


KINDS = (World, TextedWorld, MailedWorld)


def _of_mail(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("allowed_channels", "channel_config")}


def statements(stage: Stage, function: str) -> list[dict[str, Any]]:
    """The statements of the file that Chalice reads."""
    return json.loads(policies.path(stage.name, function).read_text())["Statement"]


def play(scenario: Scenario, kind: type[World], fault: Fault | None = None, at: int = 0) -> int:
    """Play a scenario, its call number `at` meeting `fault`, until all is at rest; how many calls it made itself."""
    world = kind(FaultPlan(), scenario.row(), **scenario.settings)
    scenario.prepare(world)
    before = len(world.plan.calls)
    world.plan.faults = {} if fault is None else {before + at: fault}
    scenario.act(world)
    made = len(world.plan.calls) - before
    world.run(600, step=30)
    return made


def respond(way: FailureMode, fault: Fault | None = None, at: int = 0) -> int:
    """The same of an unknown sender's message, which the provider will not send, until that is given up."""
    world = way.world()
    world.plan.faults = {} if fault is None else {at: fault}
    world.phone.outcomes = [TemporaryFailure("429")] * (world.settings.reply_attempts_max + 1)
    tell(world, way)
    made = len(world.plan.calls)
    while not world.is_silent:
        world.clock.advance(300)
        world.send_replies()
    return made


def write_on_and_on() -> None:
    """Have people reply until the record is full and old entries are moved off it."""
    world = World()
    world.deliver()
    world.run(60)
    for number in range(8):
        words = {
            "version": "1.0",
            "source": "human",
            "reply_id": f"reply-{number}",
            "body": f"{number} " + "word " * 9_000,
        }
        world.queues.human_replies.inject(json.dumps({**KEY.item, **words}), group="acme")
        world.send_replies()


def answer_by_people(kind: type[World], fault: Fault | None = None, at: int = 0) -> int:
    """People answer while a staged message has lost its trigger, and bury what is no reply; how many calls it took."""
    world = kind(FaultPlan())
    world.deliver()
    world.run(60)
    world.deliver()
    world.tables.trigger_lock.expire(2**40)
    world.clock.advance(world.settings.secret_ttl_seconds + 11)  # the worker has not fetched the secret lately
    reply = {"version": "1.0", "source": "human", "reply_id": "r-1", "body": "hello"}
    for body in ("no reply", json.dumps({**KEY.item, **reply})):
        world.queues.human_replies.inject(body, group="acme")
    before = len(world.plan.calls)
    world.plan.faults = {} if fault is None else {before + at: fault}
    world.send_replies()
    return len(world.plan.calls) - before


class TestFiles:
    def test_the_committed_files_are_those_that_are_generated(self):
        """`make policies` would change nothing."""
        assert policies.stale() == []

    @EACH
    def test_chalice_is_told_of_the_file_of_each_function(self, stage: Stage, function: str):
        """And generates none of its own, which would grant what app.py alone calls, everywhere."""
        told = CONFIG["stages"][stage.name]["lambda_functions"][function]

        assert CONFIG["autogen_policy"] is False
        assert policies.CHALICE / told["iam_policy_file"] == policies.path(stage.name, function)

    def test_a_file_that_is_edited_missing_or_left_over_is_stale_and_written_anew(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        """One command restores the files from any state."""
        monkeypatch.setattr(policies, "CHALICE", tmp_path)
        policies.write()
        edited, gone = policies.path("dev", "batch_sms"), policies.path("prod", "api_handler")
        left_over = tmp_path / "policy-dev-long_gone.json"
        edited.write_text(edited.read_text().replace("Query", "*"))
        gone.unlink()
        left_over.write_text("{}")

        changed = policies.write()

        assert changed == sorted([edited, gone, left_over])
        assert policies.stale() == []
        assert not left_over.exists()

    def test_the_table_of_rights_has_every_function_and_no_other(self):
        """A function without a row would have no rights, and a row without a function none to give."""
        assert sorted(RIGHTS) == sorted(functions())


class TestAiWorker:
    """The function that only the stages have that switch it on."""

    @staticmethod
    def stage(**variables: str) -> Stage:
        prod = stages()["prod"]
        return replace(prod, variables={**prod.variables, **variables})

    def test_no_stage_has_it_by_default(self):
        """The AI queue is the company's own worker's."""
        assert AI_FUNCTION not in {one for stage in stages().values() for one in functions(stage)}
        assert not list(policies.CHALICE.glob(f"policy-*-{AI_FUNCTION}.json"))

    def test_chalice_is_told_of_its_file_beforehand(self):
        """So that switching it on is one setting and `make policies`."""
        for stage in DEPLOYED:
            told = CONFIG["stages"][stage.name]["lambda_functions"][AI_FUNCTION]["iam_policy_file"]
            assert policies.CHALICE / told == policies.path(stage.name, AI_FUNCTION)

    def test_a_stage_that_switches_it_on_gets_its_policy(self, monkeypatch: pytest.MonkeyPatch):
        """It reads the AI queue and the record, and sends replies."""
        on = self.stage(AI_WORKER="echo")
        monkeypatch.setattr(policies, "stages", lambda: {"prod": on})

        (told,) = (text for file, text in policies.files().items() if file == policies.path("prod", AI_FUNCTION))

        actions = {action: one["Resource"] for one in json.loads(told)["Statement"] for action in one["Action"]}
        assert actions["sqs:ReceiveMessage"].endswith(":replies-engine-prod-ai")
        assert actions["sqs:SendMessage"].endswith(":replies-engine-prod-ai-replies")
        assert actions["dynamodb:GetItem"].endswith(":table/conversations-prod")
        assert not [one for one in actions if one.startswith("bedrock:")]

    @pytest.mark.parametrize(
        ("model", "arns"),
        [
            ("acme.model-v1:0", ["arn:*:bedrock:*::foundation-model/acme.model-v1:0"]),
            (
                "eu.acme.model-v1:0",
                [
                    "arn:*:bedrock:*:*:inference-profile/eu.acme.model-v1:0",
                    "arn:*:bedrock:*::foundation-model/acme.model-v1:0",
                ],
            ),
        ],
    )
    def test_it_may_ask_its_own_model_and_no_other(self, model: str, arns: list[str]):
        """An inference profile leads to the model in other regions."""
        statements = policies.document(self.stage(AI_WORKER="bedrock", AI_WORKER_MODEL=model), AI_FUNCTION)["Statement"]

        assert [one["Resource"] for one in statements if one["Action"] == ["bedrock:InvokeModel"]] == arns


class TestExactness:
    @EACH
    def test_no_action_and_no_resource_is_a_wildcard_but_x_ray_s(self, stage: Stage, function: str):
        """X-Ray has no finer resource; its statement says so."""
        others = [one for one in statements(stage, function) if one["Sid"] != "TracesHaveNoFinerResource"]

        assert len(others) == len(statements(stage, function)) - 1
        assert not [action for one in others for action in one["Action"] if "*" in action]
        for one in others:
            partition, service, region, account, name = re.fullmatch(
                r"arn:([^:]*):([^:]*):([^:]*):([^:]*):(.+)", one["Resource"]
            ).groups()
            assert partition == "*"
            assert (region, account) == (("", "") if service == "s3" else ("*", "*"))
            assert service in {"dynamodb", "sqs", "s3", "secretsmanager", "logs"}
            assert not name.startswith("*")

    @EACH
    def test_a_stage_s_function_reaches_nothing_of_another_stage(self, stage: Stage, function: str):
        """Each resource's name carries the stage."""
        names = [one["Resource"].split(":", 5)[5] for one in statements(stage, function) if one["Resource"] != "*"]

        assert [name for name in names if not re.search(rf"\b{stage.name}\b", name)] == []

    @pytest.mark.parametrize(("is_copying", "workers"), [("false", set()), ("true", {"batch_whatsapp", "batch_sms"})])
    def test_a_worker_has_secrets_and_bucket_only_where_it_copies_media(self, is_copying: str, workers: set[str]):
        """Else it needs neither, and whoever got into it would have nothing of them."""
        stage = replace(stages()["prod"], variables={**stages()["prod"].variables, "MEDIA_COPYING": is_copying})

        of_copying = {"secretsmanager:GetSecretValue", "s3:PutObject"}
        batches = [function for function in functions() if function.startswith("batch_")]
        have = {one for one in batches if of_copying & {action for action, _ in policies.allowed(stage, one)}}

        assert have == workers

    @EACH
    def test_lambda_may_do_with_queue_and_log_what_it_does_in_the_function_s_name(self, stage: Stage, function: str):
        """Chalice adds nothing to a policy of one's own."""
        arns = {action: one["Resource"] for one in statements(stage, function) for action in one["Action"]}

        read = {arns.get(f"sqs:{action}") for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")}

        assert read == {f"arn:*:sqs:*:*:replies-engine-{stage.name}-{READS[function]}" if function in READS else None}
        group = f"arn:*:logs:*:*:log-group:/aws/lambda/{stage.function_name(function)}:*"
        assert {arns[f"logs:{action}"] for action in ("CreateLogStream", "PutLogEvents")} == {group}
        assert "logs:CreateLogGroup" not in arns

    @EACH
    def test_the_file_is_no_longer_than_iam_takes(self, stage: Stage, function: str):
        """As the inline policy of a role."""
        text = policies.path(stage.name, function).read_text()

        assert len("".join(text.split())) <= ROLE_CHARACTERS_MAX


def meet_what_others_left(kind: type[World]) -> None:
    """A worker, a reply and the sweep find a claim or an end that somebody else did not finish."""
    world = kind()
    document = world.burst_with_ai()
    claimed = {"reply_claim": "#people", "reply_claimed_at": iso(START)}
    world.tables.conversations.seed({**world.row, **claimed, "messages_moved_before": iso(START)})
    world.deliver()
    world.clock.advance(60)
    world.reply(document, "too late")
    world.send_replies()

    world.deliver()
    world.run(60)
    part = world.sends[0]
    world.tables.conversations.seed({**world.row, **UNREPORTED, "last_reply_id": part["reply_id"]})
    world.deliver()
    world.clock.advance(11)
    world.work()
    world.run(60)
    kept = {"messages": [], "messages_moved_before": iso(START), "last_batch_id": part["batch_id"]}
    unreported = {**world.row, **UNREPORTED, **kept, "last_reply_id": part["reply_id"]}
    world.tables.conversations.seed(unreported)
    again = {**KEY.item, "version": "1.0", "batch_id": part["batch_id"], "reply_id": part["reply_id"], "body": "again"}
    world.queues.replies.inject(json.dumps(again), group="acme")
    world.send_replies()
    world.tables.conversations.seed(unreported)
    world.clock.advance(400)
    world.sweep()


UNREPORTED = {
    "conversation_status": "processing_error",
    "processing_error_code": "UNKNOWN_OUTCOME",
    "lock_shard": "open-0",
    "processing_started_at": iso(START),
}
"""A stalled reply was given up, and nobody has reported it."""


def show_that_an_answer_is_being_written(kind: type[World]) -> None:
    """By policy, for a batch whose last message came by WhatsApp, whichever channel's function makes it."""
    world = kind(typing_indicator="true")
    world.deliver()
    world.post(World.form(world))
    world.run(60)


def meet_an_older_conversation() -> None:
    """The company has opened a newer conversation of the pair."""
    newer = conversation(conversation_id="c-2", created_at=iso(START))
    World(None, conversation(task_complete=1), newer).deliver()


def play_all() -> Iterator[Callable[[], object]]:
    """The fault tests' scenarios on each channel, reports and bad messages; then a fault at each call of them."""
    calls: list[tuple[Callable[..., int], int]] = []

    def undisturbed(one: Callable[..., int]) -> None:
        calls.append((one, one()))

    for kind in KINDS:
        for scenario in SCENARIOS:
            yield partial(undisturbed, partial(play, scenario, kind))
        yield partial(report_and_send_nonsense, kind)
        yield partial(meet_what_others_left, kind)
        yield partial(show_that_an_answer_is_being_written, kind)
        yield partial(undisturbed, partial(answer_by_people, kind))
    yield meet_an_older_conversation
    yield write_on_and_on
    for way in FAILURE_MODES:
        yield partial(undisturbed, partial(respond, way))
    for one, made in reversed(calls):
        for at in range(made):
            yield partial(one, Fault.UNREACHABLE, at + 1)


def report_and_send_nonsense(kind: type[World]) -> None:
    """The provider reports a delivery, and each queue gets what is no message of it."""
    world = kind()
    world.deliver()
    world.run(60)
    world.report(world.tables.sends.rows[0]["send_id"], "delivered", MessageSid="SMffffffff" + "1".zfill(24))
    for channel in world.queues.triggers:
        world.invoke(channel, ["no trigger"])
    world.queues.replies.inject("no reply", group="acme")
    world.send_replies()


class TestUse:
    def test_every_right_is_used(self):
        """By what functions do, undoing included; the test ends with the use of the last right."""
        with pytest.MonkeyPatch.context() as patch, recording(patch) as recorder:
            known = 0
            for play_one in play_all():
                play_one()
                if len(recorder.uses) > known and not recorder.unused():
                    break
                known = len(recorder.uses)

            assert recorder.unused() == []

    @pytest.mark.proof
    def test_whatever_fails_no_call_is_without_a_right(self):
        """On each channel; every test checks the calls that it saw."""
        for play_one in play_all():
            play_one()

    @pytest.mark.parametrize(
        ("action", "arn"),
        [
            ("dynamodb:Scan", "table/conversations-local"),
            ("dynamodb:Query", "table/conversations-local"),
            ("dynamodb:PutItem", "table/conversations-stage-prod"),
        ],
    )
    def test_a_call_without_a_right_is_seen(self, action: str, arn: str):
        """Another action, another resource, another stage."""
        use = Use("api_handler", action, f"arn:aws:dynamodb:eu-west-1:000000000000:{arn}")

        assert not is_allowed(use)
