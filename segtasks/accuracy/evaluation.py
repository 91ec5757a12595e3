"""Evaluate masks against labels, block by block; memory does not depend on the rasters' size.

blocks of a raster ─▶ counts ─┬─▶ sum of the image ─▶ sum of all images ─▶ figures
└─▶ replicates of the bootstrap ─▶ intervals
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from segtasks.accuracy.bootstrap import Draws, Replicates
from segtasks.accuracy.boundary import halo_px
from segtasks.accuracy.job import EvaluationJob, MaskPair
from segtasks.accuracy.outcomes import OutcomeMap, outcomes_of
from segtasks.accuracy.pair import OpenPair, open_pair
from segtasks.accuracy.tally import Tally, total
from segtasks.errors import SourceError
from segtasks.grid import Grid
from segtasks.networks.card import ClassEntry, legend
from segtasks.storage import cogs

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Image:
    """What was counted of one pair."""

    pair: MaskPair
    tally: Tally


@dataclass
class Evaluation:
    """What was counted of all pairs.

    Attributes:
        replicates: of the masks, and of what they were before when that is known.
        blocks: done, labelled or not.
        worst: outcomes of the image with the least mean IoU.
    """

    job: EvaluationJob
    legend: Sequence[ClassEntry]
    images: list[Image] = field(default_factory=list)
    replicates: list[Replicates] = field(default_factory=list)
    draws: Draws = field(default_factory=Draws)
    blocks: int = 0
    worst: tuple[Image, OutcomeMap] | None = None

    @property
    def tally(self) -> Tally:
        """The sum over all images."""
        return total(image.tally for image in self.images)


def evaluate(job: EvaluationJob, on_progress: OnProgress = lambda *_: None) -> Evaluation:
    """Count all pairs of a job.

    Raises:
        SourceError: a file is missing or unreadable, two do not lie on one grid, an id is beyond
            the legend, or no pixel is known to mask and labels.
    """
    classes = job.legend or tag_legend(job.pairs)
    opened = [open_pair(pair, len(classes), job.ignore) for pair in job.pairs]
    kinds = 2 if opened[0].has_before else 1
    made = Evaluation(job, classes, replicates=[Replicates(len(classes)) for _ in range(kinds)])
    blocks = sum(len(_grid(source, job)) for source in opened)
    for pair, source in zip(job.pairs, opened, strict=True):
        _add(made, pair, source, lambda done: on_progress("evaluate", done, blocks))
    return made


def _add(made: Evaluation, pair: MaskPair, source: OpenPair, tell: Callable[[int], None]) -> None:
    """Count one pair.

    Raises:
        SourceError: nothing in it can be compared.
    """
    picture = OutcomeMap(source.mask.height, source.mask.width)
    image = Image(pair, total(_drawn(made, _blocks(source, made.job, picture), tell)))
    if image.tally.labelled_px == 0:
        raise SourceError(
            f"{pair.mask}: no pixel of it is labelled in {pair.labels}; leave the pair out, or "
            "check `ignore`"
        )
    made.images.append(image)
    if made.worst is None or _quality(image) < _quality(made.worst[0]):
        made.worst = (image, picture)


def tag_legend(pairs: Sequence[MaskPair]) -> list[ClassEntry]:
    """The classes that the masks' own tags name.

    Raises:
        SourceError: a mask names none, or others than the first.
    """
    found = [(pair.mask, cogs.read_class_names(pair.mask)) for pair in pairs]
    first, names = found[0]
    if names is None:
        raise SourceError(f"{first}: has no {cogs.CLASSES_TAG} tag; name the classes with --class")
    for url, others in found:
        if others not in (None, names):
            raise SourceError(f"{url}: its classes are {others}, those of {first} {names}; relabel")
    return [ClassEntry(**entry) for entry in legend(names)]


def _grid(source: OpenPair, job: EvaluationJob) -> Grid:
    return Grid(source.mask.height, source.mask.width, job.block_px)


def _blocks(source: OpenPair, job: EvaluationJob, picture: OutcomeMap) -> Iterator[Tally]:
    """Counts of each block; the picture is filled on the way."""
    grid = _grid(source, job)
    for tile in grid.tiles():
        core, window = grid.core(tile), grid.read_window(tile, halo_px(job.tolerance_px))
        pixels, inner = source.read(window), core.within(window)
        picture.add(core, outcomes_of(pixels)[inner])
        areas = source.areas.read(core) if source.areas else None
        yield Tally.of(pixels, areas, inner, source.classes, job.tolerance_px)


def _drawn(
    made: Evaluation, parts: Iterator[Tally], tell: Callable[[int], None]
) -> Iterator[Tally]:
    """The blocks, after the replicates took those with anything to compare."""
    for part in parts:
        if part.labelled_px:
            weights = made.draws.next()
            for replicates, judged in zip(made.replicates, part.judged, strict=True):
                replicates.add(judged.confusion, weights)
        made.blocks += 1
        tell(made.blocks)
        yield part


def _quality(image: Image) -> float:
    return image.tally.mask.scores.mean_iou
