"""A bucket in memory."""

from __future__ import annotations

import copy

from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured
from chalicelib.ports.buckets import claimed_content_type, claimed_filename
from tests.fakes.faults import Call, FaultPlan


class InMemoryBucket:
    """One bucket; see `chalicelib.ports.buckets.Bucket`.

    Args:
        plan: shared by all fakes of a test.
        name: the bucket's name, complete.
        is_there: whether somebody has made it.
    """

    def __init__(self, plan: FaultPlan | None = None, name: str = "attachments", *, is_there: bool = True) -> None:
        self.plan = plan or FaultPlan()
        self.name = name
        self.is_there = is_there
        self.objects: dict[str, tuple[bytes, str, str | None]] = {}
        """Content, content type and the name to save it under, by key."""
        self._deadline: Deadline | None = None

    def within(self, deadline: Deadline) -> InMemoryBucket:
        bounded = copy.copy(self)
        bounded._deadline = deadline
        return bounded

    def put(self, key: str, content: bytes, *, content_type: str, filename: str | None = None) -> str:
        transient, permanent = Code.STAGE_WRITE_ERROR, Code.CONFIGURATION_ERROR
        if self._deadline is not None:
            self._deadline.check(f"PutObject {self.name}", transient)
        kept = (content, claimed_content_type(content_type), None if filename is None else claimed_filename(filename))
        self.plan.perform(Call("PutObject", self.name, "write", transient, permanent), lambda _: self._keep(key, kept))
        return f"s3://{self.name}/{key}"

    def _keep(self, key: str, kept: tuple[bytes, str, str | None]) -> None:
        if not self.is_there:
            raise Misconfigured(Code.CONFIGURATION_ERROR, f"PutObject {self.name}: NoSuchBucket")
        self.objects[key] = kept
