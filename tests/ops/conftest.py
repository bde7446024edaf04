"""A whole deployed stage in moto: stack, functions, a secret, one conversation; sound until a test plants a fault.

One thread, one account per test: the first is made from the template, the others are copies of it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from botocore import handlers
from botocore.awsrequest import AWSResponse
from botocore.session import Session
from moto import mock_aws

from chalicelib.aws.attributes import item_to_wire
from chalicelib.settings.process import workers_setting
from infrastructure.stages import functions
from infrastructure.template import TEMPLATE_FILE
from local import run_file
from local.stubs.twilio import Account, TwilioStub
from ops.stage.account import Account as AwsAccount
from ops.stage.deployment import Deployment, full_name
from ops.stage.target import CONFIG_FILE, Config, Target
from tests.ops.kept_account import KeptAccount
from tests.world import ACCOUNT_SID, AUTH_TOKEN, World, conversation

STAGE, REGION = "dev", "eu-west-1"
BUCKET = f"replies-engine-{STAGE}-attachments-123456789012"
REF = "ai-multi-comms/whatsapp-credentials/acme/main/twilio-dev"
SECRET = {"account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}


LIMITS = {
    "before-call.lambda.GetAccountSettings": {"AccountLimit": {"UnreservedConcurrentExecutions": 1_000}},
    "before-call.api-gateway.GetAccount": {"throttleSettings": {"rateLimit": 10_000.0, "burstLimit": 5_000}},
}
"""The account's limits by the event that botocore raises before it asks: moto knows neither operation."""


def _tell_limits(event_name: str, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
    return AWSResponse("", 200, {}, None), LIMITS[event_name]


_SESSION = Session()
for _event in LIMITS:
    _SESSION.register(_event, _tell_limits)
_SESSION.set_credentials("testing", "testing")
_SESSION.set_config_variable("region", REGION)


@lru_cache
def client(service: str) -> Any:
    """The tests' own client: moto answers it in whichever test it was made. A command makes clients of its own."""
    return _SESSION.create_client(service)


@pytest.fixture(autouse=True)
def _no_run_and_no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to run on this machine, and the developer's own profiles, change no test."""
    monkeypatch.setattr(run_file, "running", lambda *_: [])
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def twilio(stage: Stage) -> Iterator[TwilioStub]:
    """Twilio's API, which knows the company's account; the stage's settings lead to it."""
    with TwilioStub([Account(ACCOUNT_SID, AUTH_TOKEN), Account("AC" + "1" * 32, "new")]) as running:
        stage.configure_all(TWILIO_API_BASE_URL=running.url)
        stage.twilio = running
        yield running


@dataclass
class Stage:
    """One deployed stage and hands to break it with."""

    config: Config
    target: Target
    twilio: TwilioStub | None = None
    """Twilio's API, where a test asked for it."""

    def client(self, service: str) -> Any:
        return client(service)

    def find(self) -> Deployment:
        """The deployment as a command finds it now."""
        return Deployment.find(self.account(), self.config)

    def account(self) -> AwsAccount:
        """The account as a command sees it, by a session that has read the services' models already."""
        return AwsAccount(self.target, _SESSION)

    def queue_url(self, role: str) -> str:
        return str(client("sqs").get_queue_url(QueueName=f"replies-engine-{STAGE}-{role}")["QueueUrl"])

    def put_row(self, **changes: Any) -> None:
        row = conversation(channel_config={name: {"credential_ref": REF} for name in ("whatsapp", "sms")}, **changes)
        client("dynamodb").put_item(TableName=f"conversations-{STAGE}", Item=item_to_wire(row))

    def configure(self, handler: str, **changes: Any) -> None:
        """Change a function behind Chalice's back; `Environment` holds changed variables, None: taken off."""
        name = full_name(self.config, STAGE, handler)
        if "Environment" in changes:
            told = {**self.config.environment(STAGE), **changes.pop("Environment")}
            changes["Environment"] = {"Variables": {k: v for k, v in told.items() if v is not None}}
        client("lambda").update_function_configuration(FunctionName=name, **changes)

    def configure_all(self, **environment: str | None) -> None:
        """The same for the environment of every function, and for what `.chalice/config.json` tells."""
        for handler in functions():
            self.configure(handler, Environment=environment)
        document = json.loads(json.dumps(self.config.document))
        told = {**document["stages"][STAGE]["environment_variables"], **environment}
        document["stages"][STAGE]["environment_variables"] = {k: v for k, v in told.items() if v is not None}
        self.config = Config(document)


@pytest.fixture
def world() -> World:
    """One deployment in memory with one active conversation."""
    return World()


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Sound in every area but the webhooks, which a test serves itself."""
    with deployed(is_woken=True) as made:
        yield made


@contextmanager
def deployed(*, is_woken: bool) -> Iterator[Stage]:
    """A stage for as long as the block lasts.

    Args:
        is_woken: whether queues wake functions. In moto such a queue loses its messages: a test sends to none of it.
    """
    with mock_aws(), pytest.MonkeyPatch.context() as patch:  # in this order: moto has credentials of its own
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            patch.setenv(name, value)
        limits = [(event, _tell_limits) for event in LIMITS]
        patch.setattr(handlers, "BUILTIN_HANDLERS", [*handlers.BUILTIN_HANDLERS, *limits])
        made = Stage(Config.read(), Target.of(STAGE, Config.read(), region=REGION))
        if is_woken in _KEPT:
            _KEPT[is_woken].put_back()
        else:
            _make(made, is_woken=is_woken)
            _KEPT[is_woken] = KeptAccount.now()
        yield made


_KEPT: dict[bool, KeptAccount] = {}
"""What the first test of the run made, by whether queues wake functions."""


def _make(stage: Stage, *, is_woken: bool) -> None:
    """The whole stage."""
    client("cloudformation").create_stack(
        StackName=f"replies-engine-{STAGE}",
        TemplateBody=TEMPLATE_FILE.read_text(),
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": STAGE}],
    )
    for name in ("stage", "trigger-lock", "sends"):
        turn_ttl_on(f"conversations-{name}-{STAGE}")
    turn_ttl_on(f"unknown-senders-{STAGE}")
    _turn_backups_on()
    _close_bucket()
    client("secretsmanager").create_secret(Name=REF, SecretString=json.dumps(SECRET))
    _deploy(stage)
    if is_woken:
        _wake(stage)
    stage.put_row()


def turn_ttl_on(table: str) -> None:
    """What moto's CloudFormation leaves out of the template."""
    client("dynamodb").update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"}
    )


def _turn_backups_on() -> None:
    """As the template says; moto's CloudFormation leaves it out too."""
    dynamodb = client("dynamodb")
    for table in dynamodb.list_tables()["TableNames"]:
        dynamodb.update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )


def _close_bucket() -> None:
    """As the template says; moto's CloudFormation makes a bucket and nothing of what it is like."""
    s3 = client("s3")
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(names, True))
    rule = {"ID": "expire", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 90}}
    s3.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})


def _deploy(stage: Stage) -> None:
    """The functions as Chalice deploys them: named, timed, told their settings, each under a role of its own."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("app.py", "")
    lambdas = client("lambda")
    for handler in functions():
        name = full_name(stage.config, STAGE, handler)
        lambdas.create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=_role(stage, handler, name),
            Handler=f"app.{handler}",
            Code={"ZipFile": package.getvalue()},
            Timeout=int(stage.config.of_function(STAGE, handler, "lambda_timeout")),
            Environment={"Variables": stage.config.environment(STAGE)},
        )
    for handler in ("check_and_reset_stalled_conversations", "recover_orphaned_messages"):
        rule = f"{full_name(stage.config, STAGE, handler)}-event"
        client("events").put_rule(Name=rule, ScheduleExpression="rate(1 minute)", State="ENABLED")


def redeploy(stage: Stage) -> None:
    """What `make deploy` does to the functions: those that are missing are made, and all get what the files say."""
    lambdas, iam = client("lambda"), client("iam")
    for handler in functions():
        name = full_name(stage.config, STAGE, handler)
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=policy)
        iam.delete_role(RoleName=name)
        if any(one["FunctionName"] == name for one in lambdas.list_functions()["Functions"]):
            lambdas.delete_function(FunctionName=name)
    for one in lambdas.list_event_source_mappings()["EventSourceMappings"]:
        lambdas.delete_event_source_mapping(UUID=one["UUID"])
    _deploy(stage)
    _wake(stage)


def _role(stage: Stage, handler: str, name: str) -> str:
    """A role that has what its policy file says."""
    iam = client("iam")
    trust = '{"Version": "2012-10-17", "Statement": []}'
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    file = CONFIG_FILE.parent / stage.config.of_function(STAGE, handler, "iam_policy_file")
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=file.read_text())
    return str(role)


def _wake(stage: Stage) -> None:
    """The queues that wake functions."""
    lambdas, sqs, queues = client("lambda"), client("sqs"), stage.config.environment(STAGE)
    for handler, variable in {
        "batch_whatsapp": "WHATSAPP_QUEUE",
        "batch_sms": "SMS_QUEUE",
        "batch_email": "EMAIL_QUEUE",
        "send_replies": "AI_REPLIES_QUEUE",
        "send_human_replies": "HUMAN_REPLIES_QUEUE",
    }.items():
        url = sqs.get_queue_url(QueueName=queues[variable])["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        lambdas.create_event_source_mapping(
            EventSourceArn=arn,
            FunctionName=full_name(stage.config, STAGE, handler),
            BatchSize=1,
            ScalingConfig={"MaximumConcurrency": int(queues.get(workers_setting(variable), "20"))},
        )
