# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false
"""Pictures of tag similarity: the matrix (the paper's Image 9) and a map of the tags (t-SNE)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn.manifold import TSNE

#: A map of fewer tags says nothing.
MAPPED_FROM: Final = 10
#: Exact up to here: of few tags faster than the approximation, and on one thread.
_EXACT_TO: Final = 500
#: Main categories have a colour of their own, the rarer ones share grey.
_COLOURS: Final = ("C0", "C1", "C2", "C3", "C4", "C5", "C6", "C8", "C9")
_DPI: Final = 120
#: A label's size in pixels at 7 points and 120 dpi: near enough to keep labels apart.
_LETTER, _LINE = 6.2, 13.0


def plot_matrix(
    path: Path, names: Sequence[str], matrix: NDArray[np.float32], title: str
) -> list[str]:
    """Writes a heat map as PNG, similar tags side by side.

    Args:
        path: the file.
        names: of rows and columns.
        matrix: float32 `[names, names]`, symmetric, in 0..1; at least one name.
        title: stands above.

    Returns:
        The names in the order drawn.
    """
    order = _side_by_side(matrix)
    side = max(4.0, 0.16 * len(names) + 2.5)
    figure = Figure(figsize=(side, 0.85 * side), layout="constrained", dpi=_DPI)
    axes = figure.add_subplot()
    image = axes.imshow(matrix[np.ix_(order, order)], vmin=0, vmax=1, cmap="viridis")
    drawn = [names[int(row)] for row in order]
    axes.set_xticks(range(len(drawn)), drawn, rotation=90, fontsize=7, parse_math=False)
    axes.set_yticks(range(len(drawn)), drawn, fontsize=7, parse_math=False)
    axes.set_title(title, fontsize=10, parse_math=False)
    figure.colorbar(image, ax=axes, shrink=0.6)
    _save(figure, path)
    return drawn


def tag_map(matrix: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Places tags on a plane by t-SNE, similar ones close together.

    Args:
        matrix: similarities, float32 `[tags, tags]`, symmetric, in 0..1, of `MAPPED_FROM` tags on.
        seed: another seed turns the map and moves its clusters.

    Returns:
        float64 `[tags, 2]`.
    """
    placed = TSNE(
        metric="precomputed",
        init="random",
        perplexity=min(15.0, (len(matrix) - 1) / 3),
        # A 48th of the points, as scikit-learn has it, whose least of 50 throws few points apart.
        learning_rate=max(10.0, len(matrix) / 48),
        method="exact" if len(matrix) <= _EXACT_TO else "barnes_hut",
        random_state=seed,
    ).fit_transform(_distances(matrix))
    return np.asarray(placed, np.float64)


def plot_map(
    path: Path,
    names: Sequence[str],
    places: NDArray[np.float64],
    categories: Mapping[str, str],
) -> None:
    """Writes a map of named points as PNG, coloured by main category.

    Args:
        path: the file.
        names: of the points.
        places: `[names, 2]`.
        categories: the main category of a name, where it has one.
    """
    figure = Figure(figsize=(13, 9), dpi=_DPI)
    # A fixed place, because labels are kept apart in pixels, which a layout would move.
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    of_point = np.array([categories.get(name, "") for name in names])
    kinds, counts = np.unique(of_point, return_counts=True)
    by_count = [str(kind) for kind in kinds[np.argsort(-counts, kind="stable")] if kind]
    common = by_count[: len(_COLOURS)]
    for colour, kind in zip(_COLOURS, common, strict=False):
        axes.scatter(*places[of_point == kind].T, color=colour, s=22, label=kind)
    others = ~np.isin(of_point, common)
    if others.any():
        axes.scatter(*places[others].T, color="0.6", s=22, label="other")
    axes.margins(x=0.12)
    _label(axes, names, places)
    axes.set_xticks([])
    axes.set_yticks([])
    legend = axes.legend(title="mostly filed under", fontsize=8, loc="best")
    for text in legend.get_texts():
        text.set_parse_math(False)
    _save(figure, path)


def _label(axes: Axes, names: Sequence[str], places: NDArray[np.float64]) -> None:
    """Writes each name beside its point, or as little below as keeps it off the others."""
    taken: list[tuple[float, float, float]] = []
    pixels = axes.transData.transform(places)
    for name, place, (x, y) in zip(names, places, pixels, strict=True):
        width, down = _LETTER * len(name), 0.0
        while any(
            abs(y - down - line) < _LINE and x < end and start < x + width
            for start, end, line in taken
        ):
            down += _LINE / 2
        taken.append((x, x + width, y - down))
        axes.annotate(
            name,
            place,
            xytext=(5, 2 - down),
            textcoords="offset pixels",
            fontsize=7,
            parse_math=False,
        )


def _side_by_side(matrix: NDArray[np.float32]) -> NDArray[np.int32]:
    if len(matrix) < 3:
        return np.arange(len(matrix), dtype=np.int32)
    tree = linkage(squareform(_distances(matrix), checks=False), "average", optimal_ordering=True)
    return np.asarray(leaves_list(tree), np.int32)


def _distances(matrix: NDArray[np.float32]) -> NDArray[np.float64]:
    distances = 1 - matrix.astype(np.float64)
    # A tag that too few products carry is like nothing, but still no way from itself.
    np.fill_diagonal(distances, 0)
    return distances


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure).print_png(str(path))
