"""The proofs of the protocol take minutes: `make test` runs a sample of them, and `make proofs` the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def sampled(cases: Iterable[Any], is_in_sample: Callable[..., bool]) -> list[Any]:
    """Cases for `parametrize`, of which those outside the sample wait for `make proofs`.

    Args:
        cases: values, or `pytest.param` with one or more of them.
        is_in_sample: whether the case with these values stays in `make test`.
    """
    told = [case if hasattr(case, "values") and hasattr(case, "marks") else pytest.param(case) for case in cases]
    return [
        case if is_in_sample(*case.values) else pytest.param(*case.values, id=case.id, marks=(*case.marks, _PROOF))
        for case in told
    ]


_PROOF = pytest.mark.proof
