"""The stage runner: submits the tiles of one stage in order, a bounded number at a time.

A tile is submitted as soon as the tiles that it reads are done.
"""

import logging
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field

from segtasks.errors import JobError, ModelError, StageError
from segtasks.pipeline import tile_task
from segtasks.pipeline.executors import Executors
from segtasks.pipeline.progress_rate import OnProgress
from segtasks.pipeline.tile_board import TileBoard
from segtasks.planning.plan import Plan, Stage
from segtasks.raster.grid import Tile

logger = logging.getLogger("segtasks")

POLL_SECONDS = 0.05  # how soon a stage sees that the stage before has finished a tile
WATCH_SECONDS = 20.0  # how often a cluster that returns nothing is checked
LISTED = 5
FATAL = (ModelError, JobError)  # every other tile would raise it too


@dataclass(kw_only=True)
class StageRun:
    """The state of one stage while it runs.

    Attributes:
        suspects: tiles that ran on a worker when it died.
        on_trial: the suspect that is tried alone at present.
    """

    plan: Plan
    stage: Stage
    engine: Executors
    board: TileBoard
    on_progress: OnProgress
    todo: deque[Tile] = field(default_factory=deque)
    live: dict[Future[bool], Tile] = field(default_factory=dict)
    attempts: Counter[Tile] = field(default_factory=Counter)
    suspects: deque[Tile] = field(default_factory=deque)
    on_trial: Tile | None = None
    failures: int = 0

    def run(self) -> int:
        """Do every tile that has no receipt; return their number.

        Raises:
            StageError: some tiles could not be done; the other tiles are done and kept.
        """
        done = self.board.done(self.stage)
        self.todo.extend(tile for tile in self.plan.selected(self.stage) if tile not in done)
        count = len(self.todo)
        self._report()
        try:
            self._work()
        finally:
            self._end_trial()
        self._raise_failures()
        return count

    def _work(self) -> None:
        while (self.todo or self.live or self.suspects) and not self.board.stopped:
            self._try_suspect()
            self._submit()
            self._collect()

    def _try_suspect(self) -> None:
        """Try one suspect at a time in all stages, since a worker that dies takes others along."""
        if self.suspects and self.board.trial.acquire(blocking=False):
            self.on_trial = self.suspects.popleft()
            self._start(self.on_trial)

    def _end_trial(self) -> None:
        if self.on_trial is not None:
            self.on_trial = None
            self.board.trial.release()

    def _submit(self) -> None:
        """Submit tiles whose input is done, up to the number in flight."""
        while self.todo and len(self.live) < self.engine.in_flight():
            tile = self.todo[0]
            if self.board.is_blocked(self.stage, tile):
                self.board.give_up(self.stage, self.todo.popleft(), "its input is missing")
            elif self.board.missing(self.stage, tile):
                return
            else:
                self._start(self.todo.popleft())

    def _start(self, tile: Tile) -> None:
        if not self.attempts:  # the time of a stage begins when its first input is done
            self._report()
        self.attempts[tile] += 1
        executor = self.engine.executor(self.stage)
        self.live[executor.submit(tile_task.run_tile, self.plan, self.stage, tile)] = tile

    def _collect(self) -> None:
        """Wait for a tile of this stage, or for the stage before."""
        waiting = bool(self.todo or self.suspects) and len(self.live) < self.engine.in_flight()
        if not self.live:
            self.board.wait(POLL_SECONDS)
            return
        timeout = POLL_SECONDS if waiting else WATCH_SECONDS
        finished = wait(self.live, timeout, FIRST_COMPLETED).done
        for future in finished:
            self._take(future, self.live.pop(future))
        if not finished and not waiting:
            self.engine.check()

    def _take(self, future: Future[bool], tile: Tile) -> None:
        error, was_alone = future.exception(), tile == self.on_trial
        if was_alone:
            self._end_trial()
        if error is None:
            self.board.finish(self.stage, tile)
            self._report()
        elif isinstance(error, FATAL):
            self.board.stop()
            raise error
        else:
            self._fail(tile, error, was_alone=was_alone)

    def _fail(self, tile: Tile, error: BaseException, *, was_alone: bool) -> None:
        """Try the tile again, or give it up after its last attempt."""
        killed = self.engine.is_killed(error)
        again = not was_alone if killed else self.attempts[tile] < self.plan.job.limits.attempts
        if not again:
            self._give_up(tile, error)
            return
        place, reason = f"({tile.row}, {tile.col})", self.engine.explain(error)
        logger.warning("%s tile %s failed, trying again: %s", self.stage, place, reason)
        if killed:
            self.suspects.append(tile)
        else:
            self._start(tile)

    def _give_up(self, tile: Tile, error: BaseException) -> None:
        reason = self.engine.explain(error)
        logger.error("%s tile (%d, %d) given up: %s", self.stage, tile.row, tile.col, reason)
        self.board.give_up(self.stage, tile, reason)
        self.failures += 1
        if self.failures > self.plan.job.limits.failed_tiles:
            self.board.stop()

    def _report(self) -> None:
        done = len(self.board.done(self.stage))
        selected = self.plan.selected(self.stage)
        self.on_progress(self.stage, done, len(selected), selected.pixels)

    def _raise_failures(self) -> None:
        failed = self.board.failed(self.stage)
        if not failed:
            return
        shown = ", ".join(f"({tile.row}, {tile.col})" for tile in list(failed)[:LISTED])
        more = f" and {len(failed) - LISTED} more" if len(failed) > LISTED else ""
        reasons = "; ".join(list(dict.fromkeys(failed.values()))[:LISTED])
        raise StageError(
            f"{self.stage}: {len(failed)} of {len(self.plan.selected(self.stage))} tiles failed, "
            f"(row, column) {shown}{more}: {reasons}. What is done is kept; rerun to try these "
            "again"
        )
