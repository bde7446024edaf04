"""Runs ministack with what it lacks for a deployed stage: an API from a document, alarms that calculate, whole reports.

A program for `.venv-aws`, run by path in place of the module `ministack`. ministack reads such documents already, where
a CloudFormation template holds one; here its own reader is given those that come over HTTP too. No alarm rings here, so
one that calculates need only be there, with its name and the topic that it notifies.

    POST  /restapis?mode=import          ImportRestApi
    PUT   /restapis/{id}?mode=overwrite  PutRestApi
    PATCH /restapis/{id}                 a blank minimumCompressionSize means none; botocore reads a number or nothing
    POST  /restapis/{id}/deployments     whether the stage is traced
    events                               the domain's name, by which a function on AWS knows its public URL
    functions                            ready at once: Chalice looks again only after five seconds, for each of them
                                         what was unzipped for one that is replaced is removed behind the answer
    log events                           each with an id of its own, as CloudWatch's reader has it
    REPORT                               each function's own memory, and the time that a cold start took beside the rest
    AWS::CloudWatch::Alarm               one that calculates is kept as one on the first metric that it calculates with
    TLS                                  this machine's HTTP counts as TLS, which the queues' policy demands;
                                         a request that says `X-Forwarded-Proto: http` counts as one without
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import threading
import time
import uuid
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from ministack import app as engine
from ministack.core.lambda_runtime import Worker
from ministack.services import apigateway_v1 as gateway
from ministack.services import cloudwatch_logs as logs
from ministack.services import lambda_svc as functions
from ministack.services.cloudformation import provisioners

_BINARY = "x-amazon-apigateway-binary-media-types"

_is_plain: ContextVar[bool] = ContextVar("is_plain", default=False)
_usage: ContextVar[tuple[int | None, int | None]] = ContextVar("usage", default=(None, None))
"""What the last invocation of this thread used: MB, and the milliseconds of its cold start; None: unknown, or none."""

_serve = engine.app
_pin = engine.pin_request_origin
_answer = gateway.handle_request
_build_event = gateway._build_lambda_event_v1
_alarm = provisioners._cw_metric_alarm_record
_spawn = Worker._spawn
_invoke = Worker.invoke
_write_lines = functions._emit_lambda_logs
_append = logs._append_log_events


async def serve(scope: Any, receive: Any, send: Any) -> None:
    _is_plain.set((b"x-forwarded-proto", b"http") in scope.get("headers", ()))
    await _serve(scope, receive, send)


def pin(source_ip: str, _has_tls: bool) -> None:  # as ministack calls it
    _pin(source_ip, not _is_plain.get())


async def answer(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
    match method, path.strip("/").split("/"):
        case "POST", ["restapis"] if "mode" in query:
            document = json.loads(body)
            told = {"endpointConfiguration": {"types": ["REGIONAL"]}, "binaryMediaTypes": document.get(_BINARY, [])}
            return gateway._get_rest_api(gateway._import_rest_api(document, told))
        case "PUT", ["restapis", api] if api in gateway._rest_apis:
            return _overwritten(api, json.loads(body))
        case "POST", ["restapis", api, "deployments"]:
            answered = await _answer(method, path, headers, body, query)
            told = json.loads(body)
            gateway._stages_v1[api][told["stageName"]]["tracingEnabled"] = told.get("tracingEnabled", False)
            return answered
        case "PATCH", ["restapis", _]:
            body = _without_blank_compression(body)
    return await _answer(method, path, headers, body, query)


def _overwritten(api: str, document: dict[str, Any]) -> Any:
    gateway._rest_apis[api]["binaryMediaTypes"] = document.get(_BINARY, [])
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


def build_event(api: str, *arguments: Any, **options: Any) -> dict[str, Any]:
    event: dict[str, Any] = _build_event(api, *arguments, **options)
    event["requestContext"]["domainName"] = f"{api}.execute-api.{os.environ['MINISTACK_REGION']}.amazonaws.com"
    return event


def alarm(name: str, properties: dict[str, Any]) -> Any:
    plain = {key: value for key, value in properties.items() if key != "Metrics"}
    first = next((one["MetricStat"] for one in properties.get("Metrics", []) if "MetricStat" in one), None)
    if first is not None:
        plain |= {**first["Metric"], "Statistic": first["Stat"], "Period": first["Period"]}
    return _alarm(name, plain)


def discard(worker: Worker) -> None:
    if worker._tmpdir:
        threading.Thread(target=shutil.rmtree, args=(worker._tmpdir, True), daemon=True).start()


def spawn(worker: Worker) -> None:
    started = time.monotonic()
    _spawn(worker)
    worker.init_milliseconds = round(1_000 * (time.monotonic() - started))


def invoke(worker: Worker, *arguments: Any, **options: Any) -> dict[str, Any]:
    _usage.set((None, None))
    result: dict[str, Any] = _invoke(worker, *arguments, **options)
    _usage.set((_peak_megabytes(worker), worker.init_milliseconds if result.get("cold_start") else None))
    return result


def _peak_megabytes(worker: Worker) -> int | None:
    """The most that the function's process ever held; None: this system does not say."""
    try:
        told = Path(f"/proc/{worker._proc.pid}/status").read_text()
        return int(told.partition("VmHWM:")[2].split()[0]) // 1_024
    except (OSError, AttributeError, IndexError, ValueError):
        return None


def write_lines(func: Any, request: str, text: str, failed: bool, milliseconds: int, **options: Any) -> None:
    """The lines of one invocation, with a report as Lambda writes it; ministack's own has no cold start."""
    memory, init = _usage.get()
    _usage.set((None, None))
    size = (func.get("config") or func).get("MemorySize", 128)
    duration = max(milliseconds - (init or 0), 0)
    report = (
        f"REPORT RequestId: {request}\tDuration: {duration} ms\tBilled Duration: {milliseconds} ms\t"
        f"Memory Size: {size} MB\tMax Memory Used: {memory or 0} MB"
    )
    if init is not None:
        report += f"\tInit Duration: {init} ms"
    if "Task timed out after" in text:
        report += "\tStatus: timeout"
    start = f"START RequestId: {request} Version: $LATEST"
    lines = [start, *text.splitlines(), f"END RequestId: {request}", report]
    _write_lines(func, request, "\n".join(lines), failed, milliseconds, **{**options, "log_source": "rie"})


def append(stream: dict[str, Any], events: list[dict[str, Any]]) -> None:
    _append(stream, [{"eventId": uuid.uuid4().hex, **one} for one in events])


if __name__ == "__main__":
    engine.app = serve
    engine.pin_request_origin = pin
    gateway.handle_request = answer
    gateway._build_lambda_event_v1 = build_event
    provisioners._cw_metric_alarm_record = alarm
    Worker._discard_tmpdir = discard
    Worker._spawn, Worker.invoke = spawn, invoke
    functions._emit_lambda_logs = write_lines
    logs._append_log_events = append
    functions._LAMBDA_STATE_TRANSITION_DELAY = 0
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
