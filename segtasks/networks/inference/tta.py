"""Inference modes: at which scales and angles a network looks at a patch, how answers are fused.

    patch --> each scale --> each angle --> network --> turned back --> resized back --> fused

A patch starts where every scale has a point of the network's lattice, so that a resized patch is a
window of the resized raster: at scale p/q multiples of lattice x q / gcd(p, lattice). Needs no
torch; `fusion` does the work.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, gcd, lcm, log
from typing import Any

from segtasks.config.inference import STEPS, Angles, Fusion, Inference, Pooling
from segtasks.errors import JobError
from segtasks.networks.card import Card
from segtasks.networks.network_spec import NetworkSpec
from segtasks.networks.registry import names, spec
from segtasks.raster.units import FLOAT_BYTES

SYMMETRIES = {"none": 1, "mirror": 2, "flips": 4, "d4": 8}
TAKEN_APART = ("packed", "plain")
GROUND_SCALES = tuple(map(Fraction, ("1/4", "1/2", "3/4", "1", "3/2", "2", "3", "4")))
"""What pixels of another size are met with: steps small enough for networks that learn from crops
at random scales, and of small denominators, which keep the lattice of patches fine."""


@dataclass(frozen=True, slots=True)
class TestTimeAugmentation:
    """What a job asks for.

    Attributes:
        scales: of the resized patches, the largest first.
        angles: mirror: as it is and left-right; flips: also upside down; d4: also transposed.
        fusion: of the answers of all scales and angles.
        pooling: patch: a pyramid's averages are those of each patch; raster: of the whole raster.
    """

    scales: tuple[Fraction, ...] = (Fraction(1),)
    angles: Angles = "none"
    fusion: Fusion = "mean_probabilities"
    pooling: Pooling = "patch"

    @property
    def is_plain(self) -> bool:
        """Whether a patch is forwarded once, as it is."""
        return self.scales == (Fraction(1),) and self.angles == "none"

    @property
    def forwards(self) -> int:
        """Forwards of each patch."""
        return len(self.scales) * SYMMETRIES[self.angles]

    @property
    def forward_factor(self) -> float:
        """Pixels through the network per pixel of a patch."""
        return float(SYMMETRIES[self.angles] * sum(scale**2 for scale in self.scales))

    def align_px(self, lattice_px: int) -> int:
        """What patches start on multiples of."""
        units = (lattice_px * s.denominator // gcd(s.numerator, lattice_px) for s in self.scales)
        return lcm(*units)

    def margin_px(self, halo_px: int, unit_px: int, lattice_px: int) -> int:
        """The halo at scale 1 that gives every scale its own; rounded up to the patches' lattice.

        Args:
            halo_px: of the network.
            unit_px: what it grows by, at the least, where one more pixel is needed.
            lattice_px: of the network.
        """
        align = self.align_px(lattice_px)
        widest = max(_source_px(halo_px, unit_px, scale) for scale in self.scales)
        return -(-widest // align) * align


def tta_of(inference: Inference, card: Card, pixel_m: float | None = None) -> TestTimeAugmentation:
    """What a job asks of a network, of a raster whose pixels are ``pixel_m`` wide.

    Raises:
        JobError: pooling over the raster where it has no meaning.
    """
    scales = _scales_of(inference, card, pixel_m)
    modes = TestTimeAugmentation(scales, inference.angles, inference.fusion, inference.pooling)
    if card.graph is not None:
        _require_as_it_is(modes, inference, card)
    if modes.pooling == "raster":
        _require_pooled(modes, inference, card)
    return modes


def _scales_of(inference: Inference, card: Card, pixel_m: float | None) -> tuple[Fraction, ...]:
    """As asked, the largest first; else the scale that brings pixels nearest to the model's."""
    if inference.scales != "auto":
        scales = (Fraction(round(STEPS * scale), STEPS) for scale in inference.scales)
        return tuple(sorted(scales, reverse=True))
    trained_m, is_fixed = card.ground_resolution_m, card.graph or inference.pooling == "raster"
    if pixel_m is None or trained_m is None or is_fixed:
        return (Fraction(1),)
    ratio = log(pixel_m / trained_m)
    return (min(GROUND_SCALES, key=lambda scale: abs(log(scale) - ratio)),)


def _require_as_it_is(modes: TestTimeAugmentation, inference: Inference, card: Card) -> None:
    """A foreign graph is run as it was written."""
    plain = modes.is_plain and modes.pooling == "patch"
    if plain and inference.precision == "float32" and inference.form == "packed":
        return
    raise JobError(
        f"inference: {card.network} is a foreign graph and runs as it is; leave scales, angles, "
        "pooling, precision and form at their defaults, or import its weights"
    )


def _source_px(halo_px: int, unit_px: int, scale: Fraction) -> int:
    """Pixels of the source that a halo of ``halo_px`` at ``scale`` takes."""
    if scale < 1:
        # A core's outermost pixels lie between two of the smaller map, one of them outside of it.
        return ceil((halo_px + unit_px) / scale)
    # The outermost pixels of the larger map lie between two of the source.
    return ceil(halo_px / scale) + (scale > 1)


def declared(card: Card) -> NetworkSpec | None:
    """The registry's entry of a card's network, where it has one."""
    return spec(card.network) if card.network in names() else None


def _require_pooled(modes: TestTimeAugmentation, inference: Inference, card: Card) -> None:
    """Refuse a network that cannot be taken apart, and more than one scale and angle."""
    found = declared(card)
    if found is None or found.pooled_halo_px is None:
        able = [name for name in names() if spec(name).pooled_halo_px is not None]
        raise JobError(
            f"pooling raster: {card.network} has no pyramid that could be pooled over a raster; "
            f"use pooling patch (networks that can: {', '.join(able)})"
        )
    if not modes.is_plain:
        raise JobError(
            "pooling raster: averages are kept for scale 1 and one angle alone; use scales 1 and "
            "angles none, or pooling patch"
        )
    if inference.form not in TAKEN_APART:
        raise JobError(
            f"pooling raster: takes the network apart, which form {inference.form} does not allow; "
            f"use form {' or '.join(TAKEN_APART)}"
        )


def card_with_tta(modes: TestTimeAugmentation, card: Card) -> Card:
    """The card of the network together with its modes: lattice, halos and memory of both."""
    changed: dict[str, Any] = {}
    found = declared(card)
    if modes.pooling == "raster" and found is not None:
        changed = {"halo_px": found.pooled_halo_px}
    if not modes.is_plain:
        changed |= _fused(modes, card)
    return card.model_copy(update=changed)


def _fused(modes: TestTimeAugmentation, card: Card) -> dict[str, Any]:
    """What scales and angles change."""
    lattice, exact, seam = card.lattice_px, card.halo_px, card.seam_halo_px
    return {
        "lattice_px": modes.align_px(lattice),
        "halo_px": None if exact is None else modes.margin_px(exact, lattice, lattice),
        "effective_halo_px": modes.margin_px(card.effective_halo_px, 1, lattice),
        "seam_halo_px": None if seam is None else modes.margin_px(seam, lattice, lattice),
        "forward_bytes_per_px": _bytes_per_px(modes, card),
    }


def _bytes_per_px(modes: TestTimeAugmentation, card: Card) -> int:
    """Peak of one forward at the largest scale, the sum so far and what is being added to it."""
    classes, area = len(card.classes), max(modes.scales) ** 2
    # Input and logits are there twice while they are turned.
    turned = FLOAT_BYTES * 2 * (len(card.bands) + classes)
    return ceil(area * (card.forward_bytes_per_px + turned)) + 3 * FLOAT_BYTES * classes
