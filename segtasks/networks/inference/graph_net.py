"""Adapt a foreign graph to the runtime, which runs patches of any size.

    patch (N, C, H, W) -> padded to a size that the graph takes -> graph
                       -> two classes if the graph returns one map
                       -> upsampled to the input's size if the maps are coarser
                       -> cropped to H, W

The result has one map per class, of the size of the patch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from segtasks.networks.card import Gives, Graph
from segtasks.networks.graphs.session import GraphSession
from segtasks.networks.inference.runtime import deterministic_cudnn


@dataclass
class GraphNet:
    """A foreign graph on a device; see `runtime.Net`."""

    session: GraphSession
    graph: Graph
    batch: int

    @property
    def device(self) -> torch.device:
        """The device on which it computes."""
        return self.session.device

    @property
    def gives(self) -> Gives:
        """Whether `__call__` returns logits or probabilities."""
        return self.graph.gives

    def __call__(self, patches: Tensor) -> Tensor:
        """(N, C, H, W) -> logits or probabilities (N, K, H, W), float32."""
        height, width = patches.shape[2:]
        x = pad_with(patches, self._side(height), self._side(width), self.graph.fill)
        with torch.inference_mode(), deterministic_cudnn(tf32=False):
            y = self.session(x)
            return sized(two_classes(y.float(), self.gives), x)[:, :, :height, :width]

    def _side(self, length: int) -> int:
        """Return the smallest side that the graph takes and that is at least ``length``, px."""
        multiple = self.graph.multiple_px
        least = max(length, self.graph.least_px)
        return self.graph.patch_px or -(-least // multiple) * multiple


def pad_with(x: Tensor, height: int, width: int, fill: tuple[float, ...]) -> Tensor:
    """Pad at the bottom and right with the value that means no data.

    Args:
        x: input (N, C, H, W).
        height: height of the result, px.
        width: width of the result, px.
        fill: one value per band; empty means 0.
    """
    if (height, width) == tuple(x.shape[2:]):
        return x
    value = torch.tensor(fill or (0.0,)).reshape(1, -1, 1, 1)
    out = value.expand(*x.shape[:2], height, width).clone()
    out[:, :, : x.shape[2], : x.shape[3]] = x
    return out


def two_classes(maps: Tensor, gives: Gives) -> Tensor:
    """Expand the single map (N, 1, H, W) of a sigmoid to its complement and itself."""
    if maps.shape[1] != 1:
        return maps
    complement = 1 - maps if gives == "probabilities" else torch.zeros_like(maps)
    return torch.cat((complement, maps), dim=1)


def sized(maps: Tensor, x: Tensor) -> Tensor:
    """Upsample coarser maps to the H and W of ``x``, bilinearly with half-pixel centres."""
    size = x.shape[2:]
    if maps.shape[2:] == size:
        return maps
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
