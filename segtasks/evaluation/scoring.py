"""Evaluate masks against labels, block by block; memory does not depend on the rasters' size.

blocks of a raster ─▶ counts ─┬─▶ sum of the image ─▶ sum of all images ─▶ figures
└─▶ replicates of the bootstrap ─▶ intervals
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from segtasks.config.evaluation_job import EvaluationJob, MaskPair
from segtasks.config.legend import ClassEntry
from segtasks.errors import SourceError
from segtasks.evaluation.bootstrap import Draws, Replicates
from segtasks.evaluation.boundary import halo_px
from segtasks.evaluation.counts import ImageCounts, total
from segtasks.evaluation.error_map import ErrorMap, error_map_of
from segtasks.evaluation.mask_patterns import find_masks
from segtasks.evaluation.pair import OpenPair, open_pair
from segtasks.raster.grid import Grid
from segtasks.storage import cog
from segtasks.storage.gdal import small_cache

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Image:
    """What was counted of one pair."""

    pair: MaskPair
    tally: ImageCounts


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
    worst: tuple[Image, ErrorMap] | None = None

    @property
    def tally(self) -> ImageCounts:
        """The sum over all images."""
        return total(image.tally for image in self.images)


def count_pairs(job: EvaluationJob, on_progress: OnProgress = lambda *_: None) -> Evaluation:
    """Count the pixels of all pairs of a job.

    Raises:
        JobError: a pattern finds no mask, or the legend does not suffice for the labels.
        SourceError: a file is missing or unreadable, two do not lie on one grid, an id is beyond
            the legend, or no pixel is known to mask and labels.
    """
    job = job.model_copy(update={"pairs": find_masks(job.pairs)})
    classes = job.legend or tag_legend(job.pairs)
    opened = [open_pair(pair, classes, job) for pair in job.pairs]
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
    picture = ErrorMap(source.grid.height, source.grid.width)
    # A row of blocks of mask, labels and one more: files in strips are then decoded once.
    with small_cache(3 * source.grid.width * made.job.block_px):
        image = Image(pair, total(_drawn(made, _blocks(source, made.job, picture), tell)))
    if image.tally.labelled_px == 0:
        raise SourceError(
            f"{pair.mask}: no pixel of it is labelled in {pair.labels}; leave the pair out, or "
            "check `ignore`"
        )
    made.images.append(image)
    if made.worst is None or _quality(image) < _quality(made.worst[0]):
        made.worst = (image, picture)


def tag_legend(pairs: Sequence[MaskPair]) -> Sequence[ClassEntry]:
    """The classes that the first mask's tags name, unless another mask names others.

    Raises:
        SourceError: it names none, or another names others.
    """
    first = cog.read_classes(pairs[0].mask)
    if first is None:
        raise SourceError(
            f"{pairs[0].mask}: has no {cog.CLASSES_TAG} tag; name the classes with --class"
        )
    names = [entry.name for entry in first]
    for pair in pairs[1:]:
        other = cog.read_classes(pair.mask)
        found = names if other is None else [entry.name for entry in other]
        if found != names:
            raise SourceError(
                f"{pair.mask}: its classes are {', '.join(found)}, those of {pairs[0].mask} "
                f"{', '.join(names)}; judge them one by one"
            )
    return first


def _grid(source: OpenPair, job: EvaluationJob) -> Grid:
    return Grid(source.grid.height, source.grid.width, job.block_px)


def _blocks(source: OpenPair, job: EvaluationJob, picture: ErrorMap) -> Iterator[ImageCounts]:
    """Counts of each block; the picture is filled on the way."""
    grid = _grid(source, job)
    for tile in grid.tiles():
        core, window = grid.core(tile), grid.read_window(tile, halo_px(job.tolerance_px))
        pixels, inner = source.read(window), core.within(window)
        picture.add(core, error_map_of(pixels)[inner])
        areas = source.areas.read(core) if source.areas else None
        yield ImageCounts.of(pixels, areas, inner, source.classes, job.tolerance_px)


def _drawn(
    made: Evaluation, parts: Iterator[ImageCounts], tell: Callable[[int], None]
) -> Iterator[ImageCounts]:
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
