"""Test TTA in jobs and plans: bounds, the common lattice, costs, and refusals."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from segtasks.cli.model_options import nested
from segtasks.config.inference import Inference
from segtasks.config.job import Job, make_job
from segtasks.errors import JobError, WorkspaceError
from segtasks.networks import Card, ClassEntry, Normalisation
from segtasks.networks.inference.tta import TestTimeAugmentation, card_with_tta, tta_of
from segtasks.planning import cost, summary
from segtasks.planning.plan import Plan
from segtasks.planning.planner import make_plan
from segtasks.raster.grid import Grid, Tile
from segtasks.storage import object_store, pooled_sums

PATHS = {"source": "a.tif", "to": "out"}


@pytest.mark.parametrize(
    ("inference", "match"),
    [
        ({"scales": [0.2]}, r"inference.scales.0: .*greater than or equal to 0.25 \(got 0.2\)"),
        ({"scales": [1, 4.05]}, r"inference.scales.1: .*less than or equal to 4"),
        ({"scales": [0.33]}, r"scale 0.33 is not a multiple of 0.05; use 0.3 or 0.35"),
        ({"scales": []}, r"inference.scales: .*at least 1 item"),
        ({"scales": [0.25 + 0.05 * i for i in range(9)]}, r"inference.scales: .*at most 8 items"),
        (
            {"scales": [1, 0.5, 1]},
            r"inference.scales: a scale is given twice in 1, 0.5, 1; give each once",
        ),
        ({"angles": "d8"}, r"inference.angles: .*'flips' or 'd4' \(got 'd8'\)"),
        ({"fusion": "mean"}, r"inference.fusion: .*'max_logits' or 'mean_logits'"),
        ({"pooling": "tile"}, r"inference.pooling: .*'patch' or 'raster'"),
        ({"scale": 1}, r"inference.scale: unknown key; did you mean scales\?"),
    ],
)
def test_a_wrong_setting_is_one_line(inference: dict[str, Any], match: str) -> None:
    with pytest.raises(JobError, match=match) as caught:
        make_job({**PATHS, "inference": inference})
    assert "\n" not in str(caught.value)


def test_modes_are_options_of_the_command() -> None:
    given = {"scales": "1,0.75,0.5", "fusion": "max_logits", "angles": "d4", "pooling": "patch"}
    job = make_job({**PATHS, **nested(Job, given)})
    assert job.inference.scales == (1.0, 0.75, 0.5)
    assert (job.inference.fusion, job.inference.angles) == ("max_logits", "d4")
    assert make_job({**PATHS, **nested(Job, {"scales": "0.5"})}).inference.scales == (0.5,)


def test_scales_that_were_computed_are_on_a_step() -> None:
    job = make_job({**PATHS, "inference": {"scales": [0.1 + 0.2, 0.55]}})
    assert job.inference.scales == (0.3, 0.55)


def test_the_form_names_every_mode_with_its_bounds() -> None:
    schema = Job.model_json_schema()["$defs"]["Inference"]["properties"]
    assert all(field["description"] for field in schema.values())
    assert schema["angles"]["enum"] == ["none", "mirror", "flips", "d4"]
    scales, auto = schema["scales"]["anyOf"]
    assert (auto["enum"], schema["scales"]["default"]) == (["auto"], "auto")
    assert (scales["minItems"], scales["maxItems"]) == (1, 8)
    assert (scales["items"]["minimum"], scales["items"]["maximum"]) == (0.25, 4)


# scales, network's lattice, lattice of the patches, exact halo 224 (or 0) of the network with them
LATTICES = [
    ((1.0,), 32, 32, 224, 224),
    ((0.5,), 32, 64, 224, 512),
    ((1.0, 0.75, 0.5), 32, 128, 224, 512),
    ((2.0,), 32, 16, 224, 128),
    ((0.4, 0.6, 0.8, 1.0, 1.2), 32, 160, 224, 640),
    ((0.5, 0.75, 1.0, 1.25, 1.5, 1.75), 8, 32, 224, 480),
    ((0.35,), 32, 640, 224, 1280),
    ((0.5,), 1, 2, 0, 2),
    ((4.0,), 1, 1, 0, 1),
]


@pytest.mark.parametrize(("scales", "lattice", "align", "halo", "margin"), LATTICES)
def test_patches_start_where_every_scale_has_a_point_of_the_lattice(
    scales: tuple[float, ...], lattice: int, align: int, halo: int, margin: int
) -> None:
    modes = TestTimeAugmentation(tuple(Fraction(str(scale)) for scale in scales))
    assert modes.align_px(lattice) == align
    on_all = [o for o in range(1, 2 * align) if all(o * s % lattice == 0 for s in modes.scales)]
    assert on_all == [align]
    assert modes.margin_px(halo, lattice, lattice) == margin


@pytest.mark.parametrize(
    ("pixel_m", "scale"),
    [
        (0.3, "1"),
        (0.36, "1"),
        (0.39, "3/2"),
        (0.24, "3/4"),
        (0.14, "1/2"),
        (0.01, "1/4"),
        (10.0, "4"),
        (None, "1"),
    ],
)
def test_pixels_of_another_size_are_met_by_the_nearest_scale(
    pixel_m: float | None, scale: str
) -> None:
    trained = card("fcn8s_lean").model_copy(update={"ground_resolution_m": 0.3})
    assert tta_of(Inference(), trained, pixel_m).scales == (Fraction(scale),)
    assert tta_of(Inference(scales=(1,)), trained, pixel_m).is_plain
    assert tta_of(Inference(), card("fcn8s_lean"), pixel_m).is_plain


def test_forwards_are_counted() -> None:
    scales = Fraction(1), Fraction(1, 2)
    assert (TestTimeAugmentation(scales).forwards, TestTimeAugmentation(scales).forward_factor) == (
        2,
        1.25,
    )
    assert (
        TestTimeAugmentation(scales, "d4").forwards,
        TestTimeAugmentation(scales, "d4").forward_factor,
    ) == (16, 10)
    assert TestTimeAugmentation().is_plain
    assert not TestTimeAugmentation(angles="mirror").is_plain


def card(network: str) -> Card:
    return Card(
        network=network,
        classes=tuple(ClassEntry(id=i, name=f"{i}", color="#000000") for i in range(2)),
        bands=("red",),
        normalisation=Normalisation(mean=(0,), std=(1,)),
        lattice_px=8,
        output_stride=8,
        receptive_field_px=None,
        halo_px=None,
        effective_halo_px=100,
        forward_bytes_per_px=100,
        gmac_per_mpx=1.0,
        parameters=1,
        licence="CC0-1.0",
        weights_sha256="0" * 64,
    )


@pytest.mark.parametrize("name", ["smp_pspnet50", "deeplabv3_resnet50", "fcn8s", "graph.onnx"])
def test_networks_without_a_pyramid_are_not_pooled(name: str) -> None:
    inference = make_job({**PATHS, "inference": {"pooling": "raster"}}).inference
    with pytest.raises(
        JobError, match=rf"{name} has no pyramid.*mmseg_pspnet50, pspnet101, pspnet50\)$"
    ):
        tta_of(inference, card(name))


@pytest.mark.parametrize(
    ("setting", "match"),
    [
        ({"angles": "mirror"}, "use scales 1 and angles none, or pooling patch"),
        ({"scales": [0.5]}, "use scales 1 and angles none, or pooling patch"),
        (
            {"form": "frozen"},
            "form frozen cannot be split at the pyramid; use form packed or plain",
        ),
        ({"form": "auto"}, "form auto cannot be split at the pyramid; use form packed or plain"),
    ],
)
def test_pooling_is_refused_where_it_cannot_be(setting: dict[str, Any], match: str) -> None:
    job = make_job({**PATHS, "inference": {"pooling": "raster", **setting}})
    with pytest.raises(JobError, match=match):
        tta_of(job.inference, card("pspnet50"))


@pytest.mark.parametrize(("name", "halo"), [("pspnet50", 248), ("pspnet101", 520)])
def test_pooling_gives_a_network_its_local_halo(name: str, halo: int) -> None:
    assert card_with_tta(TestTimeAugmentation(), card(name)) == card(name)
    assert card_with_tta(TestTimeAugmentation(pooling="raster"), card(name)).halo_px == halo


def plan_of(tmp_path: Path, model: str, tiling: dict[str, Any], **inference: object) -> Plan:
    path = tmp_path / "a.tif"
    if not path.exists():
        profile = {"driver": "GTiff", "dtype": "uint8", "count": 3, "height": 900, "width": 2000}
        with rasterio.open(path, "w", **profile) as dataset:
            dataset.write(np.ones((3, 900, 2000), "u1"))
    values = {"source": str(path), "to": str(tmp_path / "o"), "model": model, "crf": None}
    return make_plan(make_job({**values, "tiling": tiling, "inference": inference}))


def test_the_plan_fits_patches_to_the_scales(tmp_path: Path) -> None:
    exact = plan_of(tmp_path, "demo", {"overlap_px": "exact"}, scales=[1, 0.75, 0.5])
    assert (exact.patches.margin_px, exact.patches.align_px) == (512, 128)
    assert exact.patches.step_px % 128 == 0
    assert summary.figures(exact)["is_exact"]
    # 90 px measured, at half the size: 2 x 91, on the lattice.
    small = plan_of(tmp_path, "demo", {"patch_px": 1024}, scales=[1, 0.75, 0.5])
    assert (small.patches.margin_px, small.patches.step_px) == (256, 512)
    assert not summary.figures(small)["is_exact"]
    with pytest.raises(JobError, match=r"overlap / 2 is 64 px.*multiple of 128.*use 0 or 128"):
        plan_of(tmp_path, "demo", {"patch_px": 512, "overlap_px": 128}, scales=[0.75])


def test_small_patches_keep_some_overlap(tmp_path: Path) -> None:
    assert plan_of(tmp_path, "demo", {"patch_px": 384}, scales=[0.75]).patches.margin_px == 128


def test_the_plan_says_what_modes_cost(tmp_path: Path) -> None:
    tiling = {"patch_px": 1024, "overlap_px": 512}
    plain = plan_of(tmp_path, "demo", tiling)
    many = plan_of(tmp_path, "demo", tiling, scales=[1.5, 0.5], angles="flips")
    one, ten = cost.plan_cost(plain), cost.plan_cost(many)
    assert ten.patch_factor == one.patch_factor == one.forward_factor
    assert ten.forward_factor == pytest.approx(4 * (2.25 + 0.25) * one.forward_factor)
    assert summary.figures(many)["gmac"] == pytest.approx(10 * summary.figures(plain)["gmac"], 1e-3)
    grown = ten.worker_bytes["predict"] - one.worker_bytes["predict"]
    assert grown > (2.25 - 1) * plain.card.forward_bytes_per_px * 1024**2 * 0.75  # 900 px high
    text = "\n".join(summary.lines(many))
    assert "8 forwards per patch: scales 1.5, 0.5, angles flips, fused by mean_prob" in text
    assert "one forward per patch" in "\n".join(summary.lines(plain))


def test_large_scales_get_smaller_patches(tmp_path: Path) -> None:
    plain, large = plan_of(tmp_path, "demo", {}), plan_of(tmp_path, "demo", {}, scales=[4])
    needed = large.tta_card.forward_bytes_per_px * large.patches.patch_px**2
    assert large.patches.patch_px < plain.patches.patch_px
    assert needed <= 2 * 2**30


def test_every_mode_is_another_job(tmp_path: Path) -> None:
    tiling = {"patch_px": 1024, "overlap_px": 512}
    inferences: list[dict[str, Any]] = [{}, {"scales": [1, 0.5]}, {"angles": "d4"}]
    inferences += [{"angles": "d4", "fusion": "max_logits"}, {"angles": "flips"}]
    plans = [plan_of(tmp_path, "demo", tiling, **inference) for inference in inferences]
    for stage in ("mask", "predict"):
        assert len({plan.fingerprints[stage] for plan in plans}) == len(plans)
    assert len({plan.fingerprints["ingest"] for plan in plans}) == 1
    reordered = plan_of(tmp_path, "demo", tiling, scales=[0.5, 1])
    assert reordered.fingerprints == plans[1].fingerprints


def test_shares_are_added_in_the_order_of_the_cells(tmp_path: Path) -> None:
    cells = Grid(13, 11, 1)  # more than are read at once
    values = np.random.default_rng(0).standard_normal((len(cells), 3, 50)).astype("f4")
    for cell, value in zip(reversed(list(cells.tiles())), reversed(values), strict=True):
        pooled_sums.write(str(tmp_path), "print", cell, value)
    expected = np.zeros((3, 50))
    for value in values:
        expected += value
    found = pooled_sums.total(str(tmp_path), "print", cells)
    assert found.tobytes() == expected.astype("f4").tobytes()
    # Kept for the processes that come after.
    object_store.remove_tree(f"{tmp_path}/shares/print/0_0.npy.z")
    pooled_sums.total.cache_clear()
    assert pooled_sums.total(str(tmp_path), "print", cells).tobytes() == found.tobytes()


def test_a_damaged_share_is_named(tmp_path: Path) -> None:
    pooled_sums.write(str(tmp_path), "print", Tile(0, 0), np.ones((2, 50), "f4"))
    path = tmp_path / "shares" / "print" / "0_0.npy.z"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(WorkspaceError, match=r"0_0\.npy\.z: is damaged; start again with --fresh"):
        pooled_sums.total(str(tmp_path), "print", Grid(1, 1, 1))
