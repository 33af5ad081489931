"""What a benchmark found: shown as tables, and written as JSON with what it was measured on."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.sections import Section
from bench.throughput.contest import cores


def machine() -> dict[str, Any]:
    """Where, and beside what: taken before measuring, the load is that of others."""
    return {
        "cores": cores(),
        "machine": platform.processor() or platform.machine(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def tell(
    console: Console, sections: Sequence[Section], found: Mapping[str, Any], out: Path
) -> None:
    """Shows the tables and writes the JSON."""
    for section in sections:
        section.show(console)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"\nAll of it is in {out}.", markup=False, highlight=False)
