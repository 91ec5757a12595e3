"""Mean field in torch, on a GPU or a CPU: pydensecrf's lattice, built by sorting.

    splat: vertex <- its pixels     blur: vertex <- its neighbours, d + 1 times     slice: back

Each step is an `embedding_bag`, a weighted sum of gathered rows. It needs no atomic additions, so
every run gives the same bits, and nothing in the loop waits for the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, pad

from segtasks.crf.backends.kernel import Float32, Kernel
from segtasks.crf.backends.lattice_points import Numbering, simplices, steps, vertices

BLOCK = 2**20
"""Number of pixels whose simplices are computed at once; each needs 100 bytes per dimension."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """A kernel's filter D^-1/2 k D^-1/2, built once for all iterations and classes.

    Attributes:
        offsets: (pixels, d + 1) vertices of each pixel.
        weights: (pixels, d + 1) weights of these vertices, including normalisation.
        pixels: (pixels * (d + 1),) the pixels of each vertex, vertex by vertex.
        shares: (pixels * (d + 1),) weights of these pixels.
        starts: (vertices,) index in `pixels` of each vertex's first pixel.
        neighbours: (d + 1, vertices + 1, 3) each vertex and its two neighbours per direction of
            the blur; the last row of zeros represents neighbours that do not exist.
        blur: (vertices + 1, 3) weights of the vertex and its neighbours.
    """

    offsets: Tensor
    weights: Tensor
    pixels: Tensor
    shares: Tensor
    starts: Tensor
    neighbours: Tensor
    blur: Tensor

    def filter(self, values: Tensor) -> Tensor:
        """Filter values (pixels, K)."""
        at_vertices = embedding_bag(
            self.pixels, values, self.starts, mode="sum", per_sample_weights=self.shares
        )
        at_vertices = torch.cat([at_vertices, at_vertices.new_zeros(1, at_vertices.shape[1])])
        for neighbours in self.neighbours:
            at_vertices = embedding_bag(
                neighbours, at_vertices, mode="sum", per_sample_weights=self.blur
            )
        return embedding_bag(self.offsets, at_vertices, mode="sum", per_sample_weights=self.weights)

    def scaled(self, factor: Tensor) -> "Lattice":
        """Return the filter with pixels multiplied by ``factor`` (pixels,) before and after it."""
        weights, shares = self.weights * factor[:, None], self.shares * factor[self.pixels]
        return replace(self, weights=weights, shares=shares)


@torch.inference_mode()
def marginals(unary: Float32, kernels: Sequence[Kernel], iterations: int) -> Float32:
    """Compute marginals (K, pixels), on the GPU if there is one; see `segtasks.crf.backends`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    energy = torch.tensor(-unary.T, device=device).contiguous()
    terms = [(_normalised(kernel, device), _attraction(kernel, device)) for kernel in kernels]
    q = energy.softmax(dim=1)
    for _ in range(iterations):
        total = energy.clone()
        for lattice, attraction in terms:
            total += lattice.filter(q) @ attraction
        q = total.softmax(dim=1)
    return np.ascontiguousarray(q.T.cpu().numpy())


def _attraction(kernel: Kernel, device: torch.device) -> Tensor:
    """Return -μ (K, K), or for Potts w on the diagonal, which is the same model."""
    weight, eye = kernel.potts_w, np.eye(kernel.classes, dtype=np.float32)
    return torch.tensor(-kernel.compatibility if weight is None else weight * eye, device=device)


def _normalised(kernel: Kernel, device: torch.device) -> Lattice:
    d = len(kernel.features)
    lattice = _lattice(torch.tensor(kernel.features, device=device))
    alpha = 1 / (1 + 2.0**-d)  # makes the filter's impulse response sum to 1
    row_sums = alpha * lattice.filter(lattice.weights.new_ones(kernel.pixels, 1))[:, 0]
    return lattice.scaled(alpha**0.5 / (row_sums + 1e-20).sqrt())


def _lattice(features: Tensor) -> Lattice:
    """Build the lattice of features (d, pixels), not normalised."""
    d, pixels = features.shape
    # pydensecrf pads its blocks of four with pixels at zero, so that their vertices exist.
    padded = pad(features, (0, -pixels % 4))
    offsets, weights, neighbours = _vertices(padded)
    offsets, weights = offsets[:pixels], weights[:pixels]
    order = torch.argsort(offsets.flatten(), stable=True)
    ordered = offsets.flatten()[order]
    vertex = torch.arange(neighbours.shape[1] - 1, device=offsets.device, dtype=torch.int32)
    return Lattice(
        offsets=offsets,
        weights=weights,
        pixels=(order // (d + 1)).int(),
        shares=weights.flatten()[order],
        starts=torch.searchsorted(ordered, vertex, out_int32=True),
        neighbours=neighbours,
        blur=weights.new_tensor([1.0, 0.5, 0.5]).repeat(neighbours.shape[1], 1),
    )


def _vertices(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return vertices and weights (pixels, d + 1) of each pixel, and neighbours of each vertex.

    Many pixels share a simplex. Pixels are therefore sorted by simplex once, and only the vertices
    of simplices that occur are numbered.
    """
    d, pixels = features.shape
    parts = [simplices(block) for block in torch.split(features, BLOCK, dim=1)]
    shapes = [torch.cat([part.corner[:d], part.rank[:d]]).short() for part in parts]
    numbered, simplex = Numbering.of(torch.cat(shapes, dim=1))
    first = simplex.new_empty(len(numbered))
    # All pixels of a simplex have its corner and ranks, so any of them can represent it.
    first[simplex] = torch.arange(pixels, device=simplex.device)
    sample = simplices(features[:, first])
    points = vertices(sample.corner, sample.rank)
    numbering, number = Numbering.of(points.flatten(1), margin=d)
    offsets = number.view(-1, d + 1).int()[simplex]
    return (
        offsets,
        torch.cat([part.weights for part in parts]),
        _neighbours(points, number, numbering),
    )


def _neighbours(points: Tensor, number: Tensor, numbering: Numbering) -> Tensor:
    """Return the neighbours (d + 1, vertices + 1, 3) of vertices with coordinates `points`."""
    d, missing = len(points), len(numbering)
    flat = points.flatten(1)
    coordinates = flat.new_empty(d, missing)
    coordinates[:, number] = flat
    itself = torch.arange(missing + 1, device=flat.device, dtype=torch.int32)
    neighbours = itself.new_full((d + 1, missing + 1, 3), missing)
    neighbours[:, :, 0] = itself
    for axis, step in enumerate(steps(d)):
        shift = flat.new_tensor(step)[:, None]
        neighbours[axis, :missing, 1] = numbering.find(coordinates + shift).int()
        neighbours[axis, :missing, 2] = numbering.find(coordinates - shift).int()
    return neighbours
