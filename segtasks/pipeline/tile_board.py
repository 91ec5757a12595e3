"""The tile board: which tiles of each stage are done or given up; stages wait on it."""

from collections.abc import Mapping
from threading import Condition, Lock

from segtasks.planning.plan import Plan, Stage
from segtasks.raster.grid import Tile


class TileBoard:
    """The state of all tiles of a run, shared by its stages; every change wakes waiting stages."""

    def __init__(self, plan: Plan, done: Mapping[Stage, set[Tile]]) -> None:
        self._plan = plan
        self._done = {stage: set(done[stage]) for stage in plan.stages}
        self._failed: dict[Stage, dict[Tile, str]] = {stage: {} for stage in plan.stages}
        self._changed = Condition()
        self.stopped = False
        self.trial = Lock()  # held while a tile is tried that may have killed its worker

    def done(self, stage: Stage) -> set[Tile]:
        """Return the finished tiles of a stage."""
        with self._changed:
            return set(self._done[stage])

    def failed(self, stage: Stage) -> dict[Tile, str]:
        """Return the tiles that were given up, with the reason of each."""
        with self._changed:
            return dict(self._failed[stage])

    def finish(self, stage: Stage, tile: Tile) -> None:
        """Record that a tile has its receipt."""
        with self._changed:
            self._done[stage].add(tile)
            self._changed.notify_all()

    def give_up(self, stage: Stage, tile: Tile, reason: str) -> None:
        """Record that a tile cannot be done in this run."""
        with self._changed:
            self._failed[stage][tile] = reason
            self._changed.notify_all()

    def stop(self) -> None:
        """Tell all stages to submit no further tile."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def missing(self, stage: Stage, tile: Tile) -> set[Tile]:
        """Return the tiles that ``tile`` reads and that are not done yet."""
        before = self._plan.before(stage)
        if before is None:
            return set()
        with self._changed:
            done = self._done[before]
            # A stage may need every tile of the one before; do not list them once all are done.
            if len(done) == len(self._plan.selected(before)):
                return set()
            return set(self._plan.needs(stage, tile)) - done

    def is_blocked(self, stage: Stage, tile: Tile) -> bool:
        """Return whether a tile that ``tile`` reads was given up."""
        before, missing = self._plan.before(stage), self.missing(stage, tile)
        return before is not None and bool(missing & self.failed(before).keys())

    def wait(self, seconds: float) -> None:
        """Wait until something changes, at most ``seconds``."""
        with self._changed:
            self._changed.wait(seconds)
