"""A provider that keeps media, in memory."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.channels.fetcher import Fetched, NotFetched
from chalicelib.clock import Deadline
from chalicelib.errors import Code, Misconfigured, TryAgain
from tests.fakes.faults import Call, FaultPlan


class InMemoryMedia:
    """Media by URL; see `chalicelib.channels.fetcher.Fetcher`. Each fetch passes the plan of faults."""

    def __init__(self, plan: FaultPlan) -> None:
        self.plan = plan
        self.files: dict[str, tuple[bytes, str]] = {}
        """Content and content type by URL; what is not there is not found."""
        self.refused_secrets: set[str] = set()
        """The texts of secrets that the provider takes no longer."""

    def fetch(
        self, url: str, secret: str, *, refuse: Callable[[int, str], str | None], deadline: Deadline
    ) -> Fetched | NotFetched:
        call = Call("FetchMedia", "twilio", "read", Code.QUEUE_ERROR, Code.SECRET_FETCH_FAILED)
        try:
            return self.plan.perform(call, lambda _: self._file(url, secret, refuse))
        except (TryAgain, Misconfigured) as fault:
            return NotFetched(type(fault).__name__)

    def _file(self, url: str, secret: str, refuse: Callable[[int, str], str | None]) -> Fetched | NotFetched:
        if secret in self.refused_secrets:
            return NotFetched("status 401", is_ours_to_mend=True)
        if url not in self.files:
            return NotFetched("status 404")
        content, content_type = self.files[url]
        problem = refuse(len(content), content_type)
        return Fetched(content, content_type) if problem is None else NotFetched("refused", problem)
