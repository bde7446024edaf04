"""What Chalice deploys: in which order, on which an upgrade without loss depends, and what is traced."""

from __future__ import annotations

import json
import re

import pytest
from chalice.cli.factory import CLIFactory
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.models import LambdaFunction, RestAPI

from chalicelib.settings import WEBHOOK_TIMEOUT_SECONDS
from infrastructure.chalice_deploy import Graph
from infrastructure.stages import HTTP_FUNCTION, PROJECT, functions


def test_the_function_behind_the_webhooks_is_deployed_last():
    """No webhook writes a row of a new version before every worker and sweep can read it."""
    config = CLIFactory(str(PROJECT), environ={}).create_config_obj(chalice_stage_name="dev")

    graph = ApplicationGraphBuilder().build(config, "dev")
    resources = DependencyBuilder().build_dependencies(graph)

    order = [one.resource_name for one in resources if isinstance(one, LambdaFunction)]
    assert sorted(order) == sorted(functions())
    assert order[-1] == HTTP_FUNCTION


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_the_api_is_not_traced_and_every_function_is(stage: str):
    """A trace of the API has the URL, and a URL can hold a company's token."""
    config = CLIFactory(str(PROJECT), environ={}).create_config_obj(chalice_stage_name=stage)

    application = Graph().build(config, stage)

    deployed = DependencyBuilder().build_dependencies(application)
    assert [one.xray for one in deployed if isinstance(one, RestAPI)] == [False]
    assert [one.xray for one in deployed if isinstance(one, LambdaFunction)] == [True] * len(functions())


def test_a_plain_chalice_deploy_does_not_trace_the_api_either():
    """It has one setting for the API and the function behind it; both stay untraced."""
    config = CLIFactory(str(PROJECT), environ={}).create_config_obj(chalice_stage_name="prod")

    application = ApplicationGraphBuilder().build(config, "prod")

    assert [one.xray for one in application.resources if isinstance(one, RestAPI)] == [False]


def test_a_rollback_waits_for_as_long_as_a_webhook_of_the_version_before_may_run():
    """The page says so, and the function's time-out is that of the settings."""
    page = (PROJECT / "docs" / "deploying.md").read_text().partition("### Rolling back")[2]
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text())

    assert re.findall(r"^    sleep (\d+) ", page, re.MULTILINE) == [str(WEBHOOK_TIMEOUT_SECONDS)]
    assert config["lambda_timeout"] == WEBHOOK_TIMEOUT_SECONDS
