"""A fuzzing campaign: each target in a child process, for its share of the time.

`python -m tests.fuzz.campaign [--seconds 60] [TARGET ...]`; what crashed one is kept in
tests/fuzz/crashers/TARGET/, where tests/fuzz/test_crashers.py finds it. Exit code 1 says so.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from tests.fuzz.replay import servers
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CRASHERS = Path(__file__).parent / "crashers"
_ROOT = Path(__file__).resolve().parents[2]
_LAST_LINES = 40
#: For each input: a decoder that takes longer or more has found something.
_TIMEOUT_S = 40
_MEMORY_MB = 2048
_MOST_BYTES = 1 << 16
_GRACE_S = 60


def main(arguments: list[str]) -> int:
    """Fuzzes; 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    options = parser.parse_args(arguments)
    chosen: list[str] = options.targets or [*TARGETS]
    if unknown := sorted({*chosen} - {*TARGETS}):
        parser.error(f"no target is called {', '.join(unknown)}; there are {', '.join(TARGETS)}")
    if find_spec("atheris") is None:
        _say("fuzz: skipped, atheris has no wheel for this machine (Linux on x86-64 has one)")
        return 0
    seconds = max(1, options.seconds // len(chosen))
    stood = [_fuzz(target, seconds) for target in chosen]
    return 0 if all(stood) else 1


def _fuzz(target: str, seconds: int) -> bool:
    """Fuzzes one target; whether it stood."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, servers(target) as environment:
        folder = Path(name)
        corpus, found = folder / "corpus", folder / "found"
        for made in (corpus, found):
            made.mkdir()
        for number, seed in enumerate(seeds(target, folder / "rendered")):
            (corpus / f"{number:03}").write_bytes(seed)
        options = [str(corpus), *_options(seconds, found)]
        code, lines = _run(target, options, seconds, {**os.environ, **environment})
        _say(f"fuzz: {target}: {_figures(lines)}")
        if code == 0:
            return True
        kept = _keep(target, found)
        _say("\n".join(lines))
        _say(f"fuzz: {target} FAILED with {code} on {kept or 'no input that could be kept'}")
        if kept:
            _say(f"fuzz: replay it with .venv/bin/python -m tests.fuzz.replay {target} {kept}")
        return False


def _options(seconds: int, found: Path) -> list[str]:
    return [
        f"-max_total_time={seconds}",
        f"-timeout={_TIMEOUT_S}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-max_len={_MOST_BYTES}",
        f"-artifact_prefix={found}{os.sep}",
        "-print_final_stats=1",
    ]


def _run(
    target: str, options: list[str], seconds: int, environment: Mapping[str, str]
) -> tuple[int, list[str]]:
    """The exit code of the child, and its last lines but for those of native decoders."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.child", target, *options],
        cwd=_ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert process.stdout is not None
    # libFuzzer ends in time by itself, unless what it calls has taken that from it as well.
    guard = threading.Timer(seconds + _GRACE_S, process.kill)
    guard.start()
    lines = deque[str](maxlen=_LAST_LINES)
    for line in process.stdout:
        if not line.startswith(("Corrupt JPEG", "libpng", "Premature", "Invalid")):
            lines.append(line.rstrip())
    code = process.wait()
    guard.cancel()
    return code, [*lines]


def _figures(lines: list[str]) -> str:
    """What libFuzzer's final statistics say."""
    stats = dict(re.findall(r"stat::(\w+):\s+(\d+)", "\n".join(lines)))
    runs, pace = stats.get("number_of_executed_units", "?"), stats.get("average_exec_per_sec", "?")
    return f"{runs} inputs, {pace} a second, at most {stats.get('peak_rss_mb', '?')} MB"


def _keep(target: str, found: Path) -> Path | None:
    """Puts what libFuzzer has left, if it has left something, where the tests find it."""
    for artifact in sorted(found.glob("*-*")):
        body = artifact.read_bytes()
        kept = CRASHERS / target / f"{artifact.name.split('-')[0]}-{sha256(body).hexdigest()[:12]}"
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(body)
        return kept
    return None


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
