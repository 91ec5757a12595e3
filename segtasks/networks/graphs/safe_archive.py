"""Refuse torch.export archives that would make torch run code when they are read.

An archive of torch.export holds JSON and raw tensors, but the reader of torch also opens pickles,
passes sizes to sympy, which evaluates them as Python, and looks up any function that a node names.
Only content that is known to be harmless is allowed; everything else is refused before torch opens
the archive. Needs no torch.
"""

import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

from segtasks.errors import ModelError
from segtasks.networks.graphs.file_format import damaged

_CALLS = re.compile(
    r"torch\.ops\.(aten|prims|higher_order)\.\w+(\.\w+)?"
    r"|torch\.(sym_\w+|_check\w*)"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|eq|ne|lt|le|gt|ge|and_|or_|not_"
    r"|getitem)"
    r"|math\.(ceil|floor|trunc)"
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_SYMBOL = re.compile(r"[su]\d+")
_SYMPY = frozenset(
    _WORD.findall("""
    Symbol Integer Rational Float Add Mul Pow Mod Abs Max Min And Or Not Eq Ne Lt Le Gt Ge
    Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan Piecewise
    ExprCondPair floor ceiling oo int_oo IntInfinity NegativeIntInfinity True False true false
    BooleanTrue BooleanFalse positive negative nonnegative nonzero zero integer real evaluate
    FloorDiv ModularIndexing Where PythonMod CleanDiv CeilToInt FloorToInt CeilDiv IntTrueDiv
    FloatTrueDiv LShift RShift TruncToFloat TruncToInt RoundToInt RoundDecimal ToFloat FloatPow
    PowByNatural Identity IsNonOverlappingAndDenseIndicator
    """)
)
_SIGNS = re.compile(r"[\s\d+\-*/%(),.=<>!&|~'^]*")
_OBJECTS = ("custom_obj", "opaque_obj")


def require_plain(path: str) -> None:
    """Refuse an archive that holds more than tensors and a graph of torch's own operators.

    Raises:
        ModelError: the archive holds more than that, or it is damaged.
    """
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
            texts = [archive.read(name) for name in names if name.endswith(".json")]
        documents = [json.loads(text) for text in texts]
    except (BadZipFile, ValueError) as error:
        raise damaged(path, error) from None
    refused = [*_unsafe_files(names), *(each for doc in documents for each in _unsafe(doc))]
    if refused:
        raise ModelError(
            f"{path}: would run or unpickle {refused[0]!r:.80}; only tensors and torch's own "
            "operators are read; export it again"
        )


def _unsafe_files(names: list[str]) -> Iterator[str]:
    """Yield the names of custom objects and pickles, and duplicate names, which are ambiguous."""
    yield from (name for name in names if names.count(name) > 1)
    for path in map(PurePosixPath, names):
        is_pickle = path.suffix == ".pt" and path.parent.name != "sample_inputs"
        if is_pickle or path.name.lower().startswith(_OBJECTS):
            yield str(path)


def _unsafe(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Yield the calls, sizes and pickles in a document that are not known to be harmless."""
    if isinstance(value, list):
        for each in value:
            yield from _unsafe(each)
    if not isinstance(value, dict):
        return
    if value.get("use_pickle"):
        yield str(value.get("path_name"))
    call, size = value.get("target"), value.get("expr_str")
    if isinstance(call, str) and not _CALLS.fullmatch(call):
        yield call
    if isinstance(size, str) and not _is_arithmetic(size):
        yield size
    for each in value.values():
        yield from _unsafe(each)


def _is_arithmetic(expression: str) -> bool:
    """Whether the expression consists of sizes, numbers and sympy's own functions only."""
    words = _WORD.findall(expression)
    known = all(word in _SYMPY or _SYMBOL.fullmatch(word) for word in words)
    return known and _SIGNS.fullmatch(_WORD.sub("", expression)) is not None
