"""Evaluate masks against labels, block by block.

    blocks of a raster ─▶ counts ─┬─▶ sum of the image ─▶ sum of all images ─▶ figures
                                  └─▶ replicates of the bootstrap ─▶ intervals

The memory does not depend on the size of the rasters.
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
    """The counts of one pair."""

    pair: MaskPair
    tally: ImageCounts


@dataclass
class Evaluation:
    """The counts of all pairs.

    Attributes:
        job: the settings.
        legend: the classes by id.
        images: the counts of each pair.
        replicates: confusion matrices of the bootstrap, for the masks and, if they are known, for
            the masks before the CRF.
        draws: the weights of the bootstrap.
        blocks: number of processed blocks, with or without labels.
        worst: the image with the lowest mean IoU, and its error map.
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
        """The sum of the counts over all images."""
        return total(image.tally for image in self.images)


def count_pairs(job: EvaluationJob, on_progress: OnProgress = lambda *_: None) -> Evaluation:
    """Count the pixels of all pairs of a job.

    Raises:
        JobError: a pattern finds no mask, or the legend is not sufficient for the labels.
        SourceError: a file is missing or unreadable, two files have different grids, an id is not
            in the legend, or no pixel has a class in both mask and labels.
    """
    job = job.model_copy(update={"pairs": find_masks(job.pairs)})
    classes = job.legend or tag_legend(job.pairs)
    opened = [open_pair(pair, classes, job) for pair in job.pairs]
    kinds = 2 if opened[0].has_before else 1
    evaluation = Evaluation(
        job, classes, replicates=[Replicates(len(classes)) for _ in range(kinds)]
    )
    blocks = sum(len(_grid(source, job)) for source in opened)
    for pair, source in zip(job.pairs, opened, strict=True):
        _add(evaluation, pair, source, lambda done: on_progress("evaluate", done, blocks))
    return evaluation


def _add(
    evaluation: Evaluation, pair: MaskPair, source: OpenPair, on_block: Callable[[int], None]
) -> None:
    """Count one pair and add it to the evaluation.

    Raises:
        SourceError: no pixel of it has a class in both mask and labels.
    """
    picture = ErrorMap(source.grid.height, source.grid.width)
    # The cache holds a row of blocks of three files, so that files in strips are decoded once.
    with small_cache(3 * source.grid.width * evaluation.job.block_px):
        blocks = _blocks(source, evaluation.job, picture)
        image = Image(pair, total(_add_to_replicates(evaluation, blocks, on_block)))
    if image.tally.labelled_px == 0:
        raise SourceError(
            f"{pair.mask}: no pixel of it is labelled in {pair.labels}; leave the pair out, or "
            "check `ignore`"
        )
    evaluation.images.append(image)
    if evaluation.worst is None or _quality(image) < _quality(evaluation.worst[0]):
        evaluation.worst = (image, picture)


def tag_legend(pairs: Sequence[MaskPair]) -> Sequence[ClassEntry]:
    """Return the classes named in the tags of the masks.

    Raises:
        SourceError: the first mask's tags name none, or another mask's tags name other classes.
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
                f"{', '.join(names)}; evaluate them one by one"
            )
    return first


def _grid(source: OpenPair, job: EvaluationJob) -> Grid:
    return Grid(source.grid.height, source.grid.width, job.block_px)


def _blocks(source: OpenPair, job: EvaluationJob, picture: ErrorMap) -> Iterator[ImageCounts]:
    """Yield the counts of each block, and add its outcomes to the error map."""
    grid = _grid(source, job)
    for tile in grid.tiles():
        core, window = grid.core(tile), grid.read_window(tile, halo_px(job.tolerance_px))
        pixels, inner = source.read(window), core.within(window)
        picture.add(core, error_map_of(pixels)[inner])
        areas = source.areas.read(core) if source.areas else None
        yield ImageCounts.of(pixels, areas, inner, source.classes, job.tolerance_px)


def _add_to_replicates(
    evaluation: Evaluation, blocks: Iterator[ImageCounts], on_block: Callable[[int], None]
) -> Iterator[ImageCounts]:
    """Yield the blocks after adding those with labelled pixels to the bootstrap's replicates."""
    for block in blocks:
        if block.labelled_px:
            weights = evaluation.draws.next()
            for replicates, counts in zip(evaluation.replicates, block.compared, strict=True):
                replicates.add(counts.confusion, weights)
        evaluation.blocks += 1
        on_block(evaluation.blocks)
        yield block


def _quality(image: Image) -> float:
    return image.tally.mask.scores.mean_iou
