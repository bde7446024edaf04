"""The order in which Chalice deploys the functions: an upgrade without loss leans on it (docs/deploying.md)."""

from __future__ import annotations

import json
import re

from chalice.cli.factory import CLIFactory
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.models import LambdaFunction

from chalicelib.settings import WEBHOOK_TIMEOUT_SECONDS
from infrastructure.stages import HTTP_FUNCTION, PROJECT, functions


def test_the_function_behind_the_webhooks_is_deployed_last():
    """No webhook writes a row of a new version before every worker and sweep can read it."""
    config = CLIFactory(str(PROJECT), environ={}).create_config_obj(chalice_stage_name="dev")

    graph = ApplicationGraphBuilder().build(config, "dev")
    resources = DependencyBuilder().build_dependencies(graph)

    order = [one.resource_name for one in resources if isinstance(one, LambdaFunction)]
    assert sorted(order) == sorted(functions())
    assert order[-1] == HTTP_FUNCTION


def test_a_rollback_waits_for_as_long_as_a_webhook_of_the_version_before_may_run():
    """The page says so, and the function's time-out is that of the settings."""
    page = (PROJECT / "docs" / "deploying.md").read_text().partition("### Rolling back")[2]
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text())

    assert re.findall(r"^    sleep (\d+) ", page, re.MULTILINE) == [str(WEBHOOK_TIMEOUT_SECONDS)]
    assert config["lambda_timeout"] == WEBHOOK_TIMEOUT_SECONDS
