"""What Chalice deploys: in which order, on which an upgrade without loss depends, and what is traced."""

from __future__ import annotations

import pytest
from chalice.cli.factory import CLIFactory
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.models import LambdaFunction, RestAPI

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
