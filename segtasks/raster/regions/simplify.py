"""Split outlines into simple rings, and simplify rings so that neighbouring regions still fit.

An arc is the part of an outline between two junctions, or a whole ring without junctions. Two
regions that share a border share its arcs. Each arc is simplified on its own and always in the same
direction. The algorithm is that of Visvalingam and Whyatt (1993, doi:10.1179/000870493786962263):
the vertex whose triangle has the smallest area is removed first. Here a vertex is removed only if
no vertex of another outline lies in its triangle. The area that an arc sweeps over then holds no
vertex of any other arc, and since an arc keeps some of its own vertices and gets no new ones, two
simplified arcs cannot cross. The result therefore depends on the mask alone, not on the tiles or on
the order in which they are processed.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

Vertex = tuple[int, int]
"""(row, column) on the grid of pixel corners."""
Ring = list[Vertex]
"""The last vertex is followed by the first."""
IsVertex = Callable[[int, int], bool]
"""Whether an outline of the mask has a vertex at (row, column)."""
CLOSED_CORNERS, OPEN_CORNERS = 3, 1
"""Vertices that an arc keeps between its ends, so that no region degenerates to a line."""


def simple_rings(ring: Ring, junctions: set[Vertex]) -> Iterator[Ring]:
    """Split an outline that touches itself at corners into rings that do not."""
    path: Ring = []
    places: dict[Vertex, int] = {}
    for vertex in ring:
        if vertex in places:
            start = places[vertex]
            yield path[start:]
            for removed in path[start + 1 :]:
                places.pop(removed, None)
            del path[start + 1 :]
            continue
        if vertex in junctions:
            places[vertex] = len(path)
        path.append(vertex)
    yield path


def drop_collinear(ring: Ring) -> Ring:
    """Return the ring without vertices on straight lines (junctions may lie on one)."""
    around = zip((ring[-1], *ring[:-1]), ring, (*ring[1:], ring[0]), strict=True)
    return [here for before, here, after in around if _twice_area(before, here, after)]


def simplify_ring(ring: Ring, junctions: set[Vertex], area: float, is_vertex: IsVertex) -> Ring:
    """Simplify a simple ring.

    Args:
        ring: a ring that does not touch itself.
        junctions: the vertices at which three or more outlines meet; they are kept.
        area: a vertex is removed if its triangle has at most this area, in square pixels.
        is_vertex: whether an outline of the mask has a vertex at (row, column).
    """
    found: Ring = []
    for arc in _arcs(ring, junctions):
        # The direction on which the regions on both sides of the arc agree.
        forward = min(arc, arc[::-1])
        kept = _simplified_arc(forward, 2 * area, is_vertex)
        found += kept[:-1] if forward is arc else kept[:0:-1]
    return found


def start_at_least_vertex(ring: Ring) -> Ring:
    """Rotate the ring so that it starts at its smallest vertex."""
    start = ring.index(min(ring))
    return [*ring[start:], *ring[:start]]


def _arcs(ring: Ring, junctions: set[Vertex]) -> Iterator[Ring]:
    """Yield the arcs of a ring, each with both ends.

    A ring without junctions is one arc, which starts at its smallest vertex.
    """
    ends = [i for i, vertex in enumerate(ring) if vertex in junctions]
    rotated = [*ring[ends[0] :], *ring[: ends[0]]] if ends else start_at_least_vertex(ring)
    cuts = [*(end - ends[0] for end in ends), len(ring)] if ends else [0, len(ring)]
    rotated.append(rotated[0])
    for start, stop in pairwise(cuts):
        yield rotated[start : stop + 1]


def _simplified_arc(arc: Ring, most: float, is_vertex: IsVertex) -> Ring:
    """Remove vertices whose triangle has at most ``most`` / 2 square pixels, smallest first."""
    count = len(arc)
    before, after = list(range(-1, count - 1)), list(range(1, count + 1))
    own = {vertex: i for i, vertex in enumerate(arc)}
    heap = [(_twice_area(arc[i - 1], arc[i], arc[i + 1]), i) for i in range(1, count - 1)]
    heap = [entry for entry in heap if entry[0] <= most]
    heapify(heap)
    spare = count - 2 - (CLOSED_CORNERS - 1 if arc[0] == arc[-1] else OPEN_CORNERS)
    is_removed = bytearray(count)
    while heap and spare > 0:
        size, i = heappop(heap)
        if is_removed[i]:
            continue
        corner = arc[before[i]], arc[i], arc[after[i]]
        if size != _twice_area(*corner):
            continue
        # A triangle of half a pixel holds no vertex but its own (Pick 1899).
        if size > 1 and _is_blocked(corner, own, is_removed, is_vertex):
            continue
        is_removed[i], spare = 1, spare - 1
        after[before[i]], before[after[i]] = after[i], before[i]
        for near in (before[i], after[i]):
            if 0 < near < count - 1:
                size = _twice_area(arc[before[near]], arc[near], arc[after[near]])
                if size <= most:
                    heappush(heap, (size, near))
    return [vertex for vertex, removed in zip(arc, is_removed, strict=True) if not removed]


def _is_blocked(
    corner: tuple[Vertex, Vertex, Vertex],
    own: dict[Vertex, int],
    is_removed: bytearray,
    is_vertex: IsVertex,
) -> bool:
    """Return whether a kept vertex of this arc, or one of another, lies in or on the triangle."""
    for vertex in _inside(corner):
        if vertex in corner:
            continue
        index = own.get(vertex)
        if not is_removed[index] if index is not None else is_vertex(*vertex):
            return True
    return False


def _inside(corner: tuple[Vertex, Vertex, Vertex]) -> Iterator[Vertex]:
    """Yield the pixel corners in a triangle, its sides included."""
    rows = [row for row, _ in corner]
    sides = [sorted((corner[i], corner[(i + 1) % 3])) for i in range(3)]
    for row in range(min(rows), max(rows) + 1):
        lows, highs = zip(*_crossings(sides, row), strict=True)
        for col in range(min(lows), max(highs) + 1):
            yield row, col


def _crossings(sides: Sequence[Sequence[Vertex]], row: int) -> Iterator[tuple[int, int]]:
    """Yield the column at which each side crosses a row, rounded up and down."""
    for (row0, col0), (row1, col1) in sides:
        if row0 == row1 == row:
            yield min(col0, col1), max(col0, col1)
        elif row0 <= row <= row1 and row0 != row1:
            rise, run = (row - row0) * (col1 - col0), row1 - row0
            yield col0 - (-rise // run), col0 + rise // run


def _twice_area(one: Vertex, two: Vertex, three: Vertex) -> int:
    return abs((two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0]))
