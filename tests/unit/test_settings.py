"""Settings: complete and sound, or one error that names every fault; and told the same everywhere."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from chalicelib.errors import Code
from chalicelib.settings import Settings, SettingsError
from chalicelib.settings.process import lambda_handler, queue_name, workers_max
from infrastructure.template import load
from tests.world import ENVIRONMENT

ROOT = Path(__file__).parents[2]
STAGES = json.loads((ROOT / ".chalice" / "config.json").read_text())
REQUIRED = [one.name.upper() for one in fields(Settings) if one.metadata["default"] is None]

DESIGN = {
    "batch_window_seconds": 10,
    "batch_max_wait_seconds": 30,
    "batch_messages_max": 99,
    "on_new_message": "queue",
    "restarts_max": 2,
    "requeue_delay_seconds": 15,
    "requeue_attempts_max": 6,
    "stall_timeout_seconds": 300,
    "stall_action": "warn",
    "stage_ttl_hours": 72,
    "secret_ttl_seconds": 1_800,
    "aws_connect_timeout_seconds": 0.5,
    "aws_read_timeout_seconds": 1,
    "aws_tries": 2,
    "webhook_deadline_seconds": 2.5,
    "worker_timeout_seconds": 30,
    "visibility_timeout_seconds": 180,
    "messages_keep": 40,
    "messages_bytes_max": 32_768,
    "dedupe_hours": 72,
    "handoff_flag_routes": False,
}


def faults(**changes: str | None) -> list[str]:
    """What is wrong with the environment after these changes; None removes a variable."""
    environment = {**ENVIRONMENT, **{name.upper(): value for name, value in changes.items()}}
    with pytest.raises(SettingsError) as error:
        Settings.from_environment({name: value for name, value in environment.items() if value is not None})
    assert error.value.code is Code.CONFIGURATION_ERROR
    return error.value.faults


def told_in_docs() -> dict[str, tuple[str, str]]:
    """Default and note by variable, as docs/settings.md has them."""
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.*?) \| (.*) \|$", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE
    )
    assert len(rows) == len({name for name, _, _ in rows}), "each variable once"
    return {name: (default, note) for name, default, note in rows}


class TestFaults:
    def test_one_error_names_every_missing_and_malformed_setting(self):
        """Nobody deploys five times to find five mistakes."""
        environment = {"STAGE": "dev", "LOG_LEVEL": "LOUD", "BATCH_WINDOW_SECONDS": "ten", "AWS_TRIES": "0"}

        with pytest.raises(SettingsError) as error:
            Settings.from_environment(environment)

        wrong = {"LOG_LEVEL", "BATCH_WINDOW_SECONDS", "AWS_TRIES", *REQUIRED} - {"STAGE"}
        assert {fault.split()[0] for fault in error.value.faults} == wrong
        assert all(fault in error.value.detail for fault in error.value.faults)
        assert f"{len(wrong)} fault(s)" in str(error.value)

    @pytest.mark.parametrize("variable", REQUIRED)
    @pytest.mark.parametrize("value", [None, ""])
    def test_a_required_setting_that_is_missing_or_blank_is_named(self, variable: str, value: str | None):
        """A blank name is no name."""
        assert faults(**{variable: value}) == [f"{variable} is missing"]

    @pytest.mark.parametrize(
        ("variable", "value", "fault"),
        [
            ("BATCH_WINDOW_SECONDS", "-1", "must be a number from 0 to 900"),
            ("BATCH_WINDOW_SECONDS", "", "must be a number from 0 to 900"),
            ("BATCH_WINDOW_SECONDS", "1.5", "must be a number from 0 to 900"),
            ("BATCH_MESSAGES_MAX", "100", "must be a number from 1 to 99"),
            ("REQUEUE_DELAY_SECONDS", "301", "must be a number from 1 to 300"),
            ("AWS_READ_TIMEOUT_SECONDS", "nan", "must be a number from 0.05 to 20"),
            ("AWS_READ_TIMEOUT_SECONDS", "inf", "must be a number from 0.05 to 20"),
            ("ON_NEW_MESSAGE", "QUEUE", "must be one of queue, restart, reject"),
            ("STALL_ACTION", "ignore", "must be one of warn, handoff"),
            ("HANDOFF_FLAG_ROUTES", "yes", "must be one of true, false"),
            ("PUBLIC_BASE_URL", "hooks.example.com", "must be empty or start with https://"),
            ("LOCK_INDEX_SHARDS", "0", "must be a number from 1 to 256"),
        ],
    )
    def test_a_malformed_setting_is_named_with_what_it_must_be(self, variable: str, value: str, fault: str):
        """The value itself is not repeated: it may be a secret in the wrong place."""
        assert faults(**{variable: value}) == [f"{variable} {fault}"]

    @pytest.mark.parametrize(
        "variable", ["DEAD_LETTER_SUFFIX", "LOCK_INDEX", "WHATSAPP_INDEX", "SMS_INDEX_COMPANY_KEY"]
    )
    def test_a_name_with_a_default_cannot_be_blank(self, variable: str):
        """With no suffix a queue would be its own dead-letter queue, and a bad trigger would go round for ever."""
        assert [fault.split()[0] for fault in faults(**{variable: ""})] == [variable]


class TestRelations:
    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"batch_window_seconds": "31"}, "BATCH_WINDOW_SECONDS must not exceed BATCH_MAX_WAIT_SECONDS"),
            (
                {"worker_timeout_seconds": "180", "reconcile_after_seconds": "200"},
                "WORKER_TIMEOUT_SECONDS must be less than VISIBILITY_TIMEOUT_SECONDS",
            ),
            (
                {"reconcile_after_seconds": "30"},
                "RECONCILE_AFTER_SECONDS must exceed WORKER_TIMEOUT_SECONDS and be less than STALL_TIMEOUT_SECONDS",
            ),
            (
                {"visibility_timeout_seconds": "300"},
                "VISIBILITY_TIMEOUT_SECONDS must be less than STALL_TIMEOUT_SECONDS",
            ),
            (
                {"requeue_attempts_max": "5"},
                (
                    "REQUEUE_DELAY_SECONDS and REQUEUE_ATTEMPTS_MAX keep a trigger coming for 465 s, "
                    "which must exceed STALL_TIMEOUT_SECONDS and a sweep, 600 s"
                ),
            ),
            (
                {"bucket_read_timeout_seconds": "5"},
                "WEBHOOK_DEADLINE_SECONDS and twice BUCKET_READ_TIMEOUT_SECONDS must leave 3 s of the webhook's 15 s",
            ),
            (
                {"media_copying_seconds": "14", "media_copying": "true"},
                (
                    "with MEDIA_COPYING, MEDIA_COPYING_SECONDS and twice BUCKET_READ_TIMEOUT_SECONDS must leave "
                    "WORKER_TIMEOUT_SECONDS 9 s"
                ),
            ),
            (
                {"stage_ttl_hours": "1", "requeue_attempts_max": "20"},
                "STAGE_TTL_HOURS must outlast the retries of a trigger and the longest BATCH_MAX_WAIT_SECONDS, 900 s",
            ),
            (
                {"status_callbacks": "false", "undelivered_action": "resend"},
                "STATUS_CALLBACKS may be false only while UNDELIVERED_ACTION is none",
            ),
            (
                {"stage_ttl_hours": "1", "requeue_attempts_max": "15"},
                "STAGE_TTL_HOURS must outlast the retries of a trigger and the longest BATCH_MAX_WAIT_SECONDS, 900 s",
            ),
        ],
    )
    def test_a_relation_that_does_not_hold_is_named(self, changes: dict[str, str], fault: str):
        """Each is one that the protocol's timing premise leans on."""
        assert faults(**changes) == [fault]

    def test_what_is_off_is_held_to_no_relation(self):
        """A worker that copies no media may be as short as its sends allow."""
        settings = Settings.from_environment({**ENVIRONMENT, "MEDIA_COPYING_SECONDS": "20"})

        assert not settings.media_copying

    def test_several_broken_relations_are_named_together(self):
        """One error that lists them all."""
        found = faults(batch_window_seconds="60", worker_timeout_seconds="200", stall_timeout_seconds="120")

        assert [fault.split()[0] for fault in found] == [
            "BATCH_WINDOW_SECONDS",
            "WORKER_TIMEOUT_SECONDS",
            "VISIBILITY_TIMEOUT_SECONDS",
            "RECONCILE_AFTER_SECONDS",
        ]

    def test_a_fixed_window_is_allowed(self):
        """The window equal to the cap."""
        settings = Settings.from_environment({**ENVIRONMENT, "BATCH_WINDOW_SECONDS": "30"})

        assert settings.batch_window_seconds == settings.batch_max_wait_seconds

    def test_the_delay_of_a_requeue_doubles_up_to_300_seconds(self):
        """And the horizon is the sum of all."""
        settings = Settings.from_environment(ENVIRONMENT)

        delays = [settings.requeue_delay(attempt) for attempt in range(1, 7)]

        assert delays == [15, 30, 60, 120, 240, 300]
        assert settings.requeue_horizon_seconds == 765


class TestValues:
    def test_the_defaults_are_those_of_the_design(self):
        """Its table of settings, line by line."""
        settings = Settings.from_environment(ENVIRONMENT)

        values = {name: getattr(settings, name) for name in DESIGN}

        assert values == DESIGN

    def test_texts_become_values(self):
        """Lists without blanks, flags, and a base without its last slash."""
        settings = Settings.from_environment(
            {
                **ENVIRONMENT,
                "CONTEXT_ATTRIBUTES": " language, tags,,",
                "HANDOFF_FLAG_ROUTES": "true",
                "PUBLIC_BASE_URL": "https://hooks.example.com/prod/",
            }
        )

        assert settings.context_attributes == ("language", "tags")
        assert settings.handoff_flag_routes is True
        assert settings.public_base_url == "https://hooks.example.com/prod"

    def test_the_process_s_own_environment_is_the_default(self, monkeypatch: pytest.MonkeyPatch):
        """As Lambda sets it."""
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)

        settings = Settings.from_environment()

        assert settings == Settings.from_environment(ENVIRONMENT)

    def test_a_decorator_s_queue_has_the_local_stage_s_name_by_default(self, monkeypatch: pytest.MonkeyPatch):
        """So that the app can be imported without an environment."""
        monkeypatch.delenv("AI_REPLIES_QUEUE", raising=False)
        monkeypatch.setenv("SMS_QUEUE", "replies-engine-dev-sms")

        names = queue_name("AI_REPLIES_QUEUE"), queue_name("SMS_QUEUE")

        assert names == ("replies-engine-local-ai-replies", "replies-engine-dev-sms")

    @pytest.mark.parametrize("queue", ["WHATSAPP", "SMS", "EMAIL", "AI_REPLIES", "HUMAN_REPLIES", "AI"])
    def test_a_decorator_s_workers_are_as_the_stage_says(self, monkeypatch: pytest.MonkeyPatch, queue: str):
        """Read when the app is packaged; twenty where the stage says nothing."""
        monkeypatch.delenv(f"{queue}_WORKERS_MAX", raising=False)
        default = workers_max(f"{queue}_QUEUE")
        monkeypatch.setenv(f"{queue}_WORKERS_MAX", "200")

        told = workers_max(f"{queue}_QUEUE")

        assert (default, told) == (20, 200)

    @pytest.mark.parametrize("value", ["1", "1001", "", "many"])
    def test_workers_that_lambda_would_refuse_stop_the_packaging(self, monkeypatch: pytest.MonkeyPatch, value: str):
        """A mapping takes 2 to 1,000."""
        monkeypatch.setenv("SMS_WORKERS_MAX", value)

        with pytest.raises(SettingsError, match="SMS_WORKERS_MAX must be a number from 2 to 1000"):
            workers_max("SMS_QUEUE")

    def test_the_function_s_name_is_told_on_lambda_only(self, monkeypatch: pytest.MonkeyPatch):
        """`_HANDLER` alone may be anybody's."""
        monkeypatch.setenv("_HANDLER", "app.batch_sms")
        elsewhere = lambda_handler()
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "replies-engine-dev-batch_sms")

        on_lambda = lambda_handler()

        assert (elsewhere, on_lambda) == (None, "app.batch_sms")


@pytest.mark.parametrize("stage", sorted(STAGES["stages"]))
class TestStages:
    def test_a_stage_s_configuration_makes_sound_settings(self, stage: str):
        """A stage is named as it is spelt, and prod does not log debug lines."""
        environment = STAGES["stages"][stage]["environment_variables"]

        settings = Settings.from_environment(environment)

        assert settings.stage == stage
        assert (stage, settings.log_level) != ("prod", "DEBUG")

    def test_the_functions_have_the_timeouts_that_the_settings_lean_on(self, stage: str):
        """Workers as the settings say; the webhook 15 s and 512 MB."""
        settings = Settings.from_environment(STAGES["stages"][stage]["environment_variables"])
        functions = STAGES["lambda_functions"]

        workers = {name: one["lambda_timeout"] for name, one in functions.items() if name.startswith("batch_")}

        assert set(workers) == {"batch_whatsapp", "batch_sms", "batch_email"}
        assert set(workers.values()) == {settings.worker_timeout_seconds}
        assert (STAGES["lambda_timeout"], STAGES["lambda_memory_size"]) == (15, 512)

    def test_the_trigger_queues_have_the_visibility_that_the_settings_lean_on(self, stage: str):
        """As the template makes them."""
        settings = Settings.from_environment(STAGES["stages"][stage]["environment_variables"])
        queues = load(stage).queues

        seconds = {
            queues[name].visibility_seconds
            for name in (settings.whatsapp_queue, settings.sms_queue, settings.email_queue)
        }

        assert seconds == {settings.visibility_timeout_seconds}


class TestDocs:
    def test_every_setting_stands_in_the_docs_and_the_reverse(self):
        """No setting is secret, and none is made up."""
        told = told_in_docs()

        assert sorted(told) == sorted(one.name.upper() for one in fields(Settings))

    @pytest.mark.parametrize("one", fields(Settings), ids=lambda one: one.name)
    def test_default_and_note_are_the_code_s(self, one):
        """Word for word."""
        default, note = told_in_docs()[one.name.upper()]

        expected = {None: "required", "": "empty"}.get(one.metadata["default"], one.metadata["default"])

        assert (default.strip("`"), note) == (expected, one.metadata["note"])

    def test_every_relation_stands_in_the_docs(self):
        """By the settings that it names."""
        relations = (ROOT / "docs" / "settings.md").read_text().partition("## Relations")[2]

        for first, second in (
            ("BATCH_WINDOW_SECONDS", "BATCH_MAX_WAIT_SECONDS"),
            ("WORKER_TIMEOUT_SECONDS", "VISIBILITY_TIMEOUT_SECONDS"),
            ("VISIBILITY_TIMEOUT_SECONDS", "STALL_TIMEOUT_SECONDS"),
            ("REQUEUE_DELAY_SECONDS", "REQUEUE_ATTEMPTS_MAX"),
            ("RECONCILE_AFTER_SECONDS", "STALL_TIMEOUT_SECONDS"),
            ("STAGE_TTL_HOURS", "BATCH_MAX_WAIT_SECONDS"),
            ("PROVIDER_CONNECT_TIMEOUT_SECONDS", "WORKER_TIMEOUT_SECONDS"),
            ("WEBHOOK_DEADLINE_SECONDS", "BUCKET_READ_TIMEOUT_SECONDS"),
            ("MEDIA_COPYING_SECONDS", "WORKER_TIMEOUT_SECONDS"),
            ("AI_WORKER", "AI_WORKER_MODEL"),
        ):
            assert re.search(rf"- `{first}`[^-]*`{second}`", relations), (first, second)
