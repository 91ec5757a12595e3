"""Docstrings keep their diagrams, and the texts of the package keep to plain English."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import segtasks
from tests.helpers.paths import ROOT

PACKAGE = Path(segtasks.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
AVOIDED = re.compile(
    r"\b(?:whatever|mend|mended|learnt|anew|of ours|shall|for want of|spelt|told|begun|hence)\b",
    re.IGNORECASE,
)
FLAT_DIAGRAM = re.compile(
    r"^(?!\s).*(?:[\u2500-\u257f\u25b6]|-->|\+--|--\+|\|<-).*|^\| +[+|].*", re.MULTILINE
)
"""A line with parts of a drawing that is not indented."""


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(PACKAGE)) for path in paths]


def docstrings(source: str) -> Iterator[str]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, kinds):
            yield ast.get_docstring(node) or ""


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of every comment and string literal, docstrings included."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in {tokenize.COMMENT, tokenize.STRING}:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_diagrams_are_indented(path: Path) -> None:
    """The docstring formatter strips indentation that is common to all lines after the first.

    A diagram therefore keeps its indentation only if the docstring also has a line of prose.
    """
    flat = [
        line for text in docstrings(path.read_text("utf-8")) for line in FLAT_DIAGRAM.findall(text)
    ]
    assert flat == []


@pytest.mark.parametrize("path", MODULES, ids=names(MODULES))
def test_words_that_are_avoided(path: Path) -> None:
    found = [
        f"{line}: {match[0]}"
        for line, text in texts(path.read_text("utf-8"))
        for match in AVOIDED.finditer(text)
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_words_that_pages_avoid(page: Path) -> None:
    # In italics are labels of pictures.
    assert AVOIDED.findall(re.sub(r"\*[^*]+\*", "", page.read_text("utf-8"))) == []
