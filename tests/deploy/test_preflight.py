"""What is missing is found before functions are deployed, and told with what mends it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infrastructure import policies
from infrastructure.account import Account
from infrastructure.preflight import faults_of_account, faults_of_configuration, faults_of_topic
from infrastructure.stack import Stack
from infrastructure.stages import Stage, stages
from infrastructure.template import TEMPLATE_FILE
from tests.deploy.conftest import AGAIN, Elsewhere


def changed(stage: Stage, **variables: str) -> Stage:
    return replace(stage, variables={**stage.variables, **variables})


class TestConfiguration:
    @pytest.mark.parametrize("stage", [one for one in stages().values() if one.is_deployable], ids=lambda one: one.name)
    def test_the_stages_as_they_are_configured_are_sound(self, stage: Stage):
        """Nothing to mend."""
        assert list(faults_of_configuration(stage)) == []

    @pytest.mark.parametrize(
        ("variable", "name"),
        [("WHATSAPP_QUEUE", "replies-engine-prod-whatsapp"), ("STAGE_TABLE", "conversations-stage-prod")],
    )
    def test_a_queue_or_table_of_another_stage_is_named(self, dev: Stage, variable: str, name: str):
        """Before a function of one stage reads what is the other's."""
        (fault,) = faults_of_configuration(changed(dev, **{variable: name}))

        assert fault.startswith(f"{variable} of the stage dev names {name}, which is nothing of that stage")
        assert "`make policies`" in fault

    @pytest.mark.parametrize(
        ("variable", "value", "bounds"),
        [("AI_REPLIES_WORKERS_MAX", "2000", "2 to 1000"), ("API_REQUESTS_PER_SECOND", "0", "1 to 100000")],
    )
    def test_a_setting_out_of_its_bounds_is_named(self, dev: Stage, variable: str, value: str, bounds: str):
        """Before a function is deployed that could not start, or an API that takes nothing."""
        (fault,) = faults_of_configuration(changed(dev, **{variable: value}))

        assert fault.startswith(
            f"{variable} must be a number from {bounds}: mend environment_variables of the stage dev"
        )

    def test_a_stage_that_closes_its_endpoint_needs_a_domain(self, dev: Stage):
        """Nothing could reach it otherwise."""
        closed = replace(dev, closes_execute_api=True)

        (fault,) = faults_of_configuration(closed)

        assert fault.startswith("close_execute_api_endpoint of the stage dev would leave it without a URL: set PUBLIC_")
        assert list(faults_of_configuration(changed(closed, PUBLIC_BASE_URL="https://hooks.example.com"))) == []

    def test_stale_policy_files_are_named(self, dev: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
        """A right that was written and not generated would be missing at night."""
        monkeypatch.setattr(policies, "CHALICE", tmp_path)
        policies.write()
        policies.path("dev", "api_handler").write_text("{}")

        (fault,) = faults_of_configuration(dev)

        assert fault.startswith("policy-dev-api_handler.json are not what the table of rights says: `make policies`")


class TestAccount:
    def test_a_region_without_the_stack_is_told_of_each_table_and_queue(
        self, account: Account, dev: Stage, monkeypatch: pytest.MonkeyPatch
    ):
        """With the region, and the command that makes them."""
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")

        faults = list(faults_of_account(Account.of_shell(AGAIN), dev))

        assert len(faults) == 6 + 14
        assert faults[0].startswith(
            "the table conversations-dev is missing in us-west-2: `make deploy STAGE=dev` makes it"
        )
        assert [fault for fault in faults if "queue replies-engine-dev-ai-replies-dlq is missing" in fault]

    def test_a_whole_stack_has_no_faults_and_a_company_s_table_without_an_index_has_one(
        self, account: Account, dev: Stage, monkeypatch: pytest.MonkeyPatch
    ):
        """Where the company's account holds the conversations table, it may lack what the look-up needs."""
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
        account = Account.of_shell(AGAIN)
        Stack(account, dev.stack_name, TEMPLATE_FILE, poll_seconds=0.1).bring_up({"Stage": "dev"}, AGAIN)

        whole = list(faults_of_account(account, dev))
        lacking = list(faults_of_account(account, changed(dev, SMS_INDEX="another-index")))

        assert whole == []
        assert lacking == [
            "the table conversations-dev lacks the index another-index: docs/data.md has its keys; add it"
        ]


class TestTopic:
    @pytest.mark.parametrize("topic", [None, "", "arn:aws:sns:eu-west-1:111122223333:alarms"])
    def test_none_is_needed_and_one_of_the_region_is_well(self, topic: str | None):
        """Left out, emptied, or told."""
        assert list(faults_of_topic(Elsewhere(None, "eu-west-1"), topic)) == []  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("topic", "fault"),
        [
            ("alarms", "alarms is no SNS topic: ALARM_TOPIC is the ARN of one"),
            ("arn:aws:sqs:eu-west-1:111122223333:alarms", "is no SNS topic: ALARM_TOPIC is the ARN of one"),
            (
                "arn:aws:sns:us-east-1:111122223333:alarms",
                "is in us-east-1, but an alarm notifies only its own region",
            ),
        ],
    )
    def test_one_that_no_alarm_can_tell_has_a_fault(self, topic: str, fault: str):
        """CloudFormation would find out at the end of a deployment."""
        (told,) = faults_of_topic(Elsewhere(None, "eu-west-1"), topic)  # type: ignore[arg-type]

        assert fault in told
