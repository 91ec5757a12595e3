"""Read .caffemodel files, with a minimal declaration of Caffe's NetParameter message.

    NetParameter.layer = 100   LayerParameter    name 1, blobs 7
                .layers = 2    V1LayerParameter  name 4, blobs 6      (before 2015)
    BlobProto    data 5, shape 7 (dim 1), or before that num, channels, height, width 1 ... 4

Blobs are named ``<layer>.<index>``: ``conv1_1.0`` is a kernel, ``conv1_1.1`` its bias.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from segtasks.errors import ModelError

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

_PACKAGE = "segtasks.caffe"
_OPTIONAL, _REPEATED = 1, 3
_INT32, _INT64, _STRING, _MESSAGE, _BYTES = 5, 3, 9, 11, 12
"""Label and type numbers of descriptor.proto."""
_FIELDS: dict[str, tuple[tuple[str, int, int, int, str], ...]] = {
    "BlobShape": (("dim", 1, _REPEATED, _INT64, ""),),
    "BlobProto": (
        ("num", 1, _OPTIONAL, _INT32, ""),
        ("channels", 2, _OPTIONAL, _INT32, ""),
        ("height", 3, _OPTIONAL, _INT32, ""),
        ("width", 4, _OPTIONAL, _INT32, ""),
        # Packed floats are bytes on the wire; declared as bytes they are copied in one piece.
        ("data", 5, _REPEATED, _BYTES, ""),
        ("shape", 7, _OPTIONAL, _MESSAGE, "BlobShape"),
    ),
    "LayerParameter": (
        ("name", 1, _OPTIONAL, _STRING, ""),
        ("blobs", 7, _REPEATED, _MESSAGE, "BlobProto"),
    ),
    "V1LayerParameter": (
        ("name", 4, _OPTIONAL, _STRING, ""),
        ("blobs", 6, _REPEATED, _MESSAGE, "BlobProto"),
    ),
    "NetParameter": (
        ("layers", 2, _REPEATED, _MESSAGE, "V1LayerParameter"),
        ("layer", 100, _REPEATED, _MESSAGE, "LayerParameter"),
    ),
}


def read_caffemodel(path: Path) -> dict[str, Tensor]:
    """Return all blobs of a .caffemodel by layer and index, float32.

    Raises:
        ModelError: protobuf is not installed, or the file is not a complete .caffemodel.
    """
    net, parse_error = _net_parameter(path)
    try:
        net.ParseFromString(path.read_bytes())
    except parse_error as error:
        raise ModelError(f"{path}: not a whole .caffemodel ({error}); copy it again") from None
    blobs = dict(_blobs(path, (*net.layers, *net.layer)))
    if not blobs:
        raise ModelError(f"{path}: no layer with weights in it; is it a .caffemodel?")
    return blobs


def _net_parameter(path: Path) -> tuple[Any, type[Exception]]:
    """Return an empty NetParameter, and the exception that parsing raises."""
    try:
        from google.protobuf.message import DecodeError  # noqa: PLC0415 - an extra, for Caffe only
    except ImportError:
        raise ModelError(
            f"{path}: reading .caffemodel needs protobuf; pip install 'segtasks[caffe]'"
        ) from None
    return _message_class()(), DecodeError


@cache
def _message_class() -> Any:  # noqa: ANN401 - made at run time
    """Return the message class of NetParameter."""
    from google.protobuf import descriptor_pool, message_factory  # noqa: PLC0415 - see above

    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(_schema().SerializeToString())
    found = pool.FindMessageTypeByName(f"{_PACKAGE}.NetParameter")
    return message_factory.GetMessageClass(found)


def _schema() -> "FileDescriptorProto":
    """Return the part of caffe.proto that is needed; the parser skips undeclared fields."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto  # noqa: PLC0415 - see above

    file = FileDescriptorProto(name="segtasks/caffe.proto", package=_PACKAGE, syntax="proto2")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field, number, label, kind, of in fields:
            declared = message.field.add(name=field, number=number, label=label, type=kind)
            if of:
                declared.type_name = f".{_PACKAGE}.{of}"
    return file


def _blobs(path: Path, layers: Iterable[Any]) -> Iterator[tuple[str, Tensor]]:
    """Yield every blob with its key."""
    for layer in layers:
        for index, blob in enumerate(layer.blobs):
            key = f"{layer.name}.{index}"
            numbers = b"".join(blob.data)
            shape = _shape(blob)
            if len(numbers) != 4 * int(np.prod(shape)):
                raise ModelError(
                    f"{path}: blob {key} of shape {shape} holds {len(numbers)} bytes, not "
                    f"{4 * int(np.prod(shape))} of packed float32; save it with a newer Caffe"
                )
            yield key, torch.from_numpy(np.frombuffer(numbers, "<f4").reshape(shape).copy())


def _shape(blob: Any) -> tuple[int, ...]:  # noqa: ANN401 - made at run time
    """Return the shape of a blob; old files have four axes, of which some may have length 1."""
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    return (blob.num, blob.channels, blob.height, blob.width)
