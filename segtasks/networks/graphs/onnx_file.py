"""Open an ONNX file by onnxruntime, an extra of this package. Needs no torch."""

from importlib import import_module
from pathlib import Path
from typing import Any

from segtasks.errors import ModelError
from segtasks.networks.graphs.file_format import damaged

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_REPEATABLE = {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}
_NOWHERE = "/dev/null/outside-the-file"
_FATAL = 4


def open_session(path: str | Path, *, cuda: bool) -> Any:  # noqa: ANN401 - an optional package
    """A session of one thread whose answers repeat themselves.

    The file's bytes are all there is: weights in files beside it would be in no hash, and are
    refused.

    Raises:
        ModelError: onnxruntime is missing, or the file cannot be read or needs others.
    """
    runtime = _onnxruntime(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # It would keep twice what the largest patch needs.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _FATAL
    folder = "session.model_external_initializers_file_folder_path"
    options.add_session_config_entry(folder, _NOWHERE)
    use_cuda = cuda and _CUDA in runtime.get_available_providers()
    providers = [(_CUDA, _REPEATABLE), _CPU] if use_cuda else [_CPU]
    try:
        return runtime.InferenceSession(Path(path).read_bytes(), options, providers=providers)
    except Exception as error:  # noqa: BLE001 onnxruntime's have no base class of their own
        raise _unreadable(path, error) from None


def on_cuda(session: Any) -> bool:  # noqa: ANN401 - see open_session
    """Whether it computes on a GPU."""
    return _CUDA in session.get_providers()


def read_metadata(path: str | Path) -> tuple[dict[str, str], int | None]:
    """The metadata of a local file, and how many bands it takes if it says so.

    Raises:
        ModelError: see `open_session`.
    """
    session = open_session(path, cuda=False)
    shape = session.get_inputs()[0].shape
    bands = shape[1] if len(shape) > 1 and isinstance(shape[1], int) else None
    return dict(session.get_modelmeta().custom_metadata_map), bands


def _onnxruntime(path: str | Path) -> Any:  # noqa: ANN401 - see open_session
    try:
        return import_module("onnxruntime")
    except ImportError:
        raise ModelError(
            f"{path}: ONNX files need onnxruntime; pip install segtasks[onnx]"
        ) from None


def _unreadable(path: str | Path, error: Exception) -> ModelError:
    if "External data" in str(error):
        return ModelError(f"{path}: its weights lie in other files; save it as one file")
    return damaged(path, error)
