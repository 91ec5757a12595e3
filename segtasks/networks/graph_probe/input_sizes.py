"""Which sizes a graph takes: one, or any multiple of something from something on."""

from dataclasses import dataclass

from segtasks.errors import ModelError
from segtasks.networks.graph_probe.trial_forward import TrialForward

_TRIED = (256, 512, 224, 1024, 640, 384, 320, 448, 480, 768, 513, 473, 713, 128, 64)
_LARGEST_STEP_PX, _DOUBLED = 64, 7
_LARGE_PX = 512


@dataclass(frozen=True)
class Sizes:
    """What was found.

    Attributes:
        side: to measure with: large, and one it takes.
        patch_px: the one side it takes; ``None``: others too.
        multiple_px: of which sides must be multiples.
        least_px: the smallest side.
        stride: pixels per output.
    """

    side: int
    patch_px: int | None
    multiple_px: int
    least_px: int
    stride: int


def find_sizes(trial: TrialForward, stated_px: int | None) -> Sizes:
    """Try sizes until it is clear.

    Args:
        trial: the graph.
        stated_px: the one side that its card states, if it does.

    Raises:
        ModelError: it takes none of them.
    """
    fixed = _fixed(trial) or stated_px
    side, stride = _first(trial, (fixed,) if fixed else _TRIED)
    multiple = None if fixed else _multiple(trial, side, stride)
    if multiple is None:
        return Sizes(side, side, 1, 1, stride)
    large = max(side, -(-_LARGE_PX // multiple) * multiple)
    return Sizes(large, None, multiple, _least(trial, multiple, side), stride)


def _fixed(trial: TrialForward) -> int | None:
    """The side that the file itself states."""
    height, width = trial.engine.shape[2:]
    if height != width:
        shown = " x ".join("any" if side is None else str(side) for side in (height, width))
        raise ModelError(f"{trial.path}: takes {shown} px; export it for square images or any size")
    return height


def _first(trial: TrialForward, sides: tuple[int, ...]) -> tuple[int, int]:
    """The first side that works, with its stride."""
    reasons = []
    for side in sides:
        try:
            return side, trial.stride(side, side)
        except RuntimeError as error:
            reasons.append(_last_line(error))
    bands = ", ".join(trial.bands)
    tried = ", ".join(map(str, sides))
    raise ModelError(
        f"{trial.path}: does not take {len(trial.bands)} bands ({bands}) of any side tried "
        f"({tried} px): {reasons[0]:.200}; correct its card's bands, or give the side it was made "
        'for as "graph": {"patch_px": ...}'
    )


def _multiple(trial: TrialForward, side: int, stride: int) -> int | None:
    """The least step between sides; ``None`` when no other side works."""
    steps = [stride * 2**doubled for doubled in range(_DOUBLED)]
    known = [step for step in steps if step <= max(_LARGEST_STEP_PX, stride) and side % step == 0]
    return next((step for step in known if _works(trial, side, step, stride)), None)


def _works(trial: TrialForward, side: int, step: int, stride: int) -> bool:
    """Whether other sides work too, and height and width may differ."""
    return _takes(trial, side + step, side, stride) and _takes(trial, side, side + step, stride)


def _takes(trial: TrialForward, height: int, width: int, stride: int) -> bool:
    try:
        return trial.stride(height, width) == stride
    except RuntimeError:
        return False


def _least(trial: TrialForward, multiple: int, side: int) -> int:
    """The smallest side that works, doubled until one does."""
    least = multiple
    while least < side:
        try:
            trial.stride(least, least)
        except RuntimeError:
            least *= 2
        else:
            return least
    return side


def _last_line(error: Exception) -> str:
    """What torch says at the end of a traceback through a graph's code."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
