"""What the app's modules need and load when they are imported, and when the webhook's use case is built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.processes.environment import of_stage

ROOT = Path(__file__).parents[2]

NO_NETWORK = """
import json, sys
def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo"):
        raise RuntimeError(f"{event} {arguments}")
sys.addaudithook(refuse)
"""

COSTLY = """
costly = ("twilio.rest", "boto3", "boto3.resources", "aws_xray_sdk")
of_email = ("multipart", "cryptography", "lxml", "puremagic", "chalicelib.channels.sendgrid.webhooks")
print(json.dumps([name for name in (*costly, *of_email) if name in sys.modules]))
"""

TOOLS = """
tools = ("examples", "infrastructure", "local", "ops", "tests")
print(json.dumps([name for name in tools if name in sys.modules]))
"""


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, with nothing in its environment but this."""
    search = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}
    return subprocess.run(  # our own program
        [sys.executable, "-W", "error", "-c", NO_NETWORK + program],
        env=search | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
    )


def of_local_stage() -> dict[str, str]:
    """The stage's environment, with an access key as a running local AWS would have given it."""
    return of_stage("local") | {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}


def test_the_app_is_imported_without_settings_credentials_and_network():
    """And without what costs the webhook's cold start, or is never shipped."""
    done = python("import app" + COSTLY + TOOLS)

    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [[], []]


def test_the_webhook_s_use_case_loads_neither_the_rest_client_nor_the_resource_api_nor_what_only_e_mail_needs():
    """Not when it is built either."""
    environment = of_local_stage()

    done = python(
        """
import app
from chalicelib import wiring
from chalicelib.channels.channel import Vendor
assert wiring.engine().receiving(Vendor.TWILIO) is wiring.engine().receiving(Vendor.TWILIO)
"""
        + COSTLY,
        **environment,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == []


def test_a_message_of_another_channel_loads_nothing_that_only_e_mail_needs():
    """Not when it is received; the first e-mail loads it."""
    done = python(
        """
from tests.world import World, email_conversation
world = World(None, email_conversation())
assert world.post(world.form()).status_code == 200
"""
        + COSTLY
        + """
from tests.emails import Email
assert world.post_email(Email()).status_code == 200
"""
        + COSTLY
    )

    before, after = done.stdout.splitlines()[-2:]
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(before) == ["cryptography"]  # by which the world signs e-mails itself
    assert "chalicelib.channels.sendgrid.webhooks" in json.loads(after)


@pytest.mark.parametrize(("is_copying", "loads"), [("false", False), ("true", True)])
def test_a_batch_function_loads_what_fetches_media_where_that_is_on(is_copying: str, loads: bool):
    """It costs the start of every function that has no use for it."""
    environment = of_local_stage()
    on_lambda = {"AWS_LAMBDA_FUNCTION_NAME": "replies-engine", "_HANDLER": "app.batch_sms"}

    done = python(
        'import app\nprint(json.dumps("requests" in sys.modules))',
        **{**environment, **on_lambda, "MEDIA_COPYING": is_copying},
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) is loads


def test_on_lambda_a_function_with_wrong_settings_does_not_start():
    """With one error that lists them all."""
    done = python("import app", AWS_LAMBDA_FUNCTION_NAME="replies-engine-dev", _HANDLER="app.app", STAGE="dev")

    assert done.returncode == 1
    assert "CONFIGURATION_ERROR" in done.stderr
    assert "STAGE_TABLE is missing; TRIGGER_LOCK_TABLE is missing" in done.stderr


def test_on_lambda_a_function_builds_what_it_needs_before_its_first_event():
    """The webhook its use case, a worker and a repair theirs; clients are made then, and nothing is sent."""
    environment = of_local_stage()
    program = "import app\nfrom chalicelib import wiring\nprint(json.dumps(sorted(vars(wiring.engine()))))"
    built = {}

    for handler in ("app.app", "app.batch_sms", "app.recover_orphaned_messages"):
        done = python(program, AWS_LAMBDA_FUNCTION_NAME="replies-engine", _HANDLER=handler, **environment)
        assert (done.returncode, done.stderr) == (0, "")
        built[handler] = set(json.loads(done.stdout))

    assert built["app.app"] >= {"delivery_reports", "tables", "queues", "credentials", "clients"}
    assert built["app.batch_sms"] >= {"batching", "tables", "queues", "clients"}
    assert built["app.recover_orphaned_messages"] >= {"sweeping", "tables", "queues", "clients"}
    assert not {"batching", "sweeping"} & built["app.app"]


def test_the_ai_worker_is_registered_where_the_stage_switches_it_on():
    """And its handler is what Lambda calls."""
    program = """
import app
sources = {one.name: str(one.queue) for one in app.app.event_sources if hasattr(one, "queue")}
print(json.dumps([sources.get("answer_batches"), "answer_batches" in app.app.handler_map]))
print(json.dumps(type(app.answer_batches).__name__))
"""

    told = []
    for variables in ({}, {"AI_WORKER": "echo", "AI_QUEUE": "the-ai"}):
        done = python(program, **of_local_stage() | variables)
        assert (done.returncode, done.stderr) == (0, "")
        told.append([json.loads(line) for line in done.stdout.splitlines()])

    assert told == [[[None, False], "function"], [["the-ai", True], "EventSourceHandler"]]


def test_each_queue_s_workers_are_as_many_as_its_own_setting_says():
    """Chalice gives the stage's environment to app.py when it packages it."""
    program = """
import app
print(json.dumps({one.name: one.maximum_concurrency for one in app.app.event_sources if hasattr(one, "queue")}))
"""
    queues = ("WHATSAPP", "SMS", "EMAIL", "AI_REPLIES", "HUMAN_REPLIES", "AI")
    workers = {f"{queue}_WORKERS_MAX": str(100 + place) for place, queue in enumerate(queues)}

    done = python(program, **of_local_stage() | {"AI_WORKER": "echo"} | workers)

    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {
        "batch_whatsapp": 100,
        "batch_sms": 101,
        "batch_email": 102,
        "send_replies": 103,
        "send_human_replies": 104,
        "answer_batches": 105,
    }


def test_the_ai_worker_is_built_before_its_first_event():
    """As every other function."""
    program = "import app\nfrom chalicelib import wiring\nprint(json.dumps(sorted(vars(wiring.engine()))))"
    environment = {**of_local_stage(), "AI_WORKER": "bedrock", "AI_WORKER_MODEL": "a.model"}

    done = python(program, AWS_LAMBDA_FUNCTION_NAME="replies-engine", _HANDLER="app.answer_batches", **environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert set(json.loads(done.stdout)) >= {"answering", "tables", "clients"}


def test_each_step_is_written_once_and_as_json():
    """Chalice's own logger has the app's name, and ours too: no second handler may repeat each line as plain text."""
    environment = of_local_stage()
    program = """
import app
from chalice.test import Client
Client(app.app, project_dir="/").http.post("/webhooks/sms", headers={"Content-Type": "text/plain"})
"""

    done = python(program, **environment)

    written = (done.stdout + done.stderr).splitlines()
    steps = [json.loads(line).get("step") for line in written if line.startswith("{")]
    assert [line for line in written if not line.startswith("{")] == []
    assert [step for step in steps if step] == ["refused", "answered_provider"]
