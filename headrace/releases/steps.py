"""Takes the steps that the watch over releases decides on: once, and only about what still stands."""

import logging

from connectors.ports import ReleaseRegistry
from headrace.releases.candidates import given_up, gone_on
from headrace.releases.release_log import ReleaseLog, next_release
from models.errors import ConnectorError
from streams.release_watch.policy import Decision
from streams.wire.records import Release

log = logging.getLogger(__name__)

BY = "watch"


class ReleaseSteps:
    """Of all applications of a process. Of several processes one takes a step: the others' words count for nothing
    (`release_log`). No lease beside that, which whoever is killed leaves behind."""

    def __init__(self, registry: ReleaseRegistry, release_log: ReleaseLog) -> None:
        self._registry, self._log = registry, release_log

    def take(self, standing: Release, decision: Decision) -> None:
        """Announce what was decided about `standing`. Nothing is done where another state stands by now. Raises
        BrokerUnavailable, RegistryError, ReleaseCorrupt."""
        announced = self._log.standing(standing.model)
        if announced is None or announced.release != standing:
            return
        wanted = self._wanted(standing, decision)
        release = self._log.announce_if(standing.model, announced, lambda _: wanted).release
        if (release.revision, release.at) != (wanted.revision, wanted.at):
            return  # somebody was faster, and what became of it is theirs to tell
        log.warning("%s@%s: %s (%s)", standing.model, decision.version, decision.action, decision.reason)
        if release.champion != standing.champion:
            try:
                self._registry.promote(release.model, release.champion)
            except ConnectorError as error:
                log.warning("%s serves, but the registry could not note it: %s", release.champion, error)

    def _wanted(self, standing: Release, decision: Decision) -> Release:
        candidate, reason, figures = standing.candidate, decision.reason, decision.figures
        if decision.action == "roll_back" or candidate is None:
            return next_release(
                self._registry,
                standing.model,
                decision.version,
                standing,
                by=BY,
                reason=reason,
                figures=figures,
                rolls_back=True,
            )
        if decision.action == "go_on":
            return gone_on(self._registry, standing, candidate, by=BY, reason=reason, figures=figures)
        return given_up(standing, candidate, by=BY, kind="stopped", reason=reason, figures=figures)
