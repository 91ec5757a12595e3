"""Test reading weights files, and that no code in them is run."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from segtasks.errors import ModelError
from segtasks.networks.importers.read_weights import read_weights

STATE = {"conv.weight": torch.arange(6.0).reshape(2, 3, 1, 1), "conv.bias": torch.ones(2)}


class Code:
    """Unpickling this runs a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo this must not be run",)


def write_npz(path: Path) -> None:
    np.savez(path, allow_pickle=False, **{key: value.numpy() for key, value in STATE.items()})


def is_state(found: Any) -> bool:  # noqa: ANN401 what a reader gave
    return list(found) == list(STATE) and all(torch.equal(found[key], STATE[key]) for key in STATE)


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "model_best.pth.tar"])
@pytest.mark.parametrize("is_zip", [True, False])
def test_torch_files_are_read(tmp_path: Path, name: str, *, is_zip: bool) -> None:
    torch.save(STATE, tmp_path / name, _use_new_zipfile_serialization=is_zip)
    assert is_state(read_weights(tmp_path / name))


def test_safetensors_and_npz_are_read(tmp_path: Path) -> None:
    save_file(STATE, tmp_path / "a.safetensors")
    write_npz(tmp_path / "a.npz")
    assert sorted(read_weights(tmp_path / "a.safetensors")) == sorted(STATE)
    assert is_state(read_weights(tmp_path / "a.npz"))


def test_what_trainers_keep_beside_the_weights_does_no_harm(tmp_path: Path) -> None:
    kept = {"epoch": 3, "best": np.float64(0.7), "arch": "FCN8s", "state_dict": STATE}
    torch.save(kept, tmp_path / "a.pth")
    assert is_state(read_weights(tmp_path / "a.pth")["state_dict"])


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("is_zip", [True, False])
def test_a_pickle_that_wants_code_is_refused_and_not_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], *, is_zip: bool
) -> None:
    torch.save({"a": Code()}, tmp_path / "a.pth", _use_new_zipfile_serialization=is_zip)
    assert f"would run code ({os.system.__module__}.system" in refusal(tmp_path / "a.pth")
    assert capfd.readouterr().out == ""


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(1, 1, 1), tmp_path / "a.pth")
    assert "would run code (torch.nn.modules.conv.Conv2d), but only" in refusal(tmp_path / "a.pth")


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_torchscript_is_refused(tmp_path: Path) -> None:
    torch.jit.script(nn.Conv2d(1, 1, 1)).save(str(tmp_path / "a.pt"))  # type: ignore[no-untyped-call]
    assert "not a whole .pt file (Cannot use" in refusal(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.npz"])
@pytest.mark.parametrize("keep", [0, 1, 40, -30])
def test_truncated_files_are_refused(tmp_path: Path, name: str, keep: int) -> None:
    path = tmp_path / name
    if name == "a.pth":
        torch.save(STATE, path)
    elif name == "a.npz":
        write_npz(path)
    else:
        save_file(STATE, path)
    path.write_bytes(path.read_bytes()[:keep])
    assert f"{path}: not a whole {path.suffix} file (" in refusal(path)


def test_an_npz_of_objects_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weights=np.array([Code()], dtype=object))
    assert "not a whole .npz file (Object arrays cannot be loaded" in refusal(tmp_path / "a.npz")


def test_a_list_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "a.pth")
    assert "holds a list, not a state dict; save module.state_dict()" in refusal(tmp_path / "a.pth")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "a.pth: no such weights file" in refusal(tmp_path / "a.pth")


def test_another_kind_of_file_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"")
    assert "weights files end in .pth, .pt, .tar, .safetensors" in refusal(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("a.caffemodel", "google.protobuf.message", "caffe"), ("a.mat", "scipy.io", "matconvnet")],
)
def test_a_missing_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / name).write_bytes(b"")
    assert f"pip install 'segtasks[{extra}]'" in refusal(tmp_path / name)
