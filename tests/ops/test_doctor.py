"""The doctor finds each fault that is planted, names what fixes it, and finds nothing where nothing is."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError
from chalice.app import Response
from click.testing import CliRunner

from chalicelib.aws.attributes import item_to_wire
from infrastructure.stages import AI_FUNCTION, functions
from local.processes import ports
from local.stubs.twilio import Account as TwilioAccount
from local.stubs.twilio import TwilioStub
from ops.__main__ import cli
from ops.doctor.checks import policies
from ops.doctor.examination import Asked, examine, examine_tenant
from ops.doctor.findings import Finding, Weight
from ops.stage.account import Account
from ops.stage.deployment import Deployment, full_name
from ops.stage.target import CommandError, Target
from ops.terminal import masking
from tests.ops.conftest import BUCKET, LIMITS, REF, REGION, SECRET, STAGE, Stage
from tests.ops.planted import set_queue, set_workers, write_secret
from tests.ops.serving import answering, served
from tests.world import ACCOUNT_SID, AUTH_TOKEN, COMPANY, CUSTOMER, KEY, SECRET_REF, conversation

NO_PROBE = Asked(looks_at_tenants=False, url="http://127.0.0.1:9")
"""What needs no webhook; that one is a finding of its own, which `faults` leaves out."""


def faults(stage: Stage, asked: Asked = NO_PROBE) -> list[Finding]:
    """The faults that the doctor finds beside the webhook that no test serves here."""
    found = [one for area in examine(stage.find(), asked) for one in area.findings if one.weight is Weight.FAULT]
    return [one for one in found if asked.url != NO_PROBE.url or one.area != "webhooks"]


def warnings(stage: Stage) -> list[Finding]:
    """What somebody should look at, beside the URL that nobody set."""
    found = [one for area in examine(stage.find(), NO_PROBE) for one in area.findings]
    return [one for one in found if one.weight is Weight.WARNING and one.area != "settings"]


@pytest.mark.usefixtures("twilio")
def test_a_sound_stage_has_no_fault(stage: Stage):
    """Whatever the doctor finds in the tests below was planted there."""
    assert faults(stage, Asked(url="http://127.0.0.1:9"))[:-1] == []
    assert warnings(stage) == []


class TestWarnings:
    def test_a_bucket_that_keeps_everything_is_told(self, stage: Stage):
        """Customers' files are to go with time."""
        stage.client("s3").delete_bucket_lifecycle(Bucket=BUCKET)

        assert [one.what for one in warnings(stage)] == [f"{BUCKET} keeps customers' files for ever"]

    def test_a_table_that_cannot_be_restored_is_told_with_the_command_that_mends_it(self, stage: Stage):
        """A restore leaves that out, and so does a table that was made by hand."""
        stage.client("dynamodb").update_continuous_backups(
            TableName="conversations-dev", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        )

        (found,) = warnings(stage)

        assert found.what == "conversations-dev has no point-in-time recovery"
        assert found.fix == "replies-engine restore conversations-dev --stage dev --region eu-west-1"

    def test_a_bucket_on_this_machine_need_not_be_emptied(self, stage: Stage):
        """It ends with its process; no command would fix it."""
        stage.client("s3").delete_bucket_lifecycle(Bucket=BUCKET)
        stage.target = replace(stage.target, is_on_this_machine=True)

        assert warnings(stage) == []

    def test_letters_in_a_dead_letter_queue_are_told_with_the_command_that_redrives_them(self, stage: Stage):
        """They are no fault of the stage: somebody has to look at them."""
        body = json.dumps({**KEY.item, "batch_id": "b1", "reply_id": "r1", "body": "Hello"})
        stage.client("sqs").send_message(QueueUrl=stage.queue_url("ai-replies-dlq"), MessageBody=body)

        (found,) = warnings(stage)

        assert found.what == "replies-engine-dev-ai-replies-dlq holds 1 message(s)"
        assert found.fix == "replies-engine redrive ai-replies --stage dev --region eu-west-1"

    def test_a_stage_without_its_stack_works_and_is_warned_of(self, stage: Stage):
        """Tables and queues may have been made another way."""
        deployment = replace(stage.find(), config=type(stage.config)({**stage.config.document, "app_name": "other"}))

        found = [one for area in examine(deployment, NO_PROBE) for one in area.findings if one.area == "stack"]

        assert [one.what for one in found] == ["region eu-west-1 has no stack other-dev"]


@pytest.mark.usefixtures("twilio")
class TestTenants:
    def test_a_secret_that_a_conversation_names_and_nobody_has_is_found(self, stage: Stage):
        """The name in the row is the truth, not the list of secrets."""
        other = REF.replace("acme", "other")
        put_row_of_other(stage, "+14155550000", whatsapp=other, sms=other)

        found = faults(stage, Asked(url="http://127.0.0.1:9"))

        assert [one.what for one in found if one.area == "secrets"] == [f"{other} is missing, or not a text"]
        assert "replies-engine tenant add other" in found[0].fix

    def test_a_secret_of_another_company_is_found(self, stage: Stage):
        """Once for each company and channel, from however many addresses the company writes."""
        for number in ("+14155550000", "+14155550001"):
            put_row_of_other(stage, number, whatsapp=REF, sms=REF)

        found = [one for one in faults(stage, Asked(url="http://127.0.0.1:9")) if one.area == "secrets"]

        assert [one.what for one in found] == [
            "a conversation of other names a secret of acme for sms",
            "a conversation of other names a secret of acme for whatsapp",
        ]
        assert found[0].fix.startswith("channel_config.sms.credential_ref on it")

    def test_an_address_of_two_companies_is_found(self, stage: Stage):
        """On each channel that both write from, and without the number."""
        other = REF.replace("acme", "other")
        stage.client("secretsmanager").create_secret(Name=other, SecretString=json.dumps(SECRET))
        put_row_of_other(stage, COMPANY, whatsapp=other, sms=other)

        found = [one for one in faults(stage, Asked(url="http://127.0.0.1:9")) if one.area == "shared addresses"]

        assert [one.what for one in found] == [
            f"an address of {channel} ({masking.address(COMPANY)}) is in rows of acme and other"
            for channel in ("sms", "whatsapp")
        ]
        assert not any(COMPANY in one.line for one in found)

    @pytest.mark.parametrize(("tenant", "count"), [("acme", 2), ("other", 2), ("third", 0)])
    def test_an_address_of_two_companies_is_found_for_either_of_them(self, stage: Stage, tenant: str, count: int):
        """Whichever was asked for: the other one's row is the fault as much."""
        put_row_of_other(stage, COMPANY)
        asked = Asked(url="http://127.0.0.1:9", tenants=(tenant,))

        areas = {one.name: one for one in examine_tenant(stage.find(), asked)}

        assert len(areas["shared addresses"].findings) == count

    def test_a_secret_whose_name_no_right_covers_is_found(self, stage: Stage):
        """The functions' policies name the pattern, and this name is none of it."""
        stage.put_row(conversation_id="c-2")
        stage.client("secretsmanager").create_secret(Name="twilio/acme", SecretString='{"a": "b"}')
        stage.client("dynamodb").update_item(
            TableName="conversations-dev",
            Key={"primary_channel": {"S": CUSTOMER}, "conversation_id": {"S": "c-2"}},
            UpdateExpression="SET channel_config.sms.credential_ref = :ref",
            ExpressionAttributeValues={":ref": {"S": "twilio/acme"}},
        )

        found = [one for one in faults(stage, Asked(url="http://127.0.0.1:9")) if one.area == "secrets"]

        assert "twilio/acme is not called ai-multi-comms/*-credentials/*/*/*-dev" in found[0].what

    def test_a_policy_that_is_not_applied_is_a_warning(self, stage: Stage):
        """One for each value, by company, with how many rows have it and the command that shows them."""
        for conversation_id in ("c-2", "c-3"):
            stage.put_row(conversation_id=conversation_id)
            stage.client("dynamodb").update_item(
                TableName="conversations-dev",
                Key={"primary_channel": {"S": CUSTOMER}, "conversation_id": {"S": conversation_id}},
                UpdateExpression="SET channel_config.sms.policy = :policy",
                ExpressionAttributeValues={":policy": {"M": {"batch_window_seconds": {"N": "-1"}, "tone": {"S": "x"}}}},
            )

        areas = examine(stage.find(), Asked(url="http://127.0.0.1:9"))
        found = [one for area in areas for one in area.findings if one.area == "tenants"]

        place = "channel_config.sms.policy"
        assert [(one.what, one.weight) for one in found] == [
            (f"acme: {place}.batch_window_seconds must be a number from 0 to 900; 0 applies (2 rows)", Weight.WARNING),
            (f"acme: {place}.tone is unknown; it is ignored (2 rows)", Weight.WARNING),
        ]
        assert all("tenant policy acme --channel sms" in one.fix for one in found)

    def test_a_tenant_that_nobody_knows_is_told(self, stage: Stage):
        """It was asked for by name."""
        found = faults(stage, Asked(tenants=("nobody",), url="http://127.0.0.1:9"))

        assert "nobody has no conversation" in [one.what for one in found]


@pytest.mark.usefixtures("twilio")
class TestWebhooks:
    def found(self, stage: Stage, url: str | None) -> list[str]:
        asked = Asked(tenants=("acme",), url=url)
        return [one.what for one in faults(stage, asked) if one.area == "webhooks"]

    def test_a_signed_probe_is_accepted_and_nothing_is_written(self, stage: Stage):
        """On every channel of the tenant; the world that answers it holds no row and no message more."""
        with served() as (world, url):
            assert self.found(stage, url) == []

        assert [line["outcome"] for line in world.telemetry.lines if line["step"] == "answered_provider"] == [
            "probe",
            "probe",
        ]
        assert all(call.kind == "read" for call in world.plan.calls)
        assert world.is_silent

    def test_a_probe_with_a_token_that_is_not_the_provider_s_is_refused(self, stage: Stage):
        """The secret here and the one that the webhook sees differ."""
        with served() as (world, url):
            world.secrets.texts[SECRET_REF] = json.dumps({"account_sid": "AC" + "0" * 32, "auth_token": "another"})
            found = self.found(stage, url)

        assert len(found) == 2
        assert "is refused: the signature is not accepted (INVALID_SIGNATURE)" in found[0]
        assert "whatsapp" in found[1] or "sms" in found[1]

    def test_a_wrong_public_base_url_is_found_by_its_probe(self, stage: Stage):
        """What is signed is the URL, and the webhook rebuilds another one."""
        with served(public_base_url="https://elsewhere.example.com") as (_, url):
            assert "the signature is not accepted" in self.found(stage, url)[0]

    def test_the_next_token_is_probed_too(self, stage: Stage, twilio: TwilioStub):
        """The webhook must accept it before Twilio promotes it; this webhook does not know it yet."""
        twilio._accounts[ACCOUNT_SID] = TwilioAccount(ACCOUNT_SID, AUTH_TOKEN, secondary_auth_token="coming")
        write_secret(stage, json.dumps({**SECRET, "next_auth_token": "coming"}))

        with served() as (_, url):
            found = self.found(stage, url)

        assert [("next_auth_token" in one) for one in found] == [True, True]

    def test_a_next_token_that_twilio_refuses_is_one_fault_and_is_not_probed(self, stage: Stage):
        """Twilio will never sign with it: the account is at fault, not the webhook."""
        write_secret(stage, json.dumps({**SECRET, "next_auth_token": "mistyped"}))

        with served() as (world, url):
            found = [(one.area, one.what) for one in faults(stage, Asked(tenants=("acme",), url=url))]

        assert found == [("accounts", f"twilio does not accept the next_auth_token of {REF}")]
        assert [line["outcome"] for line in world.telemetry.lines if line["step"] == "answered_provider"] == [
            "probe",
            "probe",
        ]

    def test_no_address_is_shown_whole(self, stage: Stage):
        """A finding names the company and masks its number."""
        with served(public_base_url="https://elsewhere.example.com") as (_, url):
            found = self.found(stage, url)

        assert all("+14…886" in one and "+14155238886" not in one for one in found)

    def test_an_unreachable_url_is_found(self, stage: Stage):
        """And its reason."""
        (port,) = ports.free(1)

        (found,) = self.found(stage, f"http://127.0.0.1:{port}")

        assert found.startswith(f"no server answers at http://127.0.0.1:{port}")

    def test_a_url_that_is_something_else_s_is_found(self, stage: Stage):
        """API Gateway says this of a path that it does not have."""
        (port,) = ports.free(1)
        with answering(port, lambda _: Response('{"message": "Missing Authentication Token"}', status_code=403)):
            (found,) = self.found(stage, f"http://127.0.0.1:{port}")

        assert found == f"http://127.0.0.1:{port} is answered by something else (HTTP 403)"

    def test_nothing_that_tells_the_url_is_a_finding(self, stage: Stage):
        """Neither a setting, nor Chalice's record, nor an option."""
        assert self.found(stage, None) == ["the URL of the webhooks is unknown"]


class TestCapacity:
    def test_an_account_that_lets_too_few_functions_run_is_told_with_the_number_that_is_needed(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ):
        """New accounts begin with ten; five workers of twenty each, 50 requests a second of 0.1 s, and two sweeps."""
        limit = {"AccountLimit": {"UnreservedConcurrentExecutions": 106}}
        monkeypatch.setitem(LIMITS, "before-call.lambda.GetAccountSettings", limit)

        (found,) = warnings(stage)

        assert found.area == "concurrency"
        assert "run 106 times at once in eu-west-1, and this stage may need 107: 100 workers, 5 webhooks" in found.what
        assert found.fix == (
            "aws service-quotas request-service-quota-increase --cli-input-json "
            """'{"ServiceCode": "lambda", "QuotaCode": "L-B99A9384", "DesiredValue": 107.0}' --region eu-west-1"""
        )

    def test_raised_workers_are_held_against_the_account(self, stage: Stage):
        """Of each function by its own setting."""
        stage.configure_all(AI_REPLIES_WORKERS_MAX="950")
        set_workers(stage, "send_replies", MaximumConcurrency=950)

        (found,) = warnings(stage)

        assert "may need 1037: 1030 workers" in found.what

    def test_an_api_that_may_take_more_than_the_account_s_is_told(self, stage: Stage, monkeypatch: pytest.MonkeyPatch):
        """Beyond the account's rate API Gateway answers 429, whatever the stage says."""
        monkeypatch.setitem(LIMITS, "before-call.api-gateway.GetAccount", {"throttleSettings": {"rateLimit": 49.0}})

        (found,) = warnings(stage)

        assert found.area == "throttle"
        assert "take 49 requests a second in eu-west-1, and API_REQUESTS_PER_SECOND is 50" in found.what
        assert '"QuotaCode": "L-8A5B8E43", "DesiredValue": 50.0' in found.fix

    def test_an_api_that_is_throttled_otherwise_than_the_settings_say_is_found(self, stage: Stage):
        """In the app's API that has the stage; one of another app is nobody's business here."""
        for name, per_second in (("replies-engine", 500), ("other", 9)):
            throttle(stage, name, "dev", per_second, 100)

        (found,) = faults(stage)

        assert found.line == (
            "throttle: the API takes 500 requests a second and 100 at once, and the settings say 50 and 100; "
            "fix: make deploy STAGE=dev"
        )

    def test_a_throttle_as_the_settings_say_is_sound(self, stage: Stage):
        """And one of another stage of the app is that stage's."""
        throttle(stage, "replies-engine", "dev", 50, 100)
        throttle(stage, "replies-engine", "prod", 500, 1_000)

        assert faults(stage) == []

    def test_a_right_that_is_missing_is_one_finding_that_names_it(self, stage: Stage):
        """What else is looked at by that service is looked at all the same."""
        deployment = stage.find()
        refuse(deployment, "lambda", "AccessDeniedException", "GetAccountSettings")
        refuse(deployment, "apigateway", "AccessDeniedException", "GetRestApis")

        found = [one for area in examine(deployment, NO_PROBE) for one in area.findings]

        told = [one for one in found if one.area in {"functions", "concurrency", "throttle"}]
        assert [one.what for one in told] == [
            "the credentials have no right to GetAccountSettings of the account",
            "the credentials have no right to GetRestApis replies-engine",
        ]
        assert all("--profile" in one.fix for one in told)


def throttle(stage: Stage, api_name: str, api_stage: str, per_second: int, burst: int) -> None:
    """An API with a stage that takes so much."""
    client = stage.client("apigateway")
    api = client.create_rest_api(name=api_name)["id"]
    (root,) = client.get_resources(restApiId=api)["items"]
    method = {"restApiId": api, "resourceId": root["id"], "httpMethod": "POST"}
    client.put_method(**method, authorizationType="NONE")
    client.put_integration(**method, type="MOCK")
    client.create_deployment(restApiId=api, stageName=api_stage)
    limits = {"rateLimit": per_second, "burstLimit": burst}
    patches = [
        {"op": "replace", "path": f"/*/*/throttling/{name}", "value": str(value)} for name, value in limits.items()
    ]
    client.update_stage(restApiId=api, stageName=api_stage, patchOperations=patches)


class TestPolicies:
    TOLD = {  # noqa: RUF012
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"], "Resource": "arn:aws:sqs:r:1:q"},
        ],
    }

    def test_the_same_rights_are_the_same_however_they_are_grouped(self):
        """IAM keeps what it was given; two tools write it in two ways."""
        found = {
            "Statement": [
                {"Effect": "Allow", "Action": "sqs:GetQueueUrl", "Resource": ["arn:aws:sqs:r:1:q"]},
                {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ["arn:aws:sqs:r:1:q"]},
            ]
        }

        assert policies.differences(self.TOLD, found) == ([], [])

    def test_what_is_lacking_and_what_is_beyond_are_told_apart(self):
        """By action and resource."""
        found = {
            "Statement": {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:*"], "Resource": "arn:aws:sqs:r:1:q"}
        }

        assert policies.differences(self.TOLD, found) == (["sqs:GetQueueUrl on q"], ["sqs:* on q"])

    def test_a_role_that_was_changed_is_found(self, stage: Stage):
        """It lacks its rights and has another."""
        other = {**self.TOLD, "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}
        name = "replies-engine-dev-recover_orphaned_messages"
        stage.client("iam").put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(other))

        lacking, beyond = (one.what for one in faults(stage) if one.area == "policies")

        assert lacking.startswith(f"the role of {name} does not allow dynamodb:")
        assert beyond.startswith(f"the role of {name} allows sqs:* on *, which .chalice/policy-dev-recover_orphaned")

    def test_a_role_without_its_policy_is_found(self, stage: Stage):
        """Its function may do nothing."""
        name = "replies-engine-dev-send_replies"
        stage.client("iam").delete_role_policy(RoleName=name, PolicyName=name)

        (found,) = faults(stage)

        assert found.what == f"the role of {name} has no policy of its own"

    def test_the_ai_worker_is_looked_for_where_the_stage_has_it(self, stage: Stage):
        """It is a function like the others then, and the reader of the AI queue."""
        document = json.loads(json.dumps(stage.config.document))
        document["stages"][STAGE]["environment_variables"]["AI_WORKER"] = "echo"
        assert AI_FUNCTION not in stage.find().queue_readers

        stage.config = type(stage.config)(document)

        told = [found.what for found in faults(stage)]
        assert f"{full_name(stage.config, STAGE, AI_FUNCTION)} is missing: the stage is half deployed" in told
        assert stage.find().queue_readers[AI_FUNCTION] == "replies-engine-local-ai"

    def test_the_ai_queue_of_a_stage_with_the_ai_worker_is_as_the_template_has_it(self, stage: Stage):
        """It is the company's: no setting of the engine's says how long a batch is hidden."""
        document = json.loads(json.dumps(stage.config.document))
        document["stages"][STAGE]["environment_variables"]["AI_WORKER"] = "echo"
        stage.config = type(stage.config)(document)
        sound = [one for one in faults(stage) if one.area == "queues"]

        set_queue(stage, "ai", VisibilityTimeout="290")

        assert sound == []
        (found,) = [one for one in faults(stage) if one.area == "queues"]
        assert found.what == "replies-engine-dev-ai delivers again after 290 s, and the template has 300"

    def test_a_policy_file_that_is_not_there_is_found(self, stage: Stage):
        """`make policies` makes it."""
        document = json.loads(json.dumps(stage.config.document))
        document["stages"][STAGE]["lambda_functions"]["batch_sms"]["iam_policy_file"] = "policy-nobody.json"
        stage.config = type(stage.config)(document)

        (found,) = faults(stage)

        assert found.what == ".chalice/policy-nobody.json of replies-engine-dev-batch_sms is missing"
        assert found.fix == "make policies"

    def test_policies_that_chalice_makes_itself_are_warned_of(self, stage: Stage):
        """It sees only what app.py calls."""
        stage.config = type(stage.config)({**stage.config.document, "autogen_policy": True})

        found = [one for area in examine(stage.find(), NO_PROBE) for one in area.findings if one.area == "policies"]

        assert {one.weight for one in found} == {Weight.WARNING}
        assert len(found) == len(functions())


class TestBadInput:
    def test_a_stage_that_nobody_knows_is_told_in_one_line(self, stage: Stage):
        """With the stages that there are."""
        nowhere = Target("staging", region=REGION)

        with pytest.raises(CommandError, match=r"stage staging is in no .chalice/config.json; fix: .*local, dev, prod"):
            Deployment.find(Account.connect(nowhere), stage.config)

    def test_a_region_without_a_table_is_told_in_one_line(self, stage: Stage):
        """And not once for each table."""
        elsewhere = Deployment.find(Account.connect(Target(STAGE, region="us-east-1")), stage.config)

        found = [one for area in examine(elsewhere, NO_PROBE) for one in area.findings]

        assert [one.what for one in found if one.area == "tables"] == ["region us-east-1 has no table of stage dev"]
        assert [one.what for one in found if one.area == "functions"] == ["stage dev has no function in us-east-1"]

    def test_credentials_without_a_right_are_told_for_what_they_lack(self, stage: Stage):
        """Each area that may be looked at is looked at all the same."""
        deployment = stage.find()
        refuse(deployment, "sqs", "AccessDenied")

        found = [one for area in examine(deployment, NO_PROBE) for one in area.findings if one.area == "queues"]

        assert [one.what for one in found] == [
            "the credentials have no right to GetQueueUrl replies-engine-dev-whatsapp"
        ]
        assert "--profile" in found[0].fix

    def test_a_command_with_bad_input_says_one_line_and_ends_with_code_2(self, stage: Stage):
        """Nothing is looked at."""
        result = CliRunner().invoke(cli, ["doctor", "--stage", "staging"])

        assert result.exit_code == 2
        assert result.stderr.count("\n") == 1

    def test_no_region_is_told_in_one_line(self, monkeypatch: pytest.MonkeyPatch):
        """Before anything is asked."""
        monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

        with pytest.raises(CommandError, match="no region is named"):
            Account.connect(Target(STAGE))


class TestExitCode:
    def run(self, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["doctor", "--stage", STAGE, "--region", REGION, *arguments])
        return result.exit_code, result.stdout

    def test_a_sound_stage_ends_with_code_0(self, stage: Stage, twilio: TwilioStub):
        """Warnings do not count."""
        with served() as (_, url):
            code, told = self.run("--url", url)

        assert code == 0, told
        assert "0 fault(s)" in told

    def test_the_answer_for_programs_is_one_document(self, stage: Stage, twilio: TwilioStub):
        """With the same findings and the same exit code."""
        set_queue(stage, "sms", RedrivePolicy="")
        with served() as (_, url):
            code, told = self.run("--url", url, "--json")

        document = json.loads(told)
        assert (code, document["faults"], document["warnings"]) == (1, 1, 1)
        grave = [one["area"] for one in document["findings"] if one["weight"] != "note"]
        assert grave == ["settings", "queues"]

    def test_a_fault_ends_with_code_1_and_one_line(self, stage: Stage, twilio: TwilioStub):
        """The last line counts."""
        set_queue(stage, "sms", RedrivePolicy="")
        with served() as (_, url):
            code, told = self.run("--url", url)

        assert code == 1
        assert len([line for line in told.splitlines() if line.startswith("✗")]) == 1
        assert "1 fault(s)" in told


def refuse(deployment: Deployment, service: str, code: str, operation: str = "") -> None:
    """Have AWS refuse every call of a service, or one operation."""
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 403}}

    def refusing(model, **_):
        raise ClientError(answer, model.name)

    meta = deployment.account.service(service).client.meta
    event = f"before-call.{meta.service_model.service_id.hyphenize()}.{operation}" if operation else "before-call"
    meta.events.register_first(event, refusing)


def put_row_of_other(stage: Stage, number: str, **refs: str) -> None:
    """A conversation of a second company, from a number of its own, with the secret of each channel."""
    row = conversation(
        conversation_id=f"of-other-{number}",
        company_id="other",
        gsi_company_whatsapp_number=number,
        gsi_company_sms_number=number,
        channel_config={channel: {"credential_ref": ref} for channel, ref in refs.items()},
    )
    stage.client("dynamodb").put_item(TableName="conversations-dev", Item=item_to_wire(row))


def test_every_function_of_the_app_is_looked_for():
    """By the names under which Chalice deploys them."""
    config = type("Config", (), {"app_name": "a"})()

    assert [full_name(config, "s", one) for one in functions()] == [
        "a-s",
        "a-s-batch_whatsapp",
        "a-s-batch_sms",
        "a-s-batch_email",
        "a-s-send_replies",
        "a-s-send_human_replies",
        "a-s-check_and_reset_stalled_conversations",
        "a-s-recover_orphaned_messages",
    ]
