"""Which deployment a command reaches, and the commands that it names for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chalicelib.errors import Code, Misconfigured, TryAgain
from local import run_file
from local.processes.environment import NO_KEY, STUB_URL
from local.run_file import RunFile
from ops.stage.account import Account, as_command_error
from ops.stage.deployment import Deployment
from ops.stage.target import PROJECT, Config, Target
from ops.tenants import names
from ops.terminal.time_ranges import parse, since
from tests.fakes.clock import START

CONFIG = Config.read()


def local(**given: str) -> Target:
    return Target.of("local", CONFIG, **given)


class TestThisMachine:
    def test_a_stage_on_this_machine_is_reached_by_its_own_settings(self):
        """Endpoint, region and the stub for Twilio; where no local AWS runs, a key that none takes."""
        target = local()

        assert (target.endpoint_url, target.region) == ("http://127.0.0.1:4566", "eu-west-1")
        assert (target.key, target.twilio_url) == (NO_KEY, STUB_URL)
        assert target.is_on_this_machine

    def test_no_variable_of_the_shell_leads_it_to_a_real_account(self, monkeypatch: pytest.MonkeyPatch):
        """The most that a shell can say of AWS."""
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIAREAL",
            "AWS_SECRET_ACCESS_KEY": "real",
            "AWS_SESSION_TOKEN": "real",
            "AWS_ENDPOINT_URL": "https://real.example.com",
            "AWS_ENDPOINT_URL_SQS": "https://sqs.example.com",
            "AWS_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)

        account = Account.connect(local())
        clients = [
            account.service(name).client for name in ("sqs", "dynamodb", "secretsmanager", "lambda", "logs", "iam")
        ]

        assert {one.meta.endpoint_url for one in clients} == {"http://127.0.0.1:4566"}
        assert account.session.get_credentials().access_key == NO_KEY
        assert account.region == "eu-west-1"

    def test_its_settings_send_nothing_to_twilio(self):
        """But to the stub."""
        account = Account.connect(local(twilio_url="http://127.0.0.1:8078"))
        deployment = Deployment(account, CONFIG, {})

        assert deployment.settings.twilio_api_base_url == "http://127.0.0.1:8078"

    def test_what_fixes_it_is_run_on_this_machine(self):
        """Nothing of it is deployed."""
        assert local().deploy == "make run"


class TestRunFile:
    RUN = RunFile(pid=1, aws_port=14566, http_port=18000, twilio_port=18010, sendgrid_port=18011)

    def test_the_newest_run_is_the_stage_local(self, monkeypatch: pytest.MonkeyPatch):
        """On whichever ports it is, no option is needed."""
        monkeypatch.setattr(run_file, "running", lambda *_: [self.RUN])

        target = local()

        assert (target.endpoint_url, target.twilio_url) == ("http://127.0.0.1:14566", "http://127.0.0.1:18010")
        assert target.run == self.RUN

    def test_an_endpoint_that_is_named_wins(self, monkeypatch: pytest.MonkeyPatch):
        """Two may run at once."""
        other = replace(self.RUN, aws_port=4777, twilio_port=4778)
        monkeypatch.setattr(run_file, "running", lambda *_: [self.RUN, other])

        assert local(endpoint_url="http://127.0.0.1:4777").twilio_url == "http://127.0.0.1:4778"


class TestRehearsal:
    RUN = replace(TestRunFile.RUN, stage="dev")
    ENDPOINT = "http://127.0.0.1:14566"

    @pytest.fixture(autouse=True)
    def _runs(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(run_file, "running", lambda *_: [self.RUN])

    def test_its_endpoint_alone_leads_there(self):
        """With the access key of its start, in its region; it is deployed, so its functions tell the settings."""
        target = Target.of("dev", CONFIG, endpoint_url=self.ENDPOINT)

        assert (target.run, target.key, target.region) == (self.RUN, NO_KEY, "eu-west-1")
        assert not target.is_on_this_machine
        assert target.deploy == "make rehearse STAGE=dev"

    def test_without_the_endpoint_the_stage_is_the_account_s(self):
        """A rehearsal that happens to run is never taken for it."""
        target = Target.of("dev", CONFIG, region="eu-west-1")

        assert (target.run, target.key, target.deploy) == (None, None, "make deploy STAGE=dev")

    @pytest.mark.parametrize(
        ("stage", "endpoint"), [("prod", ENDPOINT), ("dev", "https://dynamodb.example.com:14566"), ("dev", "nonsense")]
    )
    def test_another_stage_or_endpoint_is_not_the_rehearsal(self, stage: str, endpoint: str):
        """Its key goes nowhere else."""
        target = Target.of(stage, CONFIG, endpoint_url=endpoint)

        assert (target.run, target.key) == (None, None)

    def test_the_demo_s_names_work_there(self):
        """Its tenants are those of `make run`; an account's stage has none."""
        rehearsed = Target.of("dev", CONFIG, endpoint_url=self.ENDPOINT)
        in_account = Target.of("dev", CONFIG, region="eu-west-1")

        assert [names.conversation(one, "anna") for one in (rehearsed, in_account)] == ["sunrise-anna", "anna"]
        assert [names.company(one, "nordic") for one in (rehearsed, in_account)] == ["company-nordic", "nordic"]

    def test_the_stage_local_is_never_a_rehearsal(self):
        """Though one is the only thing that runs."""
        assert local().endpoint_url == "http://127.0.0.1:4566"


class TestCommands:
    def test_a_command_is_named_with_the_options_that_led_here(self):
        """So that it can be copied as it stands."""
        assert local().ops("doctor") == "replies-engine doctor --stage local"
        assert local(endpoint_url="http://127.0.0.1:1").ops("redrive sms") == (
            "replies-engine redrive sms --stage local --endpoint-url http://127.0.0.1:1"
        )
        assert (
            Target.of("dev", CONFIG, profile="a b").ops("doctor") == "replies-engine doctor --stage dev --profile 'a b'"
        )

    def test_a_command_of_aws_s_own_line_reaches_the_same_place(self):
        """Region, endpoint and, on this machine, credentials."""
        request = {"QueueNamePrefix": "a"}
        told = """--cli-input-json '{"QueueNamePrefix": "a"}'"""

        assert Target.of("dev", CONFIG, region="eu-west-1").aws("sqs list-queues", request) == (
            f"aws sqs list-queues {told} --region eu-west-1"
        )
        assert local().aws("sqs list-queues", request) == (
            f"AWS_SHARED_CREDENTIALS_FILE={PROJECT}/.aws-local/credentials-4566 aws sqs list-queues {told} "
            "--endpoint-url http://127.0.0.1:4566 --region eu-west-1"
        )

    def test_a_deployed_stage_is_fixed_by_deploying_it(self):
        """It is always safe to do again."""
        assert Target.of("prod", CONFIG).deploy == "make deploy STAGE=prod"


class TestErrors:
    @pytest.mark.parametrize(
        ("code", "what"),
        [
            ("AccessDeniedException", "the credentials have no right to Scan t"),
            ("ExpiredTokenException", "AWS does not accept the credentials (ExpiredTokenException)"),
            ("EndpointConnectionError", "no server answers at http://127.0.0.1:4566"),
            ("ResourceNotFoundException", "Scan t: ResourceNotFoundException"),
        ],
    )
    def test_what_aws_says_is_one_line_for_a_person(self, code: str, what: str):
        """With what to do about it."""
        found = as_command_error(Misconfigured(Code.DB_QUERY_ERROR, f"Scan t: {code}"), local())

        assert found.what == what
        assert found.fix
        assert "\n" not in found.message

    def test_a_passing_fault_is_told_as_one(self):
        """To repeat is safe."""
        found = as_command_error(TryAgain(Code.DB_TRANSIENT_ERROR, "Scan t: ThrottlingException"), local())

        assert (
            found.message
            == "not now: Scan t: ThrottlingException; fix: the same command once more; it is safe to repeat"
        )


class TestSpans:
    @pytest.mark.parametrize(("text", "seconds"), [("90m", 5_400), ("24h", 86_400), ("7d", 604_800), ("5s", 5)])
    def test_a_span_is_a_number_and_a_unit(self, text: str, seconds: int):
        """Back from now."""
        assert (START - (since(text, START) or START)).total_seconds() == seconds

    def test_an_instant_is_iso_8601_and_utc_where_it_does_not_say(self):
        """As the records spell it."""
        assert since("2026-01-31T18:00", START) == START

    @pytest.mark.parametrize("text", ["", "h", "12", "1w", "yesterday", "-5m"])
    def test_anything_else_is_neither(self, text: str):
        """It is refused where it is typed."""
        assert parse(text) is None
        assert since(text, START) is None

    @pytest.mark.parametrize("text", ["999999d", "0001-13-01"])
    def test_what_lies_before_all_time_is_refused_too(self, text: str):
        """A slip of the finger is no crash."""
        assert since(text, START) is None


def test_a_key_of_a_function_is_told_by_the_nearest_that_tells_it():
    """The function, its stage, all."""
    document = {
        "lambda_timeout": 15,
        "stages": {"dev": {"memory": 1, "lambda_functions": {"f": {"lambda_timeout": 30}}}},
    }
    config = Config(document)

    assert config.of_function("dev", "f", "lambda_timeout") == 30
    assert config.of_function("dev", "g", "lambda_timeout") == 15
    assert config.of_function("dev", "g", "memory") == 1
    assert config.of_function("other", "g", "nothing") is None
