"""From traced outlines to simple rings, and rings with fewer corners that still fit together.

An arc is what lies between two junctions of an outline, or a whole ring without any. Two pieces
that share a border share its arcs. Each is simplified by itself, in one direction whoever asks
(Visvalingam and Whyatt 1993, doi:10.1179/000870493786962263: the corner that cuts off the least
area goes first), and a corner goes only if no vertex of another outline lies in the triangle it
cuts off. Then what an arc sweeps over holds no vertex of any other, and since it keeps some of its
own vertices and gets no new ones, two simplified arcs cannot cross, whatever happened to the
other. So the result follows from the mask alone: not from tiles, nor from the order of the work.
"""

from collections.abc import Callable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

Vertex = tuple[int, int]
"""(row, column) on the lattice of pixel corners."""
Ring = list[Vertex]
"""The last vertex is followed by the first."""
IsTurning = Callable[[int, int], bool]
"""Whether an outline of the mask has a vertex at (row, column)."""
CLOSED_CORNERS, OPEN_CORNERS = 3, 1
"""What an arc keeps between its ends, plus one for rings, so that no piece becomes a line."""


def simple_rings(ring: Ring, junctions: set[Vertex]) -> Iterator[Ring]:
    """The parts of an outline that touches itself at corners, none of which does."""
    path: Ring = []
    places: dict[Vertex, int] = {}
    for vertex in ring:
        if vertex in places:
            start = places[vertex]
            yield path[start:]
            for gone in path[start + 1 :]:
                places.pop(gone, None)
            del path[start + 1 :]
            continue
        if vertex in junctions:
            places[vertex] = len(path)
        path.append(vertex)
    yield path


def without_straight(ring: Ring) -> Ring:
    """The ring with its corners alone, no junctions on straight lines."""
    around = zip((ring[-1], *ring[:-1]), ring, (*ring[1:], ring[0]), strict=True)
    return [here for before, here, after in around if _twice_area(before, here, after)]


def simplified(ring: Ring, junctions: set[Vertex], area: float, is_turning: IsTurning) -> Ring:
    """A simple ring without the corners that cut off at most ``area`` (square pixels)."""
    found: Ring = []
    for arc in _arcs(ring, junctions):
        forward = _canonical(arc)
        kept = _simplified_arc(forward, 2 * area, is_turning)
        found += kept[:-1] if forward is arc else kept[:0:-1]
    return found


def from_least(ring: Ring) -> Ring:
    """The ring from its least vertex on, wherever it was begun."""
    start = ring.index(min(ring))
    return [*ring[start:], *ring[:start]]


def _arcs(ring: Ring, junctions: set[Vertex]) -> Iterator[Ring]:
    """Its arcs, each with both ends; a ring without junctions begins at its least vertex."""
    ends = [i for i, vertex in enumerate(ring) if vertex in junctions]
    turned = [*ring[ends[0] :], *ring[: ends[0]]] if ends else from_least(ring)
    cuts = [*(end - ends[0] for end in ends), len(ring)] if ends else [0, len(ring)]
    turned.append(turned[0])
    for start, stop in pairwise(cuts):
        yield turned[start : stop + 1]


def _canonical(arc: Ring) -> Ring:
    """The arc in the direction that both its sides agree on."""
    backward = arc[::-1]
    return min(arc, backward)


def _simplified_arc(arc: Ring, most: float, is_turning: IsTurning) -> Ring:
    """The arc without corners of at most ``most`` (twice the area), in the same direction."""
    count = len(arc)
    before, after = list(range(-1, count - 1)), list(range(1, count + 1))
    own = {vertex: i for i, vertex in enumerate(arc)}
    heap = [(_twice_area(arc[i - 1], arc[i], arc[i + 1]), i) for i in range(1, count - 1)]
    heap = [entry for entry in heap if entry[0] <= most]
    heapify(heap)
    spare = count - 2 - (CLOSED_CORNERS - 1 if arc[0] == arc[-1] else OPEN_CORNERS)
    gone = bytearray(count)
    while heap and spare > 0:
        size, i = heappop(heap)
        if gone[i]:
            continue
        corner = arc[before[i]], arc[i], arc[after[i]]
        if size != _twice_area(*corner):
            continue
        # A triangle of half a pixel holds no vertex but its own (Pick 1899).
        if size > 1 and _is_blocked(corner, own, gone, is_turning):
            continue
        gone[i], spare = 1, spare - 1
        after[before[i]], before[after[i]] = after[i], before[i]
        for near in (before[i], after[i]):
            if 0 < near < count - 1:
                size = _twice_area(arc[before[near]], arc[near], arc[after[near]])
                if size <= most:
                    heappush(heap, (size, near))
    return [vertex for vertex, is_gone in zip(arc, gone, strict=True) if not is_gone]


def _is_blocked(
    corner: tuple[Vertex, Vertex, Vertex],
    own: dict[Vertex, int],
    gone: bytearray,
    is_turning: IsTurning,
) -> bool:
    """Whether a vertex that stays, or another arc's, lies in the triangle or on its rim."""
    for vertex in _inside(corner):
        if vertex in corner:
            continue
        index = own.get(vertex)
        if not gone[index] if index is not None else is_turning(*vertex):
            return True
    return False


def _inside(corner: tuple[Vertex, Vertex, Vertex]) -> Iterator[Vertex]:
    """The lattice vertices in a triangle, its rim included."""
    rows = [row for row, _ in corner]
    sides = [sorted((corner[i], corner[(i + 1) % 3])) for i in range(3)]
    for row in range(min(rows), max(rows) + 1):
        lows, highs = zip(*_crossings(sides, row), strict=True)
        for col in range(min(lows), max(highs) + 1):
            yield row, col


def _crossings(sides: Sequence[Sequence[Vertex]], row: int) -> Iterator[tuple[int, int]]:
    """Where each side crosses a row: the column rounded up, and down."""
    for (row0, col0), (row1, col1) in sides:
        if row0 == row1 == row:
            yield min(col0, col1), max(col0, col1)
        elif row0 <= row <= row1 and row0 != row1:
            rise, run = (row - row0) * (col1 - col0), row1 - row0
            yield col0 - (-rise // run), col0 + rise // run


def _twice_area(one: Vertex, two: Vertex, three: Vertex) -> int:
    return abs((two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0]))
