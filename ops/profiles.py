"""Profiles: a stage, a region, an endpoint and an AWS profile under one name, so that commands need not repeat them.

They are in the user's own configuration folder and hold no secret. An option of the command line wins over the profile;
a profile that is marked as the default applies where no stage is named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

PLACES = ("endpoint_url", "region", "profile", "twilio_url")


class ProfileError(Exception):
    """A profile that is not there, or none where one is needed."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


@dataclass(frozen=True)
class Profile:
    """One deployment as a person calls it."""

    stage: str
    places: Mapping[str, str] = field(default_factory=dict)
    """The options beside the stage, by name."""


@dataclass(frozen=True)
class Profiles:
    """Every saved profile."""

    by_name: Mapping[str, Profile] = field(default_factory=dict)
    default: str | None = None

    @classmethod
    def read(cls) -> Profiles:
        """Those of the user.

        Raises:
            ProfileError: the file is not one of ours.
        """
        file = _file()
        if not file.exists():
            return cls()
        try:
            document = json.loads(file.read_text())
            named = {name: Profile(one["stage"], dict(one["places"])) for name, one in document["profiles"].items()}
            return cls(named, document.get("default"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ProfileError(
                f"{file} cannot be read", f"delete {file}, then `replies-engine profile save`"
            ) from error

    def write(self) -> None:
        """Keep them."""
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        told = {"default": self.default, "profiles": {name: asdict(one) for name, one in self.by_name.items()}}
        file.write_text(json.dumps(told, indent=2) + "\n")

    def named(self, name: str) -> Profile:
        """The profile of a name.

        Raises:
            ProfileError: there is none.
        """
        if name not in self.by_name:
            known = ", ".join(self.by_name) or "none is saved"
            raise ProfileError(f"there is no profile {name}", f"one of: {known}; `replies-engine profile save {name}`")
        return self.by_name[name]


def applied(stage: str | None, use: str | None, given: Mapping[str, str | None]) -> Profile:
    """What the options say, and what the profile says beyond that.

    A profile's places belong to its stage: where the command names another stage, they do not apply.

    Raises:
        ProfileError: no stage is named, or the profile is not there.
    """
    saved = Profiles.read()
    name = use or (saved.default if stage is None else None)
    profile = saved.named(name) if name else None
    if profile is None and stage is None:
        fix = "--stage NAME, or `replies-engine profile save NAME --stage NAME --default`"
        raise ProfileError("no stage is named", fix)
    of_profile = profile.places if profile is not None and stage in (None, profile.stage) else {}
    places = {**of_profile, **{name: value for name, value in given.items() if value}}
    return Profile(stage or (profile.stage if profile is not None else ""), places)


def _file() -> Path:
    return Path(click.get_app_dir("replies-engine")) / "profiles.json"
