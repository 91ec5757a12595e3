"""How much halo hides a seam: labels beside a cut against those of the tile in one piece.

    |........................ tile ........................|    labels beside the cut: expected
                       |hhhhh|.............................|    the same from a window: found
                             ^ cut

The gradient (`receptive_field.effective_halo_px`) says where a network looks, this measure
from where on it makes no difference to the map. The pixels beside a cut are the worst of all: they
are one in hundreds, so that a share of them that differs is far less of a mask.
"""

import torch
from torch import Tensor, nn

SHARE = 0.005
"""Of the labels beside a cut that may differ."""


def seam_halo_px(module: nn.Module, samples: Tensor, *, lattice_px: int) -> int | None:
    """The least halo with which at most 0.5 % of the labels beside a cut differ.

    Args:
        module: the trained network.
        samples: normalised tiles of real imagery (N, C, H, W); they are looked at upright and
            turned by 90 degrees. Halos of up to half their side can be told.
        lattice_px: halos and cuts are multiples of it.

    Returns:
        A multiple of ``lattice_px``; ``None`` when less than half the side of ``samples`` does not.
    """
    views = [*samples, *samples.transpose(2, 3)]
    cut = min(samples.shape[2:]) // 2 // lattice_px * lattice_px
    with torch.inference_mode():
        whole = [_labels(module.eval(), view)[:, cut : cut + lattice_px] for view in views]
        low, high = 0, cut // lattice_px
        while low < high:
            middle = (low + high) // 2
            if _share(module, views, whole, cut, middle * lattice_px) <= SHARE:
                high = middle
            else:
                low = middle + 1
    # At the whole half tile nothing was cut off, and nothing is told.
    return high * lattice_px if high * lattice_px < cut else None


def _share(
    module: nn.Module, views: list[Tensor], whole: list[Tensor], cut: int, halo: int
) -> float:
    """Share of labels beside the cut that differ when only ``halo`` px before it are seen."""
    differ = total = 0
    for view, expected in zip(views, whole, strict=True):
        found = _labels(module, view[:, :, cut - halo :])[:, halo : halo + expected.shape[1]]
        differ += int((found != expected).sum())
        total += expected.numel()
    return differ / total


def _labels(module: nn.Module, view: Tensor) -> Tensor:
    """(C, H, W) -> (H, W)."""
    labels: Tensor = module(view[None])[0].argmax(dim=0)
    return labels
