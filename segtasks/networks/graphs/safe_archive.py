"""Keep torch.export's reader from what it would do unasked: unpickle, evaluate, call by name.

An archive of torch.export is JSON and raw tensors, but its reader also opens pickles, hands sizes
to sympy, which evaluates them as Python, and looks up whatever function a node names. What is known
to be harmless is read, all else refused before torch sees it. Needs no torch.
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
        ModelError: it does, or it is damaged.
    """
    try:
        with ZipFile(path) as archive:
            names = archive.namelist()
            texts = [archive.read(name) for name in names if name.endswith(".json")]
        documents = [json.loads(text) for text in texts]
    except (BadZipFile, ValueError) as error:
        raise damaged(path, error) from None
    strange = [*_strange_files(names), *(each for doc in documents for each in _strange(doc))]
    if strange:
        raise ModelError(
            f"{path}: would run or unpickle {strange[0]!r:.80}; only tensors and torch's own "
            "operators are read: export it anew"
        )


def _strange_files(names: list[str]) -> Iterator[str]:
    """Objects, pickles of all weights, and names that stand twice: who knows which is read."""
    yield from (name for name in names if names.count(name) > 1)
    for path in map(PurePosixPath, names):
        is_pickle = path.suffix == ".pt" and path.parent.name != "sample_inputs"
        if is_pickle or path.name.lower().startswith(_OBJECTS):
            yield str(path)


def _strange(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Calls, sizes and pickles in a document that are not known to be harmless."""
    if isinstance(value, list):
        for each in value:
            yield from _strange(each)
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
        yield from _strange(each)


def _is_arithmetic(expression: str) -> bool:
    """Whether it is made of sizes, numbers and sympy's own functions alone."""
    words = _WORD.findall(expression)
    known = all(word in _SYMPY or _SYMBOL.fullmatch(word) for word in words)
    return known and _SIGNS.fullmatch(_WORD.sub("", expression)) is not None
