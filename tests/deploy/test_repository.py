"""What is deployed holds nothing of one account, and what is told twice is told alike."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infrastructure.stages import AI_FUNCTION, HTTP_FUNCTION, functions, stages
from infrastructure.template import TEMPLATE_FILE, resources
from local.processes.environment import PROJECT

CONFIG = json.loads((PROJECT / ".chalice" / "config.json").read_text())
SHIPPED = sorted(
    path
    for pattern in (
        "app.py",
        "chalicelib/**/*.py",
        "infrastructure/*.yaml",
        ".chalice/policy-*.json",
        "requirements.txt",
    )
    for path in PROJECT.glob(pattern)
)
OF_ONE_ACCOUNT = {
    "the number of an account": re.compile(r"\b\d{12}\b"),
    "an access key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a region": re.compile(
        r"\b(us|eu|ap|sa|ca|me|af|il|mx|cn)(-gov)?-(north|south|east|west|central)(east|west)?-\d\b"
    ),
    "an account of Twilio's": re.compile(r"\bAC[0-9a-f]{32}\b"),
}


@pytest.mark.parametrize("kind", OF_ONE_ACCOUNT)
@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(PROJECT)))
def test_nothing_that_is_deployed_names_an_account_a_secret_or_a_region(path: Path, kind: str):
    """So that it deploys to any."""
    assert OF_ONE_ACCOUNT[kind].findall(path.read_text()) == []


@pytest.mark.parametrize("stage", [one for one in stages().values() if one.is_deployable], ids=lambda one: one.name)
def test_no_configured_stage_names_an_account_a_secret_or_a_region(stage):
    """The stage for `chalice local` names the local AWS, and is not deployed."""
    told = json.dumps(CONFIG["stages"][stage.name])

    assert {kind: found for kind, one in OF_ONE_ACCOUNT.items() if (found := one.findall(told))} == {}
    assert not [name for name in stage.variables if name.startswith("AWS_")]


def test_every_function_s_log_is_kept_as_long():
    """By Chalice the workers', by the template that of the function whose log group Chalice misnames."""
    template = resources(TEMPLATE_FILE, "dev")["WebhookLogGroup"].properties
    kept = {
        name: CONFIG["lambda_functions"][name].get("log_retention_in_days") for name in [*functions()[1:], AI_FUNCTION]
    }

    assert template["LogGroupName"] == f"/aws/lambda/{stages()['dev'].function_name(HTTP_FUNCTION)}"
    assert kept == dict.fromkeys([*functions()[1:], AI_FUNCTION], template["RetentionInDays"])
    assert "log_retention_in_days" not in CONFIG
