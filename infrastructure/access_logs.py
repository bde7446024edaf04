"""The API's access log: one line for each request, also for those that never reach our code.

A line has no URL, since a URL can hold a company's token. It has the path as the route's template, and no query string.
API Gateway writes logs by one role for the whole account and region. A role that the account has already is left alone.
"""

from __future__ import annotations

import json
import time
from typing import Any

from botocore.exceptions import ClientError

from infrastructure.account import Account, DeploymentError, error_code
from infrastructure.stages import Stage

FORMAT = json.dumps(
    {
        "api_request_id": "$context.extendedRequestId",
        "ip": "$context.identity.sourceIp",
        "method": "$context.httpMethod",
        "path": "$context.resourcePath",
        "status": "$context.status",
        "error": "$context.error.responseType",
        "milliseconds": "$context.responseLatency",
    },
    separators=(",", ":"),
)
"""`resourcePath` is the route's template, such as `/webhooks/email/{token}`; `path` would have the token itself.

`api_request_id` is the field of that name in the function's lines. The time is the event's own, and the stage is in the
name of the log group.
"""

ROLE = "replies-engine-api-gateway-logs"

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
_POLICY = "service-role/AmazonAPIGatewayPushToCloudWatchLogs"

_TRIES, _SECONDS_BETWEEN = 20, 3


def group(stage: Stage) -> str:
    """The name of the stage's log group."""
    return f"/aws/apigateway/{stage.stack_name}"


def destination(account: Account, stage: Stage) -> str:
    """The ARN of the stage's log group.

    Raises:
        DeploymentError: the stage's stack is older than its access log.
    """
    name = group(stage)
    found = account.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    for one in found:
        if one["logGroupName"] == name:
            return str(one["arn"]).removesuffix(":*")
    raise DeploymentError(f"the log group {name} is missing: `make infrastructure STAGE={stage.name}` makes it")


def let_api_gateway_write(account: Account) -> bool:
    """See to it that API Gateway has a role for its logs; whether it had none.

    A role that was made a moment ago is not known everywhere yet: API Gateway refuses it for some seconds.
    """
    client = account.client("apigateway")
    if client.get_account().get("cloudwatchRoleArn"):
        return False
    arn = _role(account.client("iam"), account.session.get_partition_for_region(account.region))
    for left in range(_TRIES, 0, -1):
        try:
            client.update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": arn}])
        except ClientError as error:
            if error_code(error) != "BadRequestException" or left == 1:
                raise
            time.sleep(_SECONDS_BETWEEN)
        else:
            break
    return True


def _role(iam: Any, partition: str) -> str:
    try:
        made = iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(_TRUST))
    except ClientError as error:
        if error_code(error) != "EntityAlreadyExists":
            raise
        made = iam.get_role(RoleName=ROLE)
    iam.attach_role_policy(RoleName=ROLE, PolicyArn=f"arn:{partition}:iam::aws:policy/{_POLICY}")
    return str(made["Role"]["Arn"])
