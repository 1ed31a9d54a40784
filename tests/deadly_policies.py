"""Policies that end the process they run in, as the system does when memory runs out."""
# ruff: noqa: D101 - their names say what each does

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from offload.entities import Observation, Plan, Request
from offload.planning.price import price


def _quickest(request: Request, seen: Observation) -> Plan:
    prices = price(request, seen)
    return prices.least(prices.latency_s)


class Deadly:
    """Kills its process whenever it is asked."""

    def decide(self, request: Request, seen: Observation) -> Plan:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


@dataclass
class DeadlyOnce:
    """Kills its process in the middle of the first replication that finds no file `mark` there."""

    mark: str

    def decide(self, request: Request, seen: Observation) -> Plan:
        if request.id == 40 and not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return _quickest(request, seen)


class Exits:
    def decide(self, request: Request, seen: Observation) -> Plan:
        sys.exit(3)


class Raises:
    def decide(self, request: Request, seen: Observation) -> Plan:
        raise KeyError(request.id)
