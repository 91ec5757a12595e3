"""Measure the halo that hides seams: compare labels at a cut with those of the uncut tile.

    |........................ tile ........................|    expected labels next to the cut
                       |hhhhh|.............................|    labels of a window with halo h
                             ^ cut

The gradient (`receptive_field.effective_halo_px`) shows where a network looks; this measure shows
from which halo on the labels no longer change. Pixels next to a cut are the worst case and less
than one pixel in a hundred, so the share of a mask that differs is far smaller.
"""

import torch
from torch import Tensor, nn

SHARE = 0.005
"""Share of the labels next to a cut that may differ."""


def seam_halo_px(module: nn.Module, samples: Tensor, *, lattice_px: int) -> int | None:
    """Return the smallest halo with which at most 0.5 % of the labels next to a cut differ, px.

    Args:
        module: the trained network.
        samples: normalised tiles of real imagery (N, C, H, W), measured as they are and transposed.
            Halos of less than half their side can be measured.
        lattice_px: halos and cuts are multiples of this.

    Returns:
        A multiple of ``lattice_px``; ``None`` if no halo of less than half the side suffices.
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
    # With a halo of half the tile nothing is cut off, so the comparison shows nothing.
    return high * lattice_px if high * lattice_px < cut else None


def _share(
    module: nn.Module, views: list[Tensor], whole: list[Tensor], cut: int, halo: int
) -> float:
    """Return the share of labels next to the cut that differ with ``halo`` px before the cut."""
    differ = total = 0
    for view, expected in zip(views, whole, strict=True):
        found = _labels(module, view[:, :, cut - halo :])[:, halo : halo + expected.shape[1]]
        differ += int((found != expected).sum())
        total += expected.numel()
    return differ / total


def _labels(module: nn.Module, view: Tensor) -> Tensor:
    """Return the labels of a tile: (C, H, W) -> (H, W)."""
    labels: Tensor = module(view[None])[0].argmax(dim=0)
    return labels
