"""Does what a finding says: runs the command that it names, as an operator would who copies it into a terminal."""

from __future__ import annotations

import json
import shlex

from botocore import xform_name
from click.testing import CliRunner

from ops.__main__ import cli
from tests.ops.conftest import Stage, redeploy
from tests.ops.conftest import client as stage_client


def run_fix(stage: Stage, fix: str, *, typed: str = "", by_hand=None) -> None:
    """Run a finding's fix.

    Args:
        stage: where.
        fix: as the doctor names it.
        typed: what the operator types where the command asks, before each question is answered with yes.
        by_hand: what the operator does where the fix is a step in a file or in a console.
    """
    program, *arguments = shlex.split(fix) if by_hand is None else ["by hand"]
    match program:
        case "by hand":
            by_hand(stage)
        case "replies-engine":
            result = CliRunner().invoke(cli, arguments, input=typed + "y\n" * 5)
            assert result.exit_code == 0, (fix, result.output, result.exception)
        case "aws":
            _call_aws(arguments)
        case "make":
            assert arguments == ["deploy", "STAGE=dev"], fix
            redeploy(stage)
        case _:
            raise AssertionError(f"nobody can run {fix}")


def _call_aws(arguments: list[str]) -> None:
    """A call of AWS's own command line, checked against the service's own model of its request."""
    service, operation, flag, document, *rest = arguments
    assert flag == "--cli-input-json"
    assert rest == ["--region", "eu-west-1"]
    client = stage_client(service)
    call = next(
        one
        for one in client.meta.method_to_api_mapping
        if xform_name(one, "-") == operation or one == operation.replace("-", "_")
    )
    getattr(client, call)(**json.loads(document))
