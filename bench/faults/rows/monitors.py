"""Faults of monitors: the active one dies, and a second one joins."""

from bench.faults.fault import Fault
from bench.faults.scene.processes import HeadraceProcess

MOST_MONITORS = 2


class MonitorKilled(Fault):
    """kill -9 of the active monitor, and a restart; another one takes over where there is one."""

    name = "monitor killed"
    guarantee = "once"
    kill = True

    def inject(self) -> None:
        """kill -9."""
        self._victim: HeadraceProcess = self.scene.crew.active_monitor() or self.scene.crew.monitors[0]
        self.detail = self._victim.name
        self._victim.kill()

    def is_seen(self) -> bool:
        """Whether the process is gone by the signal."""
        return self._victim.code == -9

    def heal(self) -> None:
        """The same process again."""
        self._victim.start()

    def is_recovered(self) -> bool:
        """Whether one of them is active and has taken everything in."""
        return self.scene.monitors_settled() and super().is_recovered()


class SecondMonitor(Fault):
    """One monitor more: one of them is active, the other stands by."""

    name = "second monitor"
    guarantee = "once"

    def prepare(self) -> None:
        """There must be room for one."""
        while len(self.scene.crew.monitors) >= MOST_MONITORS:
            self.scene.crew.monitors.pop().stop()

    def inject(self) -> None:
        """Start it."""
        self._added = self.scene.crew.add_monitor()
        self.detail = self._added.name
        self._added.wait_ready()

    def is_seen(self) -> bool:
        """Whether it has its place in the group."""
        return self._added.is_ready()

    def is_recovered(self) -> bool:
        """Whether one of them is active and has taken everything in."""
        return self.scene.monitors_settled() and super().is_recovered()
