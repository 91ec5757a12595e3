"""How networks enlarge their maps, and what that changes: labels, edges, seams.

    python benchmarks/upsampling.py ortho.tif --refinenet a.safetensors --segnet b.safetensors

The same weights under different enlargements, over one square of a raster; networks without a model
file are narrow and untrained. Edges moved: distance to the nearest edge of the published form.
"""

import argparse
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from imagery import displacements, labels_of, normalised, own_normalisation, untrained, windows
from tables import header, percent, row
from torch import Tensor, nn
from torch.nn import functional

from segtasks.networks.architectures.dilation import BilinearPerClass
from segtasks.networks.architectures.doubling import Doubling
from segtasks.networks.architectures.fcn import enlarge
from segtasks.networks.architectures.layers import bilinear_deconv
from segtasks.networks.architectures.segnet import Place
from segtasks.networks.model_file import load

WIDTH, CLASSES = 1 / 16, 6
METHODS = ("bicubic", "bilinear", "align_corners")
CORE, LONG_PX = slice(2048, 2112), 4096
REFINENET_HALOS_PX = (768, 1632, 1920)
LARGEFOV_HALOS_PX = (192, 224, 256, 448)

Forward = Callable[[Tensor], Tensor]


class Stretched(nn.Module):
    """LargeFOV whose units are stretched over whatever size comes, as many ports do."""

    def __init__(self, network: nn.Module, *, align_corners: bool) -> None:
        super().__init__()
        self.network = network
        self.align_corners = align_corners

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> logits (N, K, H, W)."""
        units = self.network.coarse_logits(x)  # type: ignore[operator]  # a LargeFOV
        size = (x.shape[2], x.shape[3])
        return functional.interpolate(
            units, size, mode="bilinear", align_corners=self.align_corners
        )


class NoIndices(nn.Module):
    """SegNet's unpooling without its memory: values enlarged, bilinear, as they are."""

    def forward(self, x: Tensor, places: list[Place]) -> Tensor:
        """(N, C, h, w) -> (N, C, H, W)."""
        _, size = places.pop()
        return functional.interpolate(x, size, mode="bilinear", align_corners=False)


def compare(what: str, found: nn.Module, published: nn.Module, x: Tensor) -> None:
    """A row: labels unlike and edges moved, over an image."""
    labels, expected = labels_of(found, x), labels_of(published, x)
    moved = displacements(labels, expected)
    middle, most = np.quantile(moved, (0.5, 0.95)) if len(moved) else (np.nan, np.nan)
    unlike = percent((labels != expected).mean())
    row(what, unlike, f"{middle:.1f}", f"{most:.1f}")


def seam(network: Forward, whole: Tensor, x: Tensor, halo: int) -> float:
    """Largest error of a core cut out of a strip (1, C, h, W) with a halo, in deviations."""
    found = network(x[..., CORE.start - halo : CORE.stop + halo])
    core = found[..., halo : halo + CORE.stop - CORE.start]
    return float((core - whole[..., CORE]).abs().max() / whole.std())


def seams(what: str, network: nn.Module, x: Tensor, halos: tuple[int, ...]) -> None:
    """A row: errors at each halo."""
    with torch.inference_mode():
        whole = network(x)
        errors = [f"{seam(network, whole, x, halo):.1e}" for halo in halos]
    row(what, *errors)


def under(network: nn.Module, method: str) -> nn.Module:
    """The same RefineNet with another doubling of its maps."""
    made = deepcopy(network)
    for layer in made.modules():
        if isinstance(layer, Doubling):
            layer.method = method
    return made


def given(path: Path | None, name: str, raw: Tensor) -> tuple[nn.Module, Tensor]:
    """A trained network, or an untrained one; and its input."""
    if path:
        module, card = load(path)
        return module, normalised(raw, card.normalisation)
    x = normalised(raw, own_normalisation(raw))
    return untrained(name, x, classes=CLASSES, width=WIDTH), x


def refinenet(path: Path | None, raw: Tensor, x: Tensor) -> None:
    """Three ways to double a map before it is added to a finer one."""
    network, image = given(path, "refinenet50", raw)
    forms = {method: under(network, method) for method in METHODS}
    for method in METHODS[1:]:
        compare(f"RefineNet-50 {method} for bicubic", forms[method], forms["bicubic"], image)
    print()
    header("seam, deviations", *(f"halo {halo} px" for halo in REFINENET_HALOS_PX))
    for method, form in forms.items():
        seams(f"RefineNet-50 {method}", form.double(), x, REFINENET_HALOS_PX)


def largefov(x: Tensor) -> None:
    """One map of units, enlarged three ways."""
    network = untrained("largefov", x.float(), classes=CLASSES, width=WIDTH).double()
    print()
    header("seam, deviations", *(f"halo {halo} px" for halo in LARGEFOV_HALOS_PX))
    seams("LargeFOV, units on 0, 8, 16 ... (8k + 1)", network, x, LARGEFOV_HALOS_PX)
    for aligned, what in ((True, "align_corners"), (False, "half-pixel")):
        stretched = Stretched(network, align_corners=aligned)
        seams(f"LargeFOV, stretched to 8k, {what}", stretched, x, LARGEFOV_HALOS_PX)


def deconvolution() -> None:
    """FCN's frozen kernel is half-pixel bilinear, but for zeros beyond the map."""
    units = torch.randn(1, CLASSES, 20, 20, generator=torch.Generator().manual_seed(0)).double()
    with torch.inference_mode():
        kernel = bilinear_deconv(CLASSES, 8).double()(units)[:, :, 4:-4, 4:-4]
        error = (kernel - enlarge(units, 8.0)).abs()[0].amax(dim=0)
    inside = error[4:-4, 4:-4].max()
    rim = torch.cat([error[:4].flatten(), error[-4:].flatten()]).max()
    print(f"\nfrozen deconvolution x8 less half-pixel bilinear: {inside:.0e} inside,")
    print(f"{rim:.1f} in the outermost 4 px (zeros against the outermost value)")


def segnet(path: Path | None, raw: Tensor) -> None:
    """The places of maxima against none."""
    network, image = given(path, "segnet", raw)
    without = deepcopy(network)
    without.unpool = NoIndices()
    compare("SegNet, bilinear for indices", without, network, image)


def dilation(raw: Tensor) -> None:
    """Units on pixels 0, 8, 16 ... against units in the middle of their cells."""
    network, image = given(None, "dilation_frontend", raw)
    with torch.no_grad():
        # New scoring layers give logits of thousandths, whose probabilities are all alike.
        network.get_parameter("final.weight").mul_(1000)
    centred = deepcopy(network)
    centred.ctx_upsample = BilinearPerClass(CLASSES)
    compare("Dilation, units centred (Dilation10)", centred, network, image)


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("raster", type=Path)
    parser.add_argument("--refinenet", type=Path, help="a trained RefineNet-50")
    parser.add_argument("--segnet", type=Path, help="a trained SegNet")
    parser.add_argument("--side", type=int, default=1024, help="of the square looked at, px")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    raw = windows(chosen.raster, chosen.side, 1)
    strip = torch.randn(1, 3, 32, LONG_PX, generator=torch.Generator().manual_seed(1)).double()
    header("enlarged", "labels unlike", "edges moved, px: median", "95 %")
    segnet(chosen.segnet, raw)
    dilation(raw)
    refinenet(chosen.refinenet, raw, strip)
    largefov(strip)
    deconvolution()


if __name__ == "__main__":
    main()
