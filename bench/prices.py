"""What AWS takes for what is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """In US dollars in us-east-1, without free tiers and discounts."""

    dollars: float
    of: float
    unit: str
    """What `of` of costs `dollars`."""

    @property
    def told(self) -> str:
        return f"${self.dollars:g} per {self.unit}"


PRICES: Mapping[str, Price] = {
    "DynamoDB writes": Price(0.625, MILLION, "million write units"),
    "DynamoDB reads": Price(0.125, MILLION, "million read units"),
    "SQS": Price(0.40, MILLION, "million requests of 64 KB"),
    "API Gateway": Price(3.50, MILLION, "million requests"),
    "Lambda requests": Price(0.20, MILLION, "million requests"),
    "Lambda time": Price(0.0000133334, 1, "GB-second on arm64"),
    "CloudWatch Logs": Price(0.50, 1e9, "GB taken in"),
    "X-Ray": Price(5.00, MILLION, "million traces recorded"),
    "Secrets Manager": Price(0.05, 10_000, "10,000 reads"),
}
MONTHLY: Mapping[str, Price] = {
    "Secrets Manager": Price(0.40, 1, "secret"),
    "CloudWatch alarms": Price(0.10, 1, "metric that an alarm looks at"),
    "CloudWatch dashboard": Price(3.00, 1, "dashboard"),
    "CloudWatch metrics": Price(0.30, 1, "metric under one set of dimensions"),
}


@dataclass(frozen=True)
class Usage:
    """What is used, by the names of `PRICES`."""

    amounts: Mapping[str, float]

    def times(self, factor: float) -> Usage:
        return Usage({name: amount * factor for name, amount in self.amounts.items()})

    @property
    def dollars(self) -> dict[str, float]:
        """By the same names."""
        return {name: amount * PRICES[name].dollars / PRICES[name].of for name, amount in self.amounts.items()}
