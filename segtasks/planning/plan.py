"""The plan: what is decided about a job, and what the stages make of it.

Nothing is computed or written here; `planner.make_plan` refuses a plan that cannot work.
"""

from collections.abc import Iterator
from dataclasses import replace

from segtasks.networks.inference.tuned import TunedInference
from segtasks.planning import fingerprints, stages
from segtasks.planning.decisions import Decisions
from segtasks.planning.stages import STAGES
from segtasks.raster.grid import Grid, Tile, TileSelection, Window
from segtasks.storage.workspace import ArraySpec

Stage = str
"""Name of a tiled stage, a key of `stages.STAGES`."""


class Plan(Decisions):
    """What is decided about a job, with its stages, their tiles and their windows."""

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The tiled stages, in order."""
        return tuple(name for name, spec in STAGES.items() if spec.when(self))

    @property
    def mask_stage(self) -> Stage:
        """The stage that makes the first mask."""
        return next(stage for stage in self.stages if STAGES[stage].mask(self))

    @property
    def after_mask(self) -> tuple[Stage, ...]:
        """The stages that clean up and draw the mask."""
        return self.stages[self.stages.index(self.mask_stage) + 1 :]

    @property
    def finished_mask(self) -> str:
        """The array of the workspace that becomes the mask."""
        return stages.finished_mask(self)[1]

    def mask_before(self, stage: Stage) -> str:
        """The array with the mask that ``stage`` reads."""
        return stages.mask_before(self, stage)[1]

    def arrays(self, stage: Stage) -> dict[str, ArraySpec]:
        """The arrays that a stage writes."""
        made = {name: make(self) for name, make in STAGES[stage].arrays.items()}
        return {name: spec for name, spec in made.items() if spec}

    def before(self, stage: Stage) -> Stage | None:
        """The stage whose tiles ``stage`` needs; ``None`` for the first."""
        index = self.stages.index(stage)
        return self.stages[index - 1] if index else None

    def grid(self, stage: Stage) -> Grid:
        """The grid of a stage."""
        return STAGES[stage].grid(self)

    def selected(self, stage: Stage) -> TileSelection:
        """The tiles of a stage that are to be done.

        The other tiles lie outside the area of interest, or hold no data.
        """
        return self.selection(stage, self.grid(stage))

    def read_window(self, stage: Stage, tile: Tile) -> Window:
        """What a stage reads to do ``tile``."""
        return STAGES[stage].read_window(self, tile)

    def needs(self, stage: Stage, tile: Tile) -> Iterator[Tile]:
        """The tiles of the stage before that ``tile`` reads."""
        before = self.before(stage)
        if before is None:
            return iter(())
        selected = self.selected(before)
        if STAGES[before].gathered:
            return iter(selected)
        read = self.grid(before).touching(self.read_window(stage, tile))
        return (need for need in read if need in selected)


def with_fingerprints(plan: Plan) -> Plan:
    """The plan with a fingerprint for each stage and for the published results ("mask").

    The data of a stage depend on the stages before and on its own settings, and on nothing else.
    """
    prints: dict[str, str] = {}
    for name, spec in STAGES.items():
        # A manifest names refine in any case, since its settings may come with a later job.
        if spec.when(plan) or name == "refine":
            prints[name] = fingerprints.digest(*spec.fingerprint(plan, prints))
    parts = (part for spec in STAGES.values() for part in spec.results_depend_on(plan))
    results = fingerprints.digest(fingerprints.FORMAT, *parts)
    return replace(plan, fingerprints=prints | {"mask": results})


def with_tuned(plan: Plan, tuned: TunedInference) -> Plan:
    """The plan with its network tuned: data made with other kernels are not taken for its own."""
    chosen = (tuned.precision, tuned.form)
    forwarded = plan.stages[plan.stages.index("ingest") + 1 :]
    prints = dict(plan.fingerprints)
    prints.update({stage: fingerprints.digest(prints[stage], chosen) for stage in forwarded})
    return replace(plan, tuned=tuned, fingerprints=prints)
