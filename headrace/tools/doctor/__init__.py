"""Checks every part that Headrace stands on: each finding is ok or says what to do. Nothing is changed, made or fetched
for it, but that in an object store, which cannot be asked otherwise, a small object is made and taken away."""

from collections.abc import Sequence

from headrace.tools.doctor.catalogues import catalogue_checks
from headrace.tools.doctor.certificates import certificate_checks
from headrace.tools.doctor.cluster import broker_checks
from headrace.tools.doctor.findings import Finding, run_checks
from headrace.tools.doctor.machine import machine_checks
from headrace.tools.doctor.places import place_checks
from headrace.wiring import Wiring
from streams.application import Application


def examine(wiring: Wiring, apps: Sequence[Application]) -> list[Finding]:
    """All checks; one that fails does not keep the next from running."""
    of_systems = [*broker_checks(wiring, apps), *catalogue_checks(wiring, apps), *certificate_checks(wiring)]
    return run_checks([*of_systems, *place_checks(wiring, apps), *machine_checks(wiring, apps)])
