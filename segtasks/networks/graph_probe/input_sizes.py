"""Find the input sizes that a graph takes: one size, or all multiples of a step from a minimum."""

from dataclasses import dataclass

from segtasks.errors import ModelError
from segtasks.networks.graph_probe.trial_forward import TrialForward

_TRIED = (256, 512, 224, 1024, 640, 384, 320, 448, 480, 768, 513, 473, 713, 128, 64)
_LARGEST_STEP_PX, _DOUBLED = 64, 7
_LARGE_PX = 512


@dataclass(frozen=True)
class Sizes:
    """The input sizes that a graph takes, px.

    Attributes:
        side: a large side that it takes, for the other measurements.
        patch_px: the only side that it takes; ``None`` if it takes several.
        multiple_px: sides must be multiples of this.
        least_px: the smallest side.
        stride: output stride.
    """

    side: int
    patch_px: int | None
    multiple_px: int
    least_px: int
    stride: int


def find_sizes(trial: TrialForward, stated_px: int | None) -> Sizes:
    """Run the graph on images of different sizes until the sizes it takes are known.

    Args:
        trial: the graph.
        stated_px: the only side that it takes according to its card, if stated.

    Raises:
        ModelError: the graph takes none of the sizes.
    """
    fixed = _fixed(trial) or stated_px
    side, stride = _first(trial, (fixed,) if fixed else _TRIED)
    multiple = None if fixed else _multiple(trial, side, stride)
    if multiple is None:
        return Sizes(side, side, 1, 1, stride)
    large = max(side, -(-_LARGE_PX // multiple) * multiple)
    return Sizes(large, None, multiple, _least(trial, multiple, side), stride)


def _fixed(trial: TrialForward) -> int | None:
    """Return the side that the file states; None if it is dynamic or not stated."""
    height, width = trial.session.shape[2:]
    if height != width:
        shown = " x ".join("any" if side is None else str(side) for side in (height, width))
        raise ModelError(f"{trial.path}: takes {shown} px; export it for square images or any size")
    return height


def _first(trial: TrialForward, sides: tuple[int, ...]) -> tuple[int, int]:
    """Return the first side that works, and the output stride."""
    reasons = []
    for side in sides:
        try:
            return side, trial.stride(side, side)
        except RuntimeError as error:
            # The last line follows a traceback through the code of the graph.
            reasons.append((str(error).strip().splitlines() or [type(error).__name__])[-1])
    bands = ", ".join(trial.bands)
    tried = ", ".join(map(str, sides))
    raise ModelError(
        f"{trial.path}: does not take {len(trial.bands)} bands ({bands}) at any of the sides tried "
        f"({tried} px): {reasons[0]:.200}; correct its card's bands, or state the side that "
        'the graph takes: "graph": {"patch_px": ...}'
    )


def _multiple(trial: TrialForward, side: int, stride: int) -> int | None:
    """Return the smallest step between sides; ``None`` if no other side works.

    A step counts if height and width can grow by it independently.
    """
    steps: list[int] = [stride * 2**doubled for doubled in range(_DOUBLED)]
    known = [step for step in steps if step <= max(_LARGEST_STEP_PX, stride) and side % step == 0]
    for step in known:
        if _takes(trial, side + step, side, stride) and _takes(trial, side, side + step, stride):
            return step
    return None


def _takes(trial: TrialForward, height: int, width: int, stride: int) -> bool:
    """Whether an image of this size works and gives the same output stride."""
    try:
        return trial.stride(height, width) == stride
    except RuntimeError:
        return False


def _least(trial: TrialForward, multiple: int, side: int) -> int:
    """Return the smallest side that works, found by doubling ``multiple``."""
    least = multiple
    while least < side:
        try:
            trial.stride(least, least)
        except RuntimeError:
            least *= 2
        else:
            return least
    return side
