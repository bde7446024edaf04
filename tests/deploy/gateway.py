"""Runs ministack with what it lacks of `chalice deploy`: an API made from an OpenAPI document over HTTP.

A program for `.venv-aws`, run by path in place of the module `ministack`. ministack reads such documents already, where
a CloudFormation template holds one; here its own reader is given those that come over HTTP too.

    POST  /restapis?mode=import          ImportRestApi
    PUT   /restapis/{id}?mode=overwrite  PutRestApi
    PATCH /restapis/{id}                 a blank minimumCompressionSize means none; botocore reads a number or nothing
"""

from __future__ import annotations

import json
import runpy
from typing import Any

from ministack.services import apigateway_v1 as gateway

_answer = gateway.handle_request


async def answer(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
    match method, path.strip("/").split("/"):
        case "POST", ["restapis"] if "mode" in query:
            regional = {"endpointConfiguration": {"types": ["REGIONAL"]}}
            return gateway._get_rest_api(gateway._import_rest_api(json.loads(body), regional))
        case "PUT", ["restapis", api] if api in gateway._rest_apis:
            return _overwritten(api, json.loads(body))
        case "PATCH", ["restapis", _]:
            body = _without_blank_compression(body)
    return await _answer(method, path, headers, body, query)


def _overwritten(api: str, document: dict[str, Any]) -> Any:
    resources = gateway._resources[api]
    root = next(one for one in resources.values() if one["path"] == "/")
    resources.clear()
    resources[root["id"]] = {**root, "resourceMethods": {}}
    for path, item in document["paths"].items():
        gateway._import_path_item(api, path, item)
    return gateway._get_rest_api(api)


def _without_blank_compression(body: bytes) -> bytes:
    document = json.loads(body)
    blank = {"op": "replace", "path": "/minimumCompressionSize", "value": ""}
    document["patchOperations"] = [one for one in document["patchOperations"] if one != blank]
    return json.dumps(document).encode()


if __name__ == "__main__":
    gateway.handle_request = answer
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
