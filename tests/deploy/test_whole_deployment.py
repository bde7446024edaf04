"""The project deployed as anybody deploys it, to a local AWS that enforces rights; then what was deployed, black box.

Run by `make deploy-check`: it packages for Lambda, so pip needs a network. The steps build on each other in the order
in which they stand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.parser import Parser
from functools import partial
from importlib.util import MAGIC_NUMBER, source_from_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request

import pytest
from botocore.exceptions import ClientError
from packaging.utils import canonicalize_name

from infrastructure import policies
from infrastructure.locks import pins
from infrastructure.packaging import LOCK
from infrastructure.stages import AI_FUNCTION, functions, stages
from infrastructure.template import MONITORING_FILE, resources
from local import tenants
from local.aws.clients import LocalAws
from local.processes.environment import PROJECT, REGION
from local.rehearsal.clone import OWN_ARCHITECTURE, PATIENCE
from local.rehearsal.domain import domain
from local.requests import emails, messages
from local.requests.signatures import signature
from local.stubs import ai
from local.stubs.sendgrid import Account as MailAccount
from local.stubs.sendgrid import SendGridStub
from local.stubs.twilio import Account, TwilioStub
from tests.deploy.deployment import Deployment, eventually

pytestmark = pytest.mark.deployed

WINDOW_SECONDS = 5
CAPACITY = {
    "WHATSAPP_WORKERS_MAX": "30",
    "AI_REPLIES_WORKERS_MAX": "200",
    "API_REQUESTS_PER_SECOND": "60",
    "API_BURST": "120",
}
"""Other than the defaults, and than those of dev."""
UNCHECKED = (1).to_bytes(4, "little")
"""The flags of a compiled file that is known by its source's hash, and never checked."""
FIRST_START_SECONDS = 90
TRIES = 4
"""Of one message, as `rc=3` has it."""

CONFIG = json.loads((PROJECT / ".chalice" / "config.json").read_text())
TOPIC = f"arn:aws:sns:{REGION}:000000000000:night"
"""The topic that the alarms of dev notify."""
ACCOUNTS = [Account(one.account_sid, one.auth_token) for one in tenants.TENANTS]


@dataclass(frozen=True)
class Conversation:
    """One customer, who writes on one channel to one company."""

    channel: str
    company: tenants.Tenant
    customer: str

    @property
    def address(self) -> str:
        return self.company.customer(self.customer).address

    @property
    def key(self) -> dict[str, str]:
        who = self.company.customer(self.customer)
        return {"primary_channel": who.address, "conversation_id": self.company.conversation_id(who)}

    def write(self, deployment: Deployment, base: str, body: str) -> str:
        """Send one signed message to the webhook below `base`, again as the provider does after a 5xx; its id."""
        message = self.message(body)
        statuses = []
        while not statuses or (statuses[-1] >= 500 and len(statuses) < TRIES):
            statuses.append(self.post(deployment, base, message).status)
        assert statuses[-1] == 200
        return message.sid

    def message(self, body: str) -> Any:
        return messages.Message(
            channel=self.channel,
            sender=self.address,
            recipient=self.company.addresses[self.channel],
            account_sid=self.company.account_sid,
            body=body,
        )

    def post(self, _deployment: Deployment, base: str, message: Any, *, forge: bool = False) -> messages.Answer:
        url = f"{base}/webhooks/{self.channel}"
        return messages.send(url, message, self.company.auth_token, forge=forge)


class MailedConversation(Conversation):
    """One that is held by e-mail."""

    def message(self, body: str) -> Any:
        return emails.Mail(
            sender=self.address,
            recipient=self.company.addresses[self.channel],
            subject="A question",
            body=body,
            message_id=emails.fresh_message_id("customer.example"),
        )

    def post(self, deployment: Deployment, base: str, message: Any, *, forge: bool = False) -> messages.Answer:
        secret = tenants.secret(deployment.aws, self.company.credential_ref(self.channel, "dev"))
        return emails.send(f"{base}/webhooks/email", message, secret[tenants.PRIVATE_KEY], forge=forge)


CONVERSATIONS = [
    Conversation("whatsapp", tenants.SUNRISE, "anna"),
    Conversation("sms", tenants.NORDIC, "david"),
    MailedConversation("email", tenants.SUNRISE, "gina"),
]
BY_CHANNEL = pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda one: one.channel)


@pytest.fixture(scope="module")
def twilio() -> Iterator[TwilioStub]:
    with TwilioStub(ACCOUNTS) as stub:
        yield stub


@pytest.fixture(scope="module")
def sendgrid() -> Iterator[SendGridStub]:
    accounts = [MailAccount(one.api_key, frozenset({one.addresses["email"]})) for one in tenants.TENANTS]
    with SendGridStub(accounts) as stub:
        yield stub


@pytest.fixture(scope="module")
def routes() -> dict[str, str]:
    return {}


@pytest.fixture(scope="module")
def hooks(routes: dict[str, str]) -> Iterator[str]:
    """A domain of one's own before the stage dev."""
    with domain(routes) as url:
        yield url


@pytest.fixture(scope="module")
def deployment(
    local: LocalAws,
    hooks: str,
    routes: dict[str, str],
    twilio: TwilioStub,
    sendgrid: SendGridStub,
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    """A fresh clone, its stage dev deployed by `make deploy`'s command, its tenants in place."""
    made = Deployment.of_project(tmp_path_factory.mktemp("clone"), local, os.environ)
    told = {
        "TWILIO_API_BASE_URL": twilio.url,
        "SENDGRID_API_BASE_URL": sendgrid.url,
        "BATCH_WINDOW_SECONDS": str(WINDOW_SECONDS),
        "BATCH_MAX_WAIT_SECONDS": "30",
        **PATIENCE,
        **CAPACITY,
    }
    made.configure("dev", OWN_ARCHITECTURE, PUBLIC_BASE_URL=hooks, **told)
    made.configure("prod", "arm64", AI_WORKER="echo", **told)
    assert made.infrastructure("policies").returncode == 0

    done = made.infrastructure("deploy", "--stage", "dev", "--alarm-topic", TOPIC)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Twilio    {hooks}/webhooks/whatsapp#rc=3&rp=all" in done.stdout
    routes[""] = made.api_url("dev")
    tenants.seed(made.aws, "dev", [replace(one, policies={}) for one in tenants.TENANTS])  # the stage's window
    for one in CONVERSATIONS:  # a first start, and a first e-mail, may take longer than a window, or than Twilio waits
        assert eventually(partial(answers, made, hooks, one), seconds=FIRST_START_SECONDS)
    return made


def answers(deployment: Deployment, base: str, conversation: Conversation) -> bool:
    """Whether the webhook answers a forged message in the time that a provider waits."""
    try:
        conversation.post(deployment, base, conversation.message("forged"), forge=True)
    except messages.UnreachableError:
        return False
    return True


def take(deployment: Deployment, queue: str) -> list[dict[str, Any]]:
    """What a queue shows now, taken off it."""
    sqs, url = deployment.aws.sqs, deployment.aws.queue_url(queue)
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
    for one in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
    return found


def context_of(deployment: Deployment, stage: str, conversation: Conversation) -> dict[str, Any]:
    """The next context of a conversation on the AI queue; contexts of others are dropped."""

    def look() -> dict[str, Any] | None:
        contexts = (json.loads(one["Body"]) for one in take(deployment, f"replies-engine-{stage}-ai"))
        own = [one for one in contexts if one["conversation"]["conversation_id"] == conversation.key["conversation_id"]]
        return own[0] if own else None

    found = eventually(look, seconds=FIRST_START_SECONDS)
    assert found is not None, f"no batch of {conversation.channel} reached the AI queue"
    return found


def row(deployment: Deployment, stage: str, conversation: Conversation) -> dict[str, Any]:
    table = deployment.aws.dynamodb.Table(f"conversations-{stage}")
    return dict(table.get_item(Key=conversation.key, ConsistentRead=True)["Item"])


def answer(deployment: Deployment, stage: str, context: dict[str, Any]) -> str:
    """Put the AI's reply to a batch on its queue; its text."""
    reply = ai.reply_to(context)
    deployment.aws.sqs.send_message(
        QueueUrl=deployment.aws.queue_url(f"replies-engine-{stage}-ai-replies"),
        MessageBody=json.dumps(reply),
        MessageGroupId=context["company"]["company_id"],
    )
    return str(reply["body"])


def released(deployment: Deployment, stage: str, conversation: Conversation) -> bool:
    return row(deployment, stage, conversation)["conversation_status"] == "ai_response_sent"


class TestPackage:
    def test_it_holds_what_the_functions_need_and_nothing_else(self, deployment: Deployment):
        """Of the project app.py and chalicelib; of others what requirements.lock names, and Chalice's own runtime."""
        with zipfile.ZipFile(deployment.zip_file(OWN_ARCHITECTURE)) as archive:
            names = [name for name in archive.namelist() if "__pycache__" not in name]
            told = {name: archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")}

        ours = {path.name for path in PROJECT.iterdir()} & {name.partition("/")[0] for name in names}
        own = {str(path.relative_to(PROJECT)) for path in (PROJECT / "chalicelib").rglob("*") if path.is_file()}
        locked = {(str(canonicalize_name(one.name)), str(one.specifier)) for one in pins(PROJECT / LOCK)}
        assert ours == {"app.py", "chalicelib"}
        assert {name for name in names if name.startswith("chalicelib/")} == {
            name for name in own if "__pycache__" not in name
        }
        assert distributions(told) == locked

    def test_what_the_functions_import_is_compiled_and_nothing_else(self, deployment: Deployment):
        """For the Python that runs them, never to be checked against the source; and it stays small."""
        file = deployment.zip_file(OWN_ARCHITECTURE)
        with zipfile.ZipFile(file) as archive:
            names = set(archive.namelist())
            compiled = {name: archive.read(name)[:16] for name in names if name.endswith(".pyc")}

        assert {name for name in names if name.startswith("chalicelib/") and name.endswith(".py")} == {
            source_from_cache(name) for name in compiled if name.startswith("chalicelib/")
        }
        assert {source_from_cache(name) for name in compiled} <= names
        assert {head[:8] for head in compiled.values()} == {MAGIC_NUMBER + UNCHECKED}
        assert {"botocore", "twilio", "urllib3"} < {name.partition("/")[0] for name in compiled}
        assert len(compiled) < len(names) / 3
        assert file.stat().st_size < 40 * 1024**2

    def test_from_the_package_alone_every_function_is_built(self, deployment: Deployment, tmp_path: Path):
        """A line that is missing in requirements.txt fails here, whatever is installed on this machine."""
        with zipfile.ZipFile(deployment.zip_file(OWN_ARCHITECTURE)) as archive:
            archive.extractall(tmp_path)
        variables = dict(stages()["dev"].variables) | {"AWS_DEFAULT_REGION": REGION, "AWS_LAMBDA_FUNCTION_NAME": "one"}
        handlers = {"app.app", *(f"app.{name}" for name in functions()[1:])}
        program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import app"

        built = {
            handler: subprocess.run(
                [sys.executable, "-I", "-S", "-c", program],
                env={**variables, "_HANDLER": handler},
                capture_output=True,
                text=True,
                check=False,
            )
            for handler in handlers
        }

        assert {handler: one.stderr[-2_000:] for handler, one in built.items() if one.returncode} == {}

    def test_what_chalice_packages_for_cloudformation_passes_cfn_lint(self, deployment: Deployment, tmp_path: Path):
        """The roles with their policies, the functions, the API."""
        packaged = deployment.infrastructure("package", "--stage", "prod", str(tmp_path))
        linted = subprocess.run(
            [str(Path(sys.executable).with_name("cfn-lint")), str(tmp_path / "sam.json")],
            capture_output=True,
            text=True,
            check=False,
        )

        assert packaged.returncode == 0, packaged.stderr
        assert linted.returncode == 0, linted.stdout
        with zipfile.ZipFile(tmp_path / "deployment.zip") as archive:
            assert [name for name in archive.namelist() if name.endswith(".so") and "x86_64" in name] == []


class TestDeployed:
    @pytest.mark.parametrize("function", functions())
    def test_a_function_is_as_it_is_configured_under_a_role_of_its_own(self, deployment: Deployment, function: str):
        """Memory, timeout, architecture, tracing, log retention, and the committed policy, nothing beside it."""
        name = stages()["dev"].function_name(function)
        wanted = CONFIG | CONFIG["lambda_functions"].get(function, {})

        made = deployment.snapshot("dev")

        one, role = made["functions"][name], made["roles"][f"replies-engine-dev-{function}"]
        assert (one["MemorySize"], one["Timeout"]) == (wanted["lambda_memory_size"], wanted["lambda_timeout"])
        assert (one["Architectures"], one["TracingConfig"]["Mode"]) == ([OWN_ARCHITECTURE], "Active")
        assert one["Role"].endswith(f":role/replies-engine-dev-{function}")
        assert list(role["inline"].values()) == [json.loads(policies.path("dev", function).read_text())]
        assert role["attached"] == []
        assert made["logs"][f"/aws/lambda/{name}"] == 30

    def test_queues_schedules_and_the_api_are_as_they_are_registered(self, deployment: Deployment):
        """Concurrency and throttle by the stage's settings; a regional API, not traced; recursion where meant."""
        made = deployment.snapshot("dev")

        (api,) = made["apis"].values()
        traced, settings = api["stages"]["dev"]
        mappings = [one for found in made["mappings"].values() for one in found]
        assert {(queue.rpartition(":")[2], size) for _, queue, size, _, _ in mappings} == {
            ("replies-engine-dev-whatsapp", 10),
            ("replies-engine-dev-sms", 10),
            ("replies-engine-dev-email", 10),
            ("replies-engine-dev-ai-replies", 1),
            ("replies-engine-dev-human-replies", 1),
        }
        assert {
            queue.rpartition("-dev-")[2]: scaling["MaximumConcurrency"] for _, queue, _, scaling, _ in mappings
        } == {
            "whatsapp": 30,
            "sms": 20,
            "email": 20,
            "ai-replies": 200,
            "human-replies": 20,
        }
        assert sorted(expression for expression, _ in made["rules"].values()) == ["rate(1 minute)", "rate(5 minutes)"]
        assert (api["endpoint"], traced) == (["REGIONAL"], False)
        assert settings["*/*"]["throttlingRateLimit"] == int(CAPACITY["API_REQUESTS_PER_SECOND"])
        assert settings["*/*"]["throttlingBurstLimit"] == int(CAPACITY["API_BURST"])
        assert {name for name, one in made["functions"].items() if one["recursion"] == "Allow"} == {
            name for name, found in made["mappings"].items() if found
        }

    def test_every_alarm_is_there_and_tells_the_topic(self, deployment: Deployment):
        """From the shipped template, its loops unrolled by another than us."""
        made = deployment.snapshot("dev")

        assert made["alarms"] == {name: [TOPIC] for name in alarms("dev")}


class TestBlackBox:
    @BY_CHANNEL
    def test_a_signed_burst_becomes_one_batch_and_one_reply_and_the_conversation_is_released(
        self,
        deployment: Deployment,
        hooks: str,
        twilio: TwilioStub,
        sendgrid: SendGridStub,
        conversation: Conversation,
    ):
        """Under the functions' own roles, to the delivery status where the provider tells one."""
        bodies = ["one", "two", "three"]
        for body in bodies:
            conversation.write(deployment, hooks, body)

        context = context_of(deployment, "dev", conversation)
        text = answer(deployment, "dev", context)
        eventually(lambda: released(deployment, "dev", conversation), seconds=FIRST_START_SECONDS)
        twilio.wait_until_told()

        texts = {one.sid: one.body for one in twilio.messages if one.to.endswith(conversation.address)}
        mails = [one.text for one in sendgrid.mails if one.to == conversation.address]
        assert [one["body"].strip() for one in context["messages"]] == bodies
        assert [one.strip() for one in (*texts.values(), *mails)] == [text]
        assert released(deployment, "dev", conversation)
        assert not texts or len(eventually(partial(delivered, deployment, texts))) == len(texts)
        assert staged(deployment, "dev", conversation) == []

    @BY_CHANNEL
    def test_a_forged_message_changes_nothing(self, deployment: Deployment, hooks: str, conversation: Conversation):
        """It is answered as the table of responses says."""
        before = row(deployment, "dev", conversation)

        answered = conversation.post(deployment, hooks, conversation.message("forged"), forge=True)

        assert answered.status == (403 if conversation.channel == "email" else 200)
        assert row(deployment, "dev", conversation) == before
        assert staged(deployment, "dev", conversation) == []

    @pytest.mark.parametrize("role", ["whatsapp", "sms", "email", "ai-replies", "human-replies"])
    def test_a_poison_message_reaches_its_dead_letter_queue_with_the_reason(self, deployment: Deployment, role: str):
        """Which an operator reads."""
        queue = f"replies-engine-dev-{role}"
        deployment.aws.sqs.send_message(
            QueueUrl=deployment.aws.queue_url(queue), MessageBody="poison", MessageGroupId="acme"
        )

        (dead_letter,) = eventually(lambda: take(deployment, f"{queue}-dlq"), seconds=FIRST_START_SECONDS) or [{}]

        assert dead_letter.get("Body") == "poison"
        assert dead_letter["MessageAttributes"]["reason"]["StringValue"]

    def test_the_schedules_fire(self, deployment: Deployment, hooks: str):
        """An orphan is triggered by the one, a stalled lock is reset by the other."""
        stalls = Conversation("sms", tenants.NORDIC, "edith")
        is_orphaned = Conversation("sms", tenants.NORDIC, "frida")
        stalls.write(deployment, hooks, "who has my reply?")
        context_of(deployment, "dev", stalls)
        age(deployment, "conversations-dev", stalls.key, "processing_started_at")
        is_orphaned.write(deployment, hooks, "one that is answered")
        (left,) = eventually(lambda: staged(deployment, "dev", is_orphaned))
        answer(deployment, "dev", context_of(deployment, "dev", is_orphaned))
        eventually(lambda: released(deployment, "dev", is_orphaned))
        orphan = {**left, "message_sid": messages.fresh_sid()}
        orphan["context_object"]["messages"][0]["message_id"] = orphan["message_sid"]
        deployment.aws.dynamodb.Table("conversations-stage-dev").put_item(Item=orphan)
        key = {name: orphan[name] for name in ("conversation_id", "message_sid")}
        age(deployment, "conversations-stage-dev", key, "due_at")

        with quickened(deployment, "check_and_reset_stalled_conversations"):
            context = context_of(deployment, "dev", is_orphaned)
            is_reset = eventually(
                lambda: row(deployment, "dev", stalls)["conversation_status"] == "processing_timeout", seconds=100
            )

        assert [one["message_id"] for one in context["messages"]] == [orphan["message_sid"]]
        assert is_reset

    def test_a_call_outside_the_policy_is_refused_and_one_inside_is_not(self, deployment: Deployment):
        """With the credentials that the function itself has."""
        role = deployment.client("iam").get_role(RoleName="replies-engine-dev-batch_sms")["Role"]["Arn"]
        assumed = deployment.client("sts").assume_role(RoleArn=role, RoleSessionName="check")["Credentials"]
        credentials = {
            "aws_access_key_id": assumed["AccessKeyId"],
            "aws_secret_access_key": assumed["SecretAccessKey"],
            "aws_session_token": assumed["SessionToken"],
        }
        dynamodb = deployment.client("dynamodb", **credentials)
        key = {name: {"S": value} for name, value in CONVERSATIONS[0].key.items()}

        found = dynamodb.get_item(TableName="conversations-dev", Key=key)

        assert "Item" in found
        for refused in (
            lambda: dynamodb.scan(TableName="conversations-dev"),
            lambda: dynamodb.get_item(TableName="conversations-prod", Key=key),
            lambda: deployment.client("secretsmanager", **credentials).get_secret_value(
                SecretId=tenants.NORDIC.credential_ref("sms", "dev")
            ),
            lambda: deployment.client("sqs", **credentials).get_queue_url(QueueName="replies-engine-dev-whatsapp"),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                refused()


class TestStages:
    def test_the_second_stage_works_beside_the_first_and_leaves_it_as_it_is(
        self, deployment: Deployment, twilio: TwilioStub
    ):
        """By the commands one by one; with the URL that only its own API tells."""
        before = deployment.snapshot("dev")

        created = deployment.infrastructure("create", "--stage", "prod")
        deployed = deployment.infrastructure("functions", "--stage", "prod")
        adjusted = deployment.infrastructure("post-deploy", "--stage", "prod")
        watched = deployment.infrastructure("watch", "--stage", "prod")

        steps = (created, deployed, adjusted, watched)
        assert [one.returncode for one in steps] == [0] * 4, [one.stdout + one.stderr for one in steps]
        assert deployment.snapshot("prod")["alarms"] == {name: [] for name in alarms("prod")}
        assert deployment.snapshot("dev") == before
        api, sender = (
            deployment.api("prod"),
            deployment.snapshot("prod")["functions"]["replies-engine-prod-send_replies"],
        )
        assert sender["Architectures"] == [CONFIG["lambda_architecture"]] == ["arm64"]
        public = f"https://{api}.execute-api.{REGION}.amazonaws.com/prod"
        assert sender["Environment"]["Variables"]["PUBLIC_BASE_URL"] == public
        tenants.seed(deployment.aws, "prod", [tenants.NORDIC])
        conversation = Conversation("sms", tenants.NORDIC, "frida")
        assert taken_at(deployment, public, conversation) == 200
        shown = lambda: "You wrote: to prod" in [one.body for one in twilio.messages]  # noqa: E731  # asked until it is
        assert eventually(shown, seconds=FIRST_START_SECONDS)

    def test_a_stage_that_switches_the_ai_worker_on_has_it_as_a_function(self, deployment: Deployment):
        """It answered the message above; it reads the AI queue one batch at a time, under a role of its own."""
        made = deployment.snapshot("prod")

        name = stages()["prod"].function_name(AI_FUNCTION)
        ((_, queue, size, scaling, _),) = made["mappings"][name]
        assert (queue.rpartition(":")[2], size, scaling) == ("replies-engine-prod-ai", 1, {"MaximumConcurrency": 20})
        assert made["functions"][name]["Environment"]["Variables"]["AI_WORKER"] == "echo"
        written = deployment.project / ".chalice" / f"policy-prod-{AI_FUNCTION}.json"
        assert list(made["roles"][name]["inline"].values()) == [json.loads(written.read_text())]
        assert AI_FUNCTION not in " ".join(deployment.snapshot("dev")["functions"])

    def test_a_redeployment_changes_nothing_that_was_not_changed_even_from_another_clone(self, deployment: Deployment):
        """What Chalice had remembered is gone, and is found there again; the alarms' topic is kept."""
        before = deployment.snapshot("dev")
        (deployment.project / ".chalice" / "deployed" / "dev.json").unlink()

        done = deployment.infrastructure("deploy", "--stage", "dev")

        assert done.returncode == 0, done.stdout + done.stderr
        assert "post-deploy: nothing to change" in done.stdout
        assert f"stack replies-engine-dev-monitoring in {REGION}: as it was" in done.stdout
        assert "rest_api was found in the account" in done.stdout
        assert deployment.snapshot("dev") == before

    def test_credentials_without_rights_are_told_in_one_line(self, deployment: Deployment):
        """With the command to run again; nothing was changed."""
        before = deployment.snapshot("dev")
        iam = deployment.client("iam")
        iam.create_user(UserName="nobody")
        key = iam.create_access_key(UserName="nobody")["AccessKey"]

        done = deployment.infrastructure(
            "deploy",
            "--stage",
            "dev",
            AWS_ACCESS_KEY_ID=key["AccessKeyId"],
            AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"],
        )

        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(
            r"Error: the credentials may not \w+: grant it to them, then `make .* STAGE=dev`\n", done.stderr
        )
        assert deployment.snapshot("dev") == before

    def test_a_stage_that_is_deleted_is_gone_and_leaves_the_other(self, deployment: Deployment):
        """Its functions, roles, schedules and API; its tables stay until their stack goes."""
        before = deployment.snapshot("dev")

        deleted = deployment.chalice("delete", "--stage", "prod")

        left = deployment.snapshot("prod")
        assert deleted.returncode == 0, deleted.stderr
        assert [left[kind] for kind in ("functions", "roles", "rules", "apis")] == [{}] * 4
        assert deployment.snapshot("dev") == before
        assert "conversations-prod" in deployment.client("dynamodb").list_tables()["TableNames"]


def alarms(stage: str) -> set[str]:
    """The names of a stage's alarms, as we read their template."""
    made = resources(MONITORING_FILE, stage).values()
    return {one.properties["AlarmName"] for one in made if one.kind == "AWS::CloudWatch::Alarm"}


def distributions(told: dict[str, str]) -> set[tuple[str, str]]:
    """The names and versions of the distributions whose metadata these are."""
    metadata = [Parser().parsestr(text) for text in told.values()]
    return {(str(canonicalize_name(one["Name"])), f"=={one['Version']}") for one in metadata}


def delivered(deployment: Deployment, sids: Collection[str]) -> list[dict[str, Any]]:
    """The sends of which the provider's word came that they are delivered."""
    rows = deployment.aws.rows("conversations-sends-dev")
    return [one for one in rows if one.get("provider_sid") in sids and one.get("delivery_status") == "delivered"]


def staged(deployment: Deployment, stage: str, conversation: Conversation) -> list[dict[str, Any]]:
    rows = deployment.aws.rows(f"conversations-stage-{stage}")
    return [one for one in rows if one["conversation_id"] == conversation.key["conversation_id"]]


def age(deployment: Deployment, table: str, key: dict[str, str], attribute: str) -> None:
    """Let an instant of a row lie far in the past."""
    deployment.aws.dynamodb.Table(table).update_item(
        Key=key,
        UpdateExpression="SET #attribute = :then",
        ExpressionAttributeNames={"#attribute": attribute},
        ExpressionAttributeValues={":then": "2026-01-01T00:00:00.000000+00:00"},
    )


@contextmanager
def quickened(deployment: Deployment, function: str) -> Iterator[None]:
    """Let a schedule fire each minute for as long as the block lasts: its own five are long for a check."""
    events, name = deployment.client("events"), f"replies-engine-dev-{function}-event"
    own = events.describe_rule(Name=name)["ScheduleExpression"]
    events.put_rule(Name=name, ScheduleExpression="rate(1 minute)", State="ENABLED")
    try:
        yield
    finally:
        events.put_rule(Name=name, ScheduleExpression=own, State="ENABLED")


def taken_at(deployment: Deployment, public: str, conversation: Conversation) -> int:
    """The status that a message gets which is signed for the API's own URL, and sent to where that is here."""
    here = f"{deployment.api_url('prod')}/webhooks/{conversation.channel}"
    signed_for = f"{public}/webhooks/{conversation.channel}"
    form = conversation.message("to prod").parameters
    signed = signature(signed_for, form, conversation.company.auth_token)
    headers = {"Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "X-Twilio-Signature": signed}
    return messages.exchange(Request(here, data=urlencode(form).encode(), headers=headers)).status
