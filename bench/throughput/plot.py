"""The bar plot: photos a second and CPU a photo, contestant beside contestant."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import io
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.throughput.report import number
from bench.throughput.scene import Scene

_DPI: Final = 110
_COLOURS: Final = ("#1f77b4", "#ff7f0e", "#2ca02c", "#7f7f7f")
_BARS_WIDTH: Final = 0.8


def bars(scenes: Sequence[Scene]) -> bytes:
    """A PNG; logarithmic, because photos and contestants are orders of magnitude apart."""
    names = list(dict.fromkeys(name for scene in scenes for name in scene.runs))
    figure = Figure(figsize=(max(7.0, 1.8 * len(scenes) + 3), 7), layout="constrained")
    pace, cpu = figure.subplots(2, 1, sharex=True)
    for place, name in enumerate(names):
        _bars(pace, scenes, names, place, [_rate(scene, name) for scene in scenes])
        _bars(cpu, scenes, names, place, [_cpu(scene, name) for scene in scenes])
    for place, scene in enumerate(scenes):
        if limit := scene.limit_photos_per_s:
            ends = (place - _BARS_WIDTH / 2, place + _BARS_WIDTH / 2)
            label = "the limit" if place == 0 else None
            pace.plot(ends, (limit, limit), color="black", linestyle="--", label=label)
    pace.set(ylabel="photos a second", yscale="log")
    pace.legend(fontsize=8, ncols=len(names) + 1, loc="lower center", bbox_to_anchor=(0.5, 1))
    cpu.set(ylabel="CPU seconds for 1,000 photos", yscale="log")
    cpu.set_xticks(range(len(scenes)), [scene.name for scene in scenes], fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()


def _bars(
    axes: Axes,
    scenes: Sequence[Scene],
    names: Sequence[str],
    place: int,
    values: Sequence[float | None],
) -> None:
    width = _BARS_WIDTH / len(names)
    shown = [(x, value) for x, value in enumerate(values) if value]
    offset = (place - (len(names) - 1) / 2) * width
    drawn = axes.bar(
        [x + offset for x, _ in shown],
        [value for _, value in shown],
        width,
        color=_COLOURS[place % len(_COLOURS)],
        label=names[place],
    )
    axes.bar_label(drawn, [number(value) for _, value in shown], fontsize=7)
    axes.set_xlim(-0.6, len(scenes) - 0.4)


def _rate(scene: Scene, name: str) -> float | None:
    return scene.median(name, lambda run: run.photos_per_s) if name in scene.runs else None


def _cpu(scene: Scene, name: str) -> float | None:
    return scene.median(name, lambda run: run.cpu_s_per_1000) if name in scene.runs else None
