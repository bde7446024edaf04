"""A deployed stage: what Chalice forgot is found in the account, and what Chalice cannot set is set once."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.session import Session

from infrastructure import access_logs, chalice_state, deploying
from infrastructure.account import Account, DeploymentError
from infrastructure.post_deploy import PUBLIC_BASE_URL, Throttling, apply, throttling
from infrastructure.stack import Stack
from infrastructure.stages import Stage, functions, queue_readers, stages, webhooks
from infrastructure.template import MONITORING_FILE, TEMPLATE_FILE, resources
from tests.deploy.conftest import AGAIN, Elsewhere

STAGE = "halfway"
BASE = "https://hooks.example.com"


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A stage of its own, and a folder for what Chalice remembers of it."""
    monkeypatch.setattr(chalice_state, "CHALICE", tmp_path)
    told = {name: value.replace("-dev", f"-{STAGE}") for name, value in stages()["dev"].variables.items()}
    return replace(stages()["dev"], name=STAGE, variables=told, api_stage=STAGE)


@pytest.fixture
def deployed(account: Account, stage: Stage) -> Iterator[str]:
    """The stage's functions, mappings and API, made as Chalice makes them; yields the API's id."""
    Stack(account, stage.stack_name, TEMPLATE_FILE, poll_seconds=0.1).bring_up({"Stage": STAGE}, AGAIN)
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    role = account.client("iam").create_role(RoleName=STAGE, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    client = account.client("lambda")
    names = [stage.function_name(function) for function in functions()]
    for name in names:
        client.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=role,
            Handler="app.app",
            Code={"ZipFile": empty_zip()},
            Environment={"Variables": {"STAGE": STAGE}},
        )
    for function, queue in queue_readers().items():
        (logical,) = (
            key for key, one in resources(TEMPLATE_FILE, "local").items() if one.properties.get("QueueName") == queue
        )
        own = resources(TEMPLATE_FILE, STAGE)[logical].properties["QueueName"]
        client.create_event_source_mapping(
            EventSourceArn=f"arn:aws:sqs:{account.region}:000000000000:{own}",
            FunctionName=stage.function_name(function),
        )
    api = import_api(account, stage)
    account.client("apigateway").create_deployment(restApiId=api, stageName=STAGE)
    yield api
    account.client("apigateway").delete_rest_api(restApiId=api)
    for one in client.list_event_source_mappings()["EventSourceMappings"]:
        client.delete_event_source_mapping(UUID=one["UUID"])
    for name in names:
        client.delete_function(FunctionName=name)
    account.client("iam").delete_role(RoleName=STAGE)


def empty_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("app.py", "")
    return file.getvalue()


def import_api(account: Account, stage: Stage) -> str:
    """An API as Chalice imports it, not deployed to a stage."""
    function = f"arn:aws:lambda:{account.region}:000000000000:function:{stage.function_name('api_handler')}"
    uri = f"arn:aws:apigateway:{account.region}:lambda:path/2015-03-31/functions/{function}/invocations"
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri}
    document = {
        "swagger": "2.0",
        "info": {"title": stage.app_name, "version": "1.0"},
        "paths": {"/webhooks/sms": {"post": {"x-amazon-apigateway-integration": integration}}},
    }
    body = json.dumps(document).encode()
    return str(account.client("apigateway").import_rest_api(body=body)["id"])


def alarms(account: Account, stage: Stage) -> list[dict[str, Any]]:
    """The stage's alarms."""
    pages = account.client("cloudwatch").get_paginator("describe_alarms")
    return [one for page in pages.paginate(AlarmNamePrefix=f"{stage.stack_name}-") for one in page["MetricAlarms"]]


def variables(account: Account, stage: Stage, function: str) -> dict[str, Any]:
    name = stage.function_name(function)
    return account.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]


class TestMemory:
    def test_what_chalice_cannot_find_by_name_is_brought_back_from_the_account(
        self, account: Account, stage: Stage, deployed: str
    ):
        """The mappings with their ids, and the API behind whose routes the stage's own function is."""
        found = chalice_state.restore(account, stage)

        known = {one["name"]: one for one in chalice_state._read(stage)["resources"]}
        mappings = account.client("lambda").list_event_source_mappings(FunctionName=stage.function_name("batch_sms"))
        assert sorted(found) == sorted([*(f"{name}-sqs-event-source" for name in queue_readers()), "rest_api"])
        assert known["batch_sms-sqs-event-source"]["event_uuid"] == mappings["EventSourceMappings"][0]["UUID"]
        assert known["batch_sms-sqs-event-source"]["queue"] == f"replies-engine-{STAGE}-sms"
        assert chalice_state.api(stage) == (
            deployed,
            f"https://{deployed}.execute-api.{account.region}.amazonaws.com/{STAGE}",
        )

    def test_what_chalice_remembers_is_left_as_it_is(self, account: Account, stage: Stage, deployed: str):
        """And to bring back twice is to bring back once."""
        chalice_state.restore(account, stage)
        before = chalice_state._read(stage)

        again = chalice_state.restore(account, stage)

        assert again == []
        assert chalice_state._read(stage) == before

    def test_of_two_apis_the_one_with_the_stage_is_ours(self, account: Account, stage: Stage, deployed: str):
        """The other is what a deployment left behind that died before its last step."""
        left_behind = [import_api(account, stage) for _ in range(3)]

        chalice_state.restore(account, stage)

        known = chalice_state.api(stage)
        for one in left_behind:
            account.client("apigateway").delete_rest_api(restApiId=one)
        assert known is not None
        assert known[0] == deployed

    def test_another_stage_s_api_is_not_ours(self, account: Account, stage: Stage, deployed: str):
        """Though both have the app's name."""
        other = replace(stage, name="elsewhere")

        found = chalice_state.restore(account, other)

        assert found == []
        assert chalice_state.api(other) is None


class TestSettling:
    def test_it_sets_what_chalice_cannot_and_nothing_twice(self, account: Account, stage: Stage, deployed: str):
        """Recursion of what reads queues, throttling of the API, and the public URL of what sends."""
        url = f"{BASE}/{STAGE}"

        first, second = (apply(account, stage, (deployed, url)) for _ in range(2))

        client = account.client("lambda")
        loops = {
            function: client.get_function_recursion_config(FunctionName=stage.function_name(function))["RecursiveLoop"]
            for function in functions()
        }
        limits = account.client("apigateway").get_stage(restApiId=deployed, stageName=STAGE)["methodSettings"]["*/*"]
        wanted = throttling(stage)
        assert wanted == Throttling(50, 100)
        assert {function for function, loop in loops.items() if loop == "Allow"} == set(queue_readers())
        assert (limits["throttlingRateLimit"], limits["throttlingBurstLimit"]) == (wanted.per_second, wanted.burst)
        assert variables(account, stage, "send_replies") == {"STAGE": STAGE, PUBLIC_BASE_URL: url}
        assert variables(account, stage, "api_handler") == {"STAGE": STAGE}
        assert len(first) == len(queue_readers()) + 4
        assert second == []

    def test_the_api_logs_each_request_and_is_not_traced(self, account: Account, stage: Stage, deployed: str):
        """By a role of the account, which is made where there is none; Chalice's own setting may trace it."""
        client = account.client("apigateway")
        patch = {"op": "replace", "path": "/tracingEnabled", "value": "true"}
        client.update_stage(restApiId=deployed, stageName=STAGE, patchOperations=[patch])

        done = apply(account, stage, (deployed, BASE))

        now = client.get_stage(restApiId=deployed, stageName=STAGE)
        arn = f"arn:aws:logs:{account.region}:000000000000:log-group:/aws/apigateway/replies-engine-{STAGE}"
        assert now["accessLogSettings"] == {"destinationArn": arn, "format": access_logs.FORMAT}
        assert not now["tracingEnabled"]
        assert client.get_account()["cloudwatchRoleArn"].endswith(f":role/{access_logs.ROLE}")
        assert "tracing of the API is off, because traces hold URLs" in done

    def test_a_role_that_the_account_has_is_left_alone(self, account: Account, stage: Stage, deployed: str):
        """Another system of the account logs by it."""
        client = account.client("apigateway")
        other = "arn:aws:iam::000000000000:role/of-somebody-else"
        patch = {"op": "replace", "path": "/cloudwatchRoleArn", "value": other}
        before = client.get_account().get("cloudwatchRoleArn", "")
        client.update_account(patchOperations=[patch])

        apply(account, stage, (deployed, BASE))

        assert client.get_account()["cloudwatchRoleArn"] == other
        client.update_account(patchOperations=[{**patch, "value": before}])

    @pytest.mark.parametrize("wanted", [True, False])
    def test_the_execute_api_endpoint_is_as_the_stage_says(
        self, account: Account, stage: Stage, deployed: str, wanted: bool
    ):
        """Once; without a word it is left as it is."""
        client = account.client("apigateway")
        said = replace(stage, closes_execute_api=wanted)
        apply(account, replace(stage, closes_execute_api=not wanted), (deployed, BASE))

        changed = [apply(account, one, (deployed, BASE)) for one in (said, said, stage)]

        assert client.get_rest_api(restApiId=deployed)["disableExecuteApiEndpoint"] is wanted
        assert changed == [[f"the execute-api endpoint is {'closed' if wanted else 'open'}"], [], []]

    def test_a_stack_without_the_access_log_s_group_is_told_with_the_command(self, account: Account, stage: Stage):
        """It is older than the access log."""
        other = replace(stage, name="older")

        with pytest.raises(DeploymentError, match=r"log group .*-older is missing: `make infrastructure STAGE=older`"):
            access_logs.destination(account, other)

    def test_a_configured_public_url_goes_before(self, account: Account, stage: Stage, deployed: str):
        """Chalice has given it to the function."""
        own = replace(stage, variables={**stage.variables, PUBLIC_BASE_URL: BASE})

        apply(account, own, (deployed, f"https://{deployed}.example/{STAGE}"))

        assert PUBLIC_BASE_URL not in variables(account, stage, "send_replies")

    def test_a_role_that_is_not_known_everywhere_yet_is_offered_again(self, monkeypatch: pytest.MonkeyPatch):
        """API Gateway refuses a role for some seconds after it was made."""
        waits: list[float] = []
        monkeypatch.setattr(access_logs.time, "sleep", waits.append)
        gateway = NewRole(refusals=3)

        made = access_logs.let_api_gateway_write(Elsewhere(gateway, session=Session()))

        assert made
        assert (gateway.arn, len(waits)) == ("arn:role", 3)

    def test_a_role_that_stays_refused_is_told(self, monkeypatch: pytest.MonkeyPatch):
        """The words are API Gateway's."""
        monkeypatch.setattr(access_logs.time, "sleep", lambda _seconds: None)

        with pytest.raises(ClientError, match="BadRequestException"):
            access_logs.let_api_gateway_write(Elsewhere(NewRole(refusals=1_000), session=Session()))

    def test_the_api_takes_as_much_as_the_stage_s_settings_say(self, account: Account, stage: Stage, deployed: str):
        """Raised before a campaign, and set back after it."""
        raised = {"API_REQUESTS_PER_SECOND": "2000", "API_BURST": "4000"}
        apply(account, stage, (deployed, BASE))

        done = apply(account, replace(stage, variables={**stage.variables, **raised}), (deployed, BASE))

        limits = account.client("apigateway").get_stage(restApiId=deployed, stageName=STAGE)["methodSettings"]["*/*"]
        assert done == ["the API takes 2000 requests a second, 4000 at once"]
        assert (limits["throttlingRateLimit"], limits["throttlingBurstLimit"]) == (2_000, 4_000)

    def test_a_stage_that_says_nothing_takes_the_defaults(self):
        """A burst of many companies in prod; dev says less, against a loop of somebody's test."""
        assert throttling(stages()["prod"]) == Throttling(500, 1_000)

    @pytest.mark.parametrize("api", [None, ("abcd1234", BASE)])
    def test_a_stage_that_is_not_deployed_is_told_with_the_command(
        self, account: Account, stage: Stage, api: tuple[str, str] | None
    ):
        """Or only half of it is."""
        with pytest.raises(DeploymentError) as obstacle:
            apply(account, stage, api)

        assert f"of the stage {STAGE} is not deployed in {account.region}: `make deploy STAGE={STAGE}`" in str(
            obstacle.value
        )


class TestQueues:
    def test_a_queue_refuses_even_its_own_account_without_tls(self, account: Account, stage: Stage):
        """And takes the same request with it."""
        Stack(account, stage.stack_name, TEMPLATE_FILE, poll_seconds=0.1).bring_up({"Stage": STAGE}, AGAIN)
        plain, with_tls = account.client("sqs"), account.client("sqs")
        plain.meta.events.register("before-sign.sqs.*", say_plain)
        url = with_tls.get_queue_url(QueueName=f"replies-engine-{STAGE}-ai-replies-dlq")["QueueUrl"]

        with_tls.send_message(QueueUrl=url, MessageBody="with TLS")
        with pytest.raises(ClientError, match="AccessDenied"):
            plain.send_message(QueueUrl=url, MessageBody="without")


def say_plain(request: Any, **_: Any) -> None:
    """Have the local AWS take a request for one without TLS."""
    request.headers["X-Forwarded-Proto"] = "http"


class NewRole:
    """IAM with the role there already, and API Gateway that refuses it some times."""

    def __init__(self, refusals: int) -> None:
        self.refusals, self.arn = refusals, ""

    def get_account(self) -> dict[str, str]:
        return {}

    def create_role(self, **_: str) -> None:
        raise ClientError({"Error": {"Code": "EntityAlreadyExists"}}, "CreateRole")

    def get_role(self, **_: str) -> dict[str, Any]:
        return {"Role": {"Arn": "arn:role"}}

    def attach_role_policy(self, **_: str) -> None:
        """There already; AWS takes it twice."""

    def update_account(self, patchOperations: list[dict[str, str]]) -> None:  # noqa: N803  # as botocore names it
        if self.refusals:
            self.refusals -= 1
            raise ClientError({"Error": {"Code": "BadRequestException"}}, "UpdateAccount")
        self.arn = patchOperations[0]["value"]


class TestCreating:
    def test_a_stage_s_stack_has_the_stage_s_names(self, account: Account, monkeypatch: pytest.MonkeyPatch):
        """Whatever the template's default is, and twice is once."""
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-2")
        lines: list[str] = []

        for _ in range(2):
            made = deploying.create(stages()["prod"], {}, lines.append)

        tables = made.client("dynamodb").list_tables()["TableNames"]
        assert {name.rpartition("-")[2] for name in tables} == {"prod"}
        assert lines == [f"stack replies-engine-prod in us-east-2: {done}" for done in ("made", "as it was")]


class TestObstacles:
    def test_the_command_to_run_again_is_the_whole_one_that_was_run(
        self, account: Account, dev: Stage, monkeypatch: pytest.MonkeyPatch
    ):
        """With its parameters and its topic: a stack that is not made yet keeps none."""
        topic = f"arn:aws:sns:{account.region}:000000000000:night"
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")

        with pytest.raises(DeploymentError) as obstacle:
            deploying.deploy(dev, {"CreateConversationsTable": "false"}, topic, print)

        assert f'make deploy STAGE=dev ALARM_TOPIC={topic} ARGS="--parameter CreateConversationsTable=false"`' in str(
            obstacle.value
        )


class TestWatching:
    def test_every_alarm_is_made_and_tells_the_topic_until_another_is_told(self, account: Account, dev: Stage):
        """Left out, the topic is kept; emptied, nobody is told."""
        watched = replace(dev, name="watched")
        topic = f"arn:aws:sns:{account.region}:000000000000:night"
        names = {
            one.properties["AlarmName"]
            for one in resources(MONITORING_FILE, watched.name).values()
            if one.kind == "AWS::CloudWatch::Alarm"
        }
        told: list[dict[str, Any]] = []
        lines: list[str] = []

        for one in (topic, None, ""):
            deploying.watch(watched, one, lines.append)
            told.append({alarm["AlarmName"]: alarm["AlarmActions"] for alarm in alarms(account, watched)})

        assert told == [dict.fromkeys(names, actions) for actions in ([topic], [topic], [])]
        assert lines == [
            f"stack replies-engine-watched-monitoring in {account.region}: {done}"
            for done in ("made", "as it was", "updated")
        ]

    @pytest.mark.parametrize("do", [deploying.watch, partial(deploying.deploy, parameters={})], ids=["step", "whole"])
    def test_a_topic_of_another_region_is_refused_before_anything_is_made(self, account: Account, dev: Stage, do: Any):
        """CloudFormation would refuse it at the end of a deployment."""
        unheard = replace(dev, name="unheard")

        with pytest.raises(DeploymentError, match="the SNS topic is in us-east-2"):
            do(unheard, alarm_topic="arn:aws:sns:us-east-2:000000000000:night", tell=print)

        assert Stack(account, unheard.stack_name, TEMPLATE_FILE).status is None
        assert Stack(account, unheard.monitoring_stack_name, MONITORING_FILE).status is None


class TestUrls:
    def test_each_webhook_is_told_with_the_fragment_that_twilio_needs(self, dev: Stage):
        """Without it Twilio would not try again after a 503."""
        urls = deploying.webhook_urls(dev, ("abcd1234", f"{BASE}/dev"))

        assert len(urls) == len(webhooks())
        assert ("Twilio", f"{BASE}/dev/webhooks/whatsapp#rc=3&rp=all") in urls
        assert ("Twilio", f"{BASE}/dev/webhooks/sms#rc=3&rp=all") in urls

    def test_a_domain_of_one_s_own_goes_before(self, dev: Stage):
        """It is what the provider signs."""
        own = replace(dev, variables={**dev.variables, PUBLIC_BASE_URL: f"{BASE}/"})

        urls = deploying.webhook_urls(own, ("abcd1234", "https://abcd1234.example/dev"))

        assert {url.removeprefix(BASE).partition("#")[0] for _, url in urls} == set(webhooks())

    @pytest.mark.parametrize("name", ["", "local", "staging"])
    def test_a_stage_that_is_not_there_is_told_with_those_that_are(self, name: str):
        """The one for `chalice local` is none to deploy."""
        with pytest.raises(
            DeploymentError, match=r"is no stage of .chalice/config.json: `make deploy STAGE=dev or prod`"
        ):
            deploying.stage_named(name)
