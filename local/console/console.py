"""Builds the console of `make run`, and serves it for as long as the block lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from local.console.actions import Actions
from local.console.faults import ORDERS, Faults
from local.console.feed import Feed
from local.console.guard import new_token
from local.console.inbox import Inbox
from local.console.observer import Observer
from local.console.phones import phones_of
from local.console.web import Server, Site
from local.processes.children import Child
from local.processes.environment import HOST
from local.stack import Stack
from local.tenants import Tenant


@dataclass
class Ear:
    """Passes the children's lines on to the console once there is one; the children start before it."""

    observers: list[Observer] = field(default_factory=list)

    def on_line(self, child: str, line: str) -> None:
        """Take a line that a child printed."""
        for one in self.observers:
            one.on_line(child, line)


@contextmanager
def served(
    stack: Stack, ear: Ear, tenants: Iterable[Tenant], *, port: int, worker: Child, ai: Child | None, thinking: float
) -> Iterator[str]:
    """The console of a running stack; its address, with the token of this start.

    Args:
        stack: what runs.
        ear: passes on the children's lines.
        tenants: the companies whose customers have phones.
        port: where it is served.
        worker: the child that works.
        ai: the stub of the AI; None: the AI is not ours.
        thinking: how long the stub of the AI thinks, in seconds.
    """
    feed, names = Feed(), stack.settings
    phones = phones_of(tenants)
    inbox = Inbox(aws=stack.aws, handoff_queue=names.human_handoff_queue, replies_queue=names.human_replies_queue)
    faults = Faults(stack, feed, worker, ai, thinking)
    observer = Observer(stack=stack, feed=feed, phones=phones, inbox=inbox, faults=faults)
    actions = Actions(stack, f"http://{HOST}:{stack.http_port}", phones, observer, inbox, faults)
    values = {
        "orders": [asdict(one) for one in ORDERS],
        "phones": [
            {"id": one.conversation, "name": one.customer.name.capitalize(), "company": one.company.company_name}
            for one in phones.values()
        ],
        "window_seconds": names.batch_window_seconds,
    }
    site = Site("play.html", feed, actions.by_name, values)
    ear.observers.append(observer)
    with inbox, observer, Server(site, port, new_token()) as server:
        yield server.address
