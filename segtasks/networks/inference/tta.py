"""Test-time augmentation: the scales and symmetries at which a network sees a patch.

    patch --> each scale --> each symmetry --> network --> symmetry undone --> resized --> fused

A patch starts on a point of the network's lattice at every scale, so that a resized patch is a
window of the resized raster: at scale p/q on multiples of lattice x q / gcd(p, lattice). Needs no
torch; `tta_network` runs it.
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

SYMMETRY_COUNTS = {"none": 1, "mirror": 2, "flips": 4, "d4": 8}
SPLITTABLE_FORMS = ("packed", "plain")
"""Forms in which a network can be split at its pyramid."""
GROUND_SCALES = tuple(map(Fraction, ("1/4", "1/2", "3/4", "1", "3/2", "2", "3", "4")))
"""Scales that bring pixels to the size that a network was trained on. The steps are small enough
for networks trained on crops at random scales; small denominators keep the patch lattice fine."""


@dataclass(frozen=True, slots=True)
class TestTimeAugmentation:
    """The test-time augmentation of a job, and how pyramids pool.

    Attributes:
        scales: scales of the resized patches, the largest first.
        angles: "mirror" is the patch and its left-right mirror image; "flips" also has them upside
            down; "d4" also has all four transposed.
        fusion: how the outputs of all scales and symmetries are combined.
        pooling: whether a pyramid averages over each patch or over the whole raster.
    """

    scales: tuple[Fraction, ...] = (Fraction(1),)
    angles: Angles = "none"
    fusion: Fusion = "mean_probabilities"
    pooling: Pooling = "patch"

    @property
    def is_plain(self) -> bool:
        """Whether there is no augmentation: one forward pass per patch."""
        return self.scales == (Fraction(1),) and self.angles == "none"

    @property
    def forwards(self) -> int:
        """Number of forward passes per patch."""
        return len(self.scales) * SYMMETRY_COUNTS[self.angles]

    @property
    def forward_factor(self) -> float:
        """Pixels that run through the network per pixel of a patch."""
        return float(SYMMETRY_COUNTS[self.angles] * sum(scale**2 for scale in self.scales))

    def align_px(self, lattice_px: int) -> int:
        """Return the px whose multiples patches must start on."""
        units = (lattice_px * s.denominator // gcd(s.numerator, lattice_px) for s in self.scales)
        return lcm(*units)

    def margin_px(self, halo_px: int, unit_px: int, lattice_px: int) -> int:
        """Return the halo at scale 1 that contains the halo of every scale, on the lattice.

        Args:
            halo_px: halo of the network, px.
            unit_px: step by which the halo grows if one more pixel is needed, px.
            lattice_px: lattice of the network, px.
        """
        align = self.align_px(lattice_px)
        widest = max(_source_px(halo_px, unit_px, scale) for scale in self.scales)
        return -(-widest // align) * align


def tta_of(inference: Inference, card: Card, pixel_m: float | None = None) -> TestTimeAugmentation:
    """Return the test-time augmentation of a job for a raster whose pixels are ``pixel_m`` wide.

    Raises:
        JobError: the network does not support the settings.
    """
    scales = _scales_of(inference, card, pixel_m)
    modes = TestTimeAugmentation(scales, inference.angles, inference.fusion, inference.pooling)
    if card.graph is not None:
        _require_defaults(modes, inference, card)
    if modes.pooling == "raster":
        _require_pooled(modes, inference, card)
    return modes


def _scales_of(inference: Inference, card: Card, pixel_m: float | None) -> tuple[Fraction, ...]:
    """Return the scales, largest first; for "auto", the one nearest to the trained resolution."""
    if inference.scales != "auto":
        scales = (Fraction(round(STEPS * scale), STEPS) for scale in inference.scales)
        return tuple(sorted(scales, reverse=True))
    trained_m, is_fixed = card.ground_resolution_m, card.graph or inference.pooling == "raster"
    if pixel_m is None or trained_m is None or is_fixed:
        return (Fraction(1),)
    ratio = log(pixel_m / trained_m)
    return (min(GROUND_SCALES, key=lambda scale: abs(log(scale) - ratio)),)


def _require_defaults(modes: TestTimeAugmentation, inference: Inference, card: Card) -> None:
    """Refuse settings that would change a foreign graph."""
    plain = modes.is_plain and modes.pooling == "patch"
    if plain and inference.precision == "float32" and inference.form == "packed":
        return
    raise JobError(
        f"inference: {card.network} is a foreign graph and runs unchanged; leave scales, angles, "
        "pooling, precision and form at their defaults, or import its weights"
    )


def _source_px(halo_px: int, unit_px: int, scale: Fraction) -> int:
    """Return the pixels of the source that a halo of ``halo_px`` at ``scale`` covers."""
    if scale < 1:
        # A core's outermost pixels lie between two of the smaller map, one of them outside of it.
        return ceil((halo_px + unit_px) / scale)
    # The outermost pixels of the larger map lie between two of the source.
    return ceil(halo_px / scale) + (scale > 1)


def spec_of(card: Card) -> NetworkSpec | None:
    """Return the registry's entry for the network of a card, if there is one."""
    return spec(card.network) if card.network in names() else None


def _require_pooled(modes: TestTimeAugmentation, inference: Inference, card: Card) -> None:
    """Refuse a network or form that cannot be split at a pyramid, and any augmentation."""
    network = spec_of(card)
    if network is None or network.pooled_halo_px is None:
        supported = [name for name in names() if spec(name).pooled_halo_px is not None]
        raise JobError(
            f"pooling raster: {card.network} has no pyramid to pool over a raster; "
            f"use pooling patch (networks that have one: {', '.join(supported)})"
        )
    if not modes.is_plain:
        raise JobError(
            "pooling raster: excludes test-time augmentation; use scales 1 and angles none, or "
            "pooling patch"
        )
    if inference.form not in SPLITTABLE_FORMS:
        raise JobError(
            f"pooling raster: form {inference.form} cannot be split at the pyramid; "
            f"use form {' or '.join(SPLITTABLE_FORMS)}"
        )


def card_with_tta(modes: TestTimeAugmentation, card: Card) -> Card:
    """Return the card of the network with its augmentation: lattice, halos and memory of both."""
    changed: dict[str, Any] = {}
    network = spec_of(card)
    if modes.pooling == "raster" and network is not None:
        changed = {"halo_px": network.pooled_halo_px}
    if not modes.is_plain:
        changed |= _augmented(modes, card)
    return card.model_copy(update=changed)


def _augmented(modes: TestTimeAugmentation, card: Card) -> dict[str, Any]:
    """Return the card fields that scales and symmetries change."""
    lattice, exact, seam = card.lattice_px, card.halo_px, card.seam_halo_px
    return {
        "lattice_px": modes.align_px(lattice),
        "halo_px": None if exact is None else modes.margin_px(exact, lattice, lattice),
        "effective_halo_px": modes.margin_px(card.effective_halo_px, 1, lattice),
        "seam_halo_px": None if seam is None else modes.margin_px(seam, lattice, lattice),
        "forward_bytes_per_px": _bytes_per_px(modes, card),
    }


def _bytes_per_px(modes: TestTimeAugmentation, card: Card) -> int:
    """Return the peak bytes per px: a forward pass at the largest scale, the sum, its addend."""
    classes, area = len(card.classes), max(modes.scales) ** 2
    # Input and logits exist twice while a symmetry is applied to them.
    copies = FLOAT_BYTES * 2 * (len(card.bands) + classes)
    return ceil(area * (card.forward_bytes_per_px + copies)) + 3 * FLOAT_BYTES * classes
