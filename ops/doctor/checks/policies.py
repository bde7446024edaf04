"""The policies: each function's role allows what its file under `.chalice/` says, and nothing else.

The files are made by `make policies`; `.chalice/config.json` names the file of each function. Where Chalice makes the
policies itself (`autogen_policy`) it sees only what app.py calls, and there is nothing to compare with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from ops.doctor.findings import Finding, Weight
from ops.stage.deployment import Deployment, Function
from ops.stage.target import CONFIG_FILE

AREA = "policies"


def check(deployment: Deployment) -> Iterator[Finding]:
    """What is wrong with the policies of the functions that are deployed."""
    target, config = deployment.target, deployment.config
    for handler, function in deployment.functions.items():
        if function is None:
            continue
        if config.of_function(target.stage, handler, "autogen_policy") is not False:
            what = f"the policy of {function.name} is Chalice's own, which sees only what app.py calls"
            yield Finding(AREA, what, f"make policies, then {target.deploy}", Weight.WARNING)
            continue
        named = config.of_function(target.stage, handler, "iam_policy_file")
        file = CONFIG_FILE.parent / (named or f"policy-{target.stage}.json")
        if not file.exists():
            yield Finding(AREA, f".chalice/{file.name} of {function.name} is missing", "make policies")
            continue
        yield from _compared(deployment, function, file.name, json.loads(file.read_text()))


def _compared(deployment: Deployment, function: Function, file_name: str, told: Mapping[str, Any]) -> Iterator[Finding]:
    role = function.role_arn.rpartition("/")[2]
    request = {"RoleName": role, "PolicyName": role}  # Chalice names the one policy of a role after the role
    found = deployment.account.call("iam", "GetRolePolicy", role, request, absent={"NoSuchEntity"})
    deploy = deployment.target.deploy
    if found is None:
        yield Finding(AREA, f"the role of {function.name} has no policy of its own", deploy)
        return
    lacking, beyond = differences(told, document_of(found["PolicyDocument"]))
    if lacking:
        yield Finding(AREA, f"the role of {function.name} does not allow {', '.join(lacking)}", deploy)
    if beyond:
        what = f"the role of {function.name} allows {', '.join(beyond)}, which .chalice/{file_name} does not"
        yield Finding(AREA, what, deploy)


def document_of(policy: Any) -> Mapping[str, Any]:
    """A policy as IAM answers it: a document, or its text in the encoding of a URL."""
    document: Mapping[str, Any] = json.loads(unquote(policy)) if isinstance(policy, str) else policy
    return document


def differences(told: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The actions that are told and not found, and found and not told, each on the resource that it is about; pure."""
    wanted, there = _allowed(told), _allowed(found)
    return _named(wanted - there), _named(there - wanted)


def _allowed(document: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """Each action with each resource and condition: however a document groups them, the same rights are the same."""
    rights = set()
    statements = document.get("Statement", [])
    for one in statements if isinstance(statements, list) else [statements]:
        condition = json.dumps(one.get("Condition", {}), sort_keys=True)
        rights |= {
            (action, resource, f"{one.get('Effect', 'Allow')} {condition}")
            for action in _listed(one.get("Action", []))
            for resource in _listed(one.get("Resource", []))
        }
    return rights


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _named(rights: set[tuple[str, str, str]]) -> list[str]:
    return sorted({f"{action} on {resource.rpartition(':')[2] or resource}" for action, resource, _ in rights})
