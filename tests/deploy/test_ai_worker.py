"""The AI worker as a function of a stage: switched on, Chalice deploys it with its trigger, rights and settings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infrastructure.stages import AI_FUNCTION
from local.processes.environment import PROJECT, clean

NAME = f"replies-engine-prod-{AI_FUNCTION}"
PROGRAM = """
import json, os
from chalice.cli.factory import CLIFactory
from infrastructure.chalice_deploy import Graph
config = CLIFactory(".", environ=os.environ).create_config_obj(chalice_stage_name="prod")
sources = [one for one in Graph().build(config, "prod").resources if hasattr(one, "queue")]
print(json.dumps({
    one.lambda_function.function_name: {
        "queue": one.queue,
        "batch_size": one.batch_size,
        "maximum_concurrency": one.maximum_concurrency,
        "handler": one.lambda_function.handler,
        "timeout": one.lambda_function.timeout,
        "memory_size": one.lambda_function.memory_size,
        "role": one.lambda_function.role.role_name,
        "policy": one.lambda_function.role.policy.filename,
        "variables": one.lambda_function.environment_variables,
    }
    for one in sources
}))
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What Chalice reads of the project."""
    for name in ("app.py", "chalicelib", ".chalice", "infrastructure", "requirements.txt", "requirements.lock"):
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, tmp_path / name)
    return tmp_path


def run(clone: Path, *command: str) -> str:
    environment = {**clean(os.environ), "PYTHONDONTWRITEBYTECODE": "1", "AWS_DEFAULT_REGION": "eu-west-1"}
    done = subprocess.run(
        [sys.executable, *command], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def configured(clone: Path, **variables: str) -> Mapping[str, Any]:
    """The functions of the stage that queues feed, as Chalice would deploy them with these settings."""
    file = clone / ".chalice" / "config.json"
    config = json.loads(file.read_text())
    config["stages"]["prod"]["environment_variables"] |= variables
    file.write_text(json.dumps(config))
    run(clone, "-m", "infrastructure", "policies")
    told: Mapping[str, Any] = json.loads(run(clone, "-c", PROGRAM))
    return told


def test_it_is_off_unless_the_stage_switches_it_on(clone: Path):
    """The AI queue is left to the company's own worker, and no file of rights is there."""
    found = configured(clone)

    assert NAME not in found
    assert "replies-engine-prod-ai" not in {one["queue"] for one in found.values()}
    assert not (clone / ".chalice" / f"policy-prod-{AI_FUNCTION}.json").exists()


def test_switched_on_it_reads_the_ai_queue_one_batch_at_a_time_under_a_role_of_its_own(clone: Path):
    """One setting and `make policies`; every other function stays as it was."""
    before = configured(clone)

    found = configured(clone, AI_WORKER="bedrock", AI_WORKER_MODEL="acme.model-v1:0")

    one = found[NAME]
    assert (one["queue"], one["batch_size"], one["maximum_concurrency"]) == ("replies-engine-prod-ai", 1, 20)
    assert (one["handler"], one["timeout"], one["memory_size"]) == (f"app.{AI_FUNCTION}", 240, 512)
    assert one["role"] == NAME
    assert (one["variables"]["AI_WORKER"], one["variables"]["AI_WORKER_MODEL"]) == ("bedrock", "acme.model-v1:0")
    statements = json.loads((clone / one["policy"]).read_text())["Statement"]
    rights = {action: each["Resource"].rpartition(":")[2] for each in statements for action in each["Action"]}
    assert {name: rights[name] for name in ("sqs:ReceiveMessage", "sqs:SendMessage", "dynamodb:GetItem")} == {
        "sqs:ReceiveMessage": "replies-engine-prod-ai",
        "sqs:SendMessage": "replies-engine-prod-ai-replies",
        "dynamodb:GetItem": "table/conversations-prod",
    }
    assert "bedrock:InvokeModel" in rights
    changed = ("AI_WORKER", "AI_WORKER_MODEL")
    others = {name: {**told, "variables": without(told["variables"], *changed)} for name, told in found.items()}
    assert {name: others[name] for name in before} == before


def without(variables: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in names}
