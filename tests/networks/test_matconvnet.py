"""Test RefineNet from MATLAB: axes, moments, names, and the .mat file."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from segtasks.errors import ModelError
from segtasks.networks import convert
from segtasks.networks.importers.matconvnet import read_matfile
from tests.helpers import foreign

WIDTH = 1 / 16
EPSILON = 1e-5
Weights = dict[str, Tensor]
LEAVES = {"weight": "mult", "bias": "bias"}


def matlab(state: Weights) -> Weights:
    """Convert DrSleep's RefineNet-101 to MatConvNet: H, W, in, out; means and deviations."""
    params: Weights = {}
    for key, value in state.items():
        home, leaf = matlab_name(key).rsplit(".", 1)
        if leaf == "running_var":
            continue
        if leaf == "running_mean":
            var = state[key.replace("running_mean", "running_var")]
            params[f"{home}_moments"] = torch.stack([value, (var + EPSILON).sqrt()], dim=1)
        elif value.dim() == 4:
            params[f"{home}_filter"] = value.permute(2, 3, 1, 0)
        else:
            params[f"{home}_{LEAVES[leaf]}"] = value[None]
    return params


def matlab_name(key: str) -> str:
    """Names as the released MATLAB program makes them."""
    if key.startswith(("conv1", "bn1", "layer")):
        return re.sub(r"^scale", "bn", foreign.caffe_resnet(key))
    return re.sub(r"_(b|pool)\.0\.(\d)_", r"_\1\2_", key)


def improved_name(name: str) -> str:
    """Name a convolution before a pool after its input."""
    found = re.fullmatch(r"(mflow_conv_g\d)_pool(\d)_outvar_dimred_filter", name)
    if not found:
        return name
    index = int(found[2])
    before = "poolprev_relu_varout" if index == 1 else f"pool{index - 1}_outvar"
    return f"{found[1]}_{before}_pb{index}_filter"


def test_refinenet_is_the_one_of_drsleep() -> None:
    state = foreign.random_state(foreign.drsleep(101, 5, WIDTH))
    one = convert(matlab(state), layout="matconvnet", network="refinenet101", width=WIDTH)
    other = convert(state, layout="drsleep", network="refinenet101", width=WIDTH)
    assert foreign.same(one, other, rtol=1e-6)


def test_the_improved_blocks_go_by_other_names() -> None:
    state = foreign.random_state(foreign.drsleep(101, 5, WIDTH))
    params = {improved_name(name): value for name, value in matlab(state).items()}
    options = {"network": "refinenet101", "layout": "matconvnet_improved"}
    one = convert(params, width=WIDTH, **options)
    other = convert(state, layout="drsleep", network="refinenet101", width=WIDTH)
    assert foreign.same(one, other, rtol=1e-6)
    with pytest.raises(ModelError, match=r"key 'mflow_conv_g1_pool1_outvar_dimred\.weight' and"):
        convert(params, layout="matconvnet", network="refinenet101", width=WIDTH)


def test_a_kernel_for_one_class_has_lost_its_last_axis() -> None:
    state = foreign.random_state(foreign.drsleep(101, 1, WIDTH))
    params = matlab(state)
    params["clf_conv_filter"] = params["clf_conv_filter"][..., 0]
    one = convert(params, layout="matconvnet", network="refinenet101", width=WIDTH)
    assert torch.equal(one["classifier.weight"], state["clf_conv.weight"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    scipy_io = pytest.importorskip("scipy.io")
    params = np.array(
        [
            ("conv1_filter", np.arange(24.0).reshape(2, 2, 3, 2)),
            ("conv1_bias", np.array([[1.0, 2.0]])),
        ],
        dtype=[("name", object), ("value", object)],
    )
    scipy_io.savemat(tmp_path / "net.mat", {"params": params})
    scipy_io.savemat(tmp_path / "nested.mat", {"net": {"params": params}})
    scipy_io.savemat(tmp_path / "other.mat", {"weights": np.ones(3)})
    return tmp_path


@pytest.mark.parametrize("name", ["net.mat", "nested.mat"])
def test_params_are_read(path: Path, name: str) -> None:
    found = read_matfile(path / name)
    assert list(found) == ["conv1_filter", "conv1_bias"]
    assert found["conv1_filter"].shape == (2, 2, 3, 2)
    assert found["conv1_filter"][1, 0, 2, 1] == 17
    assert found["conv1_bias"].tolist() == [[1.0, 2.0]]


def test_a_file_without_params_is_refused(path: Path) -> None:
    with pytest.raises(ModelError, match="has no params; save a DagNN's params"):
        read_matfile(path / "other.mat")


def test_a_file_truncated_anywhere_is_refused(path: Path) -> None:
    whole = (path / "net.mat").read_bytes()
    for size in range(len(whole)):
        (path / "net.mat").write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"not a whole \.mat file"):
            read_matfile(path / "net.mat")


def test_matlab_7_3_is_refused_with_the_way_out(path: Path) -> None:
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512)
    (path / "net.mat").write_bytes(header)
    with pytest.raises(ModelError, match=r"save\(file, 'params', '-v7'\)"):
        read_matfile(path / "net.mat")
