"""Findings of the doctor: what is wrong, and which command fixes it; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Weight(StrEnum):
    """How much a finding matters."""

    FAULT = "fault"
    """Messages are lost, refused or wait, or will as soon as something else fails."""
    WARNING = "warning"
    """Somebody should look; nothing is lost for it."""
    NOTE = "note"
    """What could not be looked at; nothing is wrong."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    area: str
    what: str
    fix: str
    weight: Weight = Weight.FAULT

    @property
    def line(self) -> str:
        """The finding in one line."""
        return f"{self.area}: {self.what}; fix: {self.fix}"
