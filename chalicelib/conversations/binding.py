"""Whether a secret belongs to the company, by its name; pure."""

from __future__ import annotations

import re
from functools import lru_cache

COMPANY = "{company}"


def is_own_secret(pattern: str, credential_ref: str, tenant: str) -> bool:
    """Whether a secret's name bears the company at the place that the setting `CREDENTIAL_REF_PATTERN` says.

    Args:
        pattern: `{company}` stands for the company, each `*` for a part without a slash; empty: every secret is.
        credential_ref: the name.
        tenant: the company of the row that names it.
    """
    if not pattern:
        return True
    told = _compiled(pattern).fullmatch(credential_ref)
    return told is not None and told["company"] == tenant


@lru_cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """`pattern` as an expression."""
    text = re.escape(pattern).replace(re.escape("*"), "[^/]+")
    return re.compile(text.replace(re.escape(COMPANY), "(?P<company>[^/]+)"))
