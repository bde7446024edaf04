"""The order in which Chalice deploys the functions: an upgrade without loss leans on it (docs/deploying.md)."""

from __future__ import annotations

from chalice.cli.factory import CLIFactory
from chalice.deploy.appgraph import ApplicationGraphBuilder, DependencyBuilder
from chalice.deploy.models import LambdaFunction

from infrastructure.stages import HTTP_FUNCTION, PROJECT, functions


def test_the_function_behind_the_webhooks_is_deployed_last():
    """No webhook writes a row of a new version before every worker and sweep can read it."""
    config = CLIFactory(str(PROJECT), environ={}).create_config_obj(chalice_stage_name="dev")

    graph = ApplicationGraphBuilder().build(config, "dev")
    resources = DependencyBuilder().build_dependencies(graph)

    order = [one.resource_name for one in resources if isinstance(one, LambdaFunction)]
    assert sorted(order) == sorted(functions())
    assert order[-1] == HTTP_FUNCTION
