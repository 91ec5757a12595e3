"""bfloat16 without units for it is slower than float32, of which the user gets a warning."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from segtasks.config.train_job import TrainJob
from segtasks.training.cpu import is_emulated
from segtasks.training.loop import train

Jobs = Callable[..., TrainJob]
X86 = {"architecture": "x86_64", "avx2": True, "avx512_f": True}
CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.parametrize(
    ("cpu", "emulated"),
    [
        (X86, True),
        (X86 | {"avx512_bf16": False, "amx_bf16": False}, True),
        (X86 | {"avx512_bf16": True}, False),
        (X86 | {"amx_bf16": True}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_only_x86_without_units_gives_a_warning(
    jobs: Jobs, cpu: dict[str, object], *, emulated: bool
) -> None:
    assert is_emulated(jobs(precision="bfloat16"), cpu) is emulated
    assert not is_emulated(jobs(precision="float32"), cpu)
    assert not is_emulated(jobs(precision="bfloat16", device="cuda"), cpu)


@pytest.mark.skipif(not CPUINFO.exists(), reason="the kernel's own list of units is Linux's")
def test_training_warns_where_the_kernel_lists_no_units(
    jobs: Jobs, caplog: pytest.LogCaptureFixture
) -> None:
    if torch.cpu.get_capabilities()["architecture"] != "x86_64":
        pytest.skip("not an x86")
    flags = set(CPUINFO.read_text().split())
    with caplog.at_level(logging.WARNING, "segtasks"):
        train(jobs(precision="bfloat16", iterations=1))
    told = "precision bfloat16: this CPU has no units for it" in caplog.text
    assert told is flags.isdisjoint({"avx512_bf16", "amx_bf16"})
