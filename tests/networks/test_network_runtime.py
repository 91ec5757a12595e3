"""Test the runtime: the output of the plain network for every batch size, in a separate thread."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segtasks.config.inference import Precision
from segtasks.errors import ModelError, ResourceError
from segtasks.networks import build
from segtasks.networks.architectures.layers import in_strips
from segtasks.networks.inference.runtime import (
    Patches,
    Runtime,
    forward_patches,
    forward_probabilities,
    prepare,
)


def narrow_network(name: str = "largefov") -> nn.Module:
    torch.manual_seed(0)
    return build(name, classes=2, width=1 / 64, batch_norm=True).eval()


def patches(count: int) -> Patches:
    return np.random.default_rng(0).standard_normal((count, 3, 48, 64)).astype(np.float32)


def test_logits_are_those_of_the_plain_narrow_network() -> None:
    with torch.inference_mode():
        expected = narrow_network()(torch.from_numpy(patches(2))).numpy()
    found = forward_patches(prepare(narrow_network()), patches(2))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_each_patch_gets_the_same_bytes_in_every_company() -> None:
    runtime = prepare(narrow_network(), batch=4)
    together = forward_patches(runtime, patches(5))
    alone = [forward_patches(runtime, patch[None])[0] for patch in patches(5)]
    assert together.tobytes() == np.stack(alone).tobytes()


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    runtime = prepare(narrow_network())
    logits = torch.from_numpy(forward_patches(runtime, patches(1)))
    found = forward_probabilities(runtime, patches(1))
    np.testing.assert_allclose(found, logits.softmax(dim=1).numpy(), rtol=1e-6)


def test_preparing_leaves_the_network_alone() -> None:
    module = narrow_network().train()
    keys = list(module.state_dict())
    prepare(module)
    assert module.training
    assert list(module.state_dict()) == keys


def test_bfloat16_is_near_and_comes_back_as_float32() -> None:
    exact = forward_patches(prepare(narrow_network()), patches(1))
    near = forward_patches(prepare(narrow_network(), precision="bfloat16"), patches(1))
    assert near.dtype == np.float32
    assert 0 < np.abs(near - exact).max() < 0.1 * np.abs(exact).max()


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ModelError, match="precision 'int8' is unknown; choose one of float32"):
        prepare(narrow_network(), precision="int8")  # type: ignore[arg-type]  # the point of the test


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_refused() -> None:
    with pytest.raises(ModelError, match="device 'cuda' is not available"):
        prepare(narrow_network(), device="cuda")


class Hungry(nn.Module):
    """Runs out of memory for more than ``room`` patches at once."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.room:
            raise torch.cuda.OutOfMemoryError
        self.seen.append(len(x))
        return x


class AwayFromCpu(Runtime):
    """Batches as on a GPU, computes here."""

    def __call__(self, batch: Tensor) -> Tensor:
        return torch.as_tensor(self.module(batch))


def hungry(room: int) -> tuple[Hungry, Runtime]:
    module = Hungry(room)
    return module, AwayFromCpu(module, torch.device("cuda"), "float32", 8)


def test_a_batch_too_large_is_halved_and_the_half_remembered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module, runtime = hungry(3)
    found = forward_patches(runtime, patches(9))
    assert module.seen == [2, 2, 2, 2, 1]
    assert runtime.batch == 2
    assert "out of memory; continuing with 2 patches at a time" in caplog.text
    np.testing.assert_array_equal(found, patches(9))


def test_a_patch_too_large_is_refused_with_the_mend() -> None:
    with pytest.raises(ResourceError, match="one patch of 48 x 64 px does not fit cuda; halve"):
        forward_patches(hungry(0)[1], patches(2))


class CudnnState(nn.Module):
    """Notes under which cuDNN settings it was run."""

    def forward(self, x: Tensor) -> Tensor:
        cudnn = torch.backends.cudnn
        self.found = (cudnn.enabled, cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32)
        return x


@pytest.mark.parametrize(("precision", "tf32"), [("float32", False), ("tf32", True)])
def test_cudnn_repeats_itself_and_uses_tf32_only_where_asked(
    precision: Precision,
    tf32: bool,  # noqa: FBT001 a row of the table
) -> None:
    runtime = Runtime(CudnnState(), torch.device("cpu"), precision, 1)
    forward_patches(runtime, patches(1))
    assert runtime.module.found == (True, True, False, tf32)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_logits_of_the_cpu() -> None:
    exact = forward_patches(prepare(narrow_network()), patches(5))
    found = forward_patches(prepare(narrow_network(), device="cuda", batch=2), patches(5))
    np.testing.assert_allclose(found, exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("height", [513, 640, 769, 1023])
@pytest.mark.parametrize(
    "name", ["fcn8s", "fcn8s_lean", "largefov", "deeplab_v1", "msc_largefov", "dilation_frontend"]
)
def test_strips_change_nothing(name: str, height: int) -> None:
    torch.manual_seed(0)
    network = build(name, classes=2, width=1 / 32).double().eval()
    x = torch.randn(1, 3, height, 40, dtype=torch.float64)
    with torch.enable_grad():
        whole = network(x)
    with torch.inference_mode():
        strips = network(x)
    assert (strips - whole).abs().max() <= 1e-12 * whole.abs().max()


def test_strips_need_the_halo_they_have() -> None:
    conv = nn.Conv2d(1, 1, 3, padding=1)
    x = torch.randn(1, 1, 700, 8)
    with torch.no_grad():
        short = in_strips(lambda y: conv(conv(conv(y))), x, stride=1, halo=2)
        enough = in_strips(lambda y: conv(conv(conv(y))), x, stride=1, halo=3)
        whole = conv(conv(conv(x)))
    assert not torch.allclose(short, whole)
    assert torch.allclose(enough, whole, atol=1e-6)
