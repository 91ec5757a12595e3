"""What torch would compute on."""

import torch


def devices() -> list[str]:
    """Each CUDA device by name with its memory; empty where torch sees none."""
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [f"{each.name}, {each.total_memory / 2**30:.0f} GiB" for each in found]


def has_cuda_build() -> bool:
    """Whether this torch could use an NVIDIA GPU at all."""
    return torch.version.cuda is not None
