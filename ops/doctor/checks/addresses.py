"""The addresses: a number that no webhook can ask for, because it is not spelled as the look-up asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from chalicelib.conversations.conversation import COMPANY_ID
from chalicelib.messages.inbound import AddressKind
from chalicelib.messages.phone_numbers import is_readable
from ops.doctor.findings import Finding
from ops.stage.deployment import Deployment
from ops.tenants.rows import every_row

AREA = "addresses"


def check(deployment: Deployment, tenants: tuple[str, ...] = ()) -> Iterator[Finding]:
    """What is wrong with the numbers in the look-up indexes, counted by company and attribute; none is shown.

    Args:
        deployment: whose.
        tenants: only these companies; none named: all.
    """
    engine = deployment.engine()
    unreadable: Counter[tuple[str, str]] = Counter()
    for index in dict.fromkeys(one.index for one in engine.channels.values() if one.address_kind is AddressKind.PHONE):
        for row in every_row(engine.tables.conversations, index=index.name):
            tenant = str(row.get(COMPANY_ID, "unknown"))
            for name in (index.company_key, index.customer_key):
                if (not tenants or tenant in tenants) and not is_readable(str(row[name])):
                    unreadable[tenant, name] += 1
    for (tenant, name), count in sorted(unreadable.items()):
        what = f"{count} conversation(s) of {tenant} have a {name} that is no number as the look-up asks for it"
        yield Finding(AREA, what, "write it as E.164, such as +4915112345678, by the company's own systems")
