"""Open an ONNX file with onnxruntime, which is an optional dependency. Needs no torch."""

from importlib import import_module
from pathlib import Path
from typing import Any

from segtasks.errors import ModelError
from segtasks.networks.graphs.file_format import damaged

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_DETERMINISTIC = {"cudnn_conv_algo_search": "DEFAULT", "use_tf32": "0"}
_NO_FOLDER = "/dev/null/outside-the-file"
"""Where onnxruntime looks for external weights, so that it finds none."""
_FATAL = 4


def open_session(path: str | Path, *, cuda: bool) -> Any:  # noqa: ANN401 - an optional package
    """Return a deterministic inference session that uses one thread.

    Weights in external files are refused, since the hash in the card covers this file only.

    Raises:
        ModelError: onnxruntime is not installed, the file cannot be read, or it needs other files.
    """
    runtime = _onnxruntime(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    # The arena would keep twice the memory that the largest patch needs.
    options.enable_cpu_mem_arena = False
    options.log_severity_level = _FATAL
    folder = "session.model_external_initializers_file_folder_path"
    options.add_session_config_entry(folder, _NO_FOLDER)
    use_cuda = cuda and _CUDA in runtime.get_available_providers()
    providers = [(_CUDA, _DETERMINISTIC), _CPU] if use_cuda else [_CPU]
    try:
        return runtime.InferenceSession(Path(path).read_bytes(), options, providers=providers)
    except Exception as error:  # noqa: BLE001 onnxruntime's errors have no common base class
        raise _unreadable(path, error) from None


def on_cuda(session: Any) -> bool:  # noqa: ANN401 - see open_session
    """Whether the session computes on a GPU."""
    return _CUDA in session.get_providers()


def read_metadata(path: str | Path) -> tuple[dict[str, str], int | None]:
    """Return the metadata of a local file, and the number of bands it takes (None if not stated).

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
        return ModelError(f"{path}: its weights are stored in other files; save it as one file")
    return damaged(path, error)
