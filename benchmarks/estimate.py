"""Is `segtasks plan --measure` right? python benchmarks/estimate.py --help.

Plans a scene with timed tiles, then runs it, both as commands of their own, in turn; prints what
was said and what it took. Machines that others use too are not the same twice: several rounds show
how far the run itself varies.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from segtasks.training.synthetic import write_scene

SEED = 77


def command(name: str, job: Path, *options: str) -> tuple[dict[str, Any], float]:
    """The JSON that a command prints, and its wall seconds."""
    words = [sys.executable, "-m", "segtasks", name, "--job", str(job), "--json", *options]
    began = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found, seconds


def job_of(folder: Path, size: int, model: str, *, crf: bool) -> Path:
    """A job file for a scene that is made once."""
    scene = folder / f"scene_{size}.tif"
    if not scene.exists():
        write_scene(scene, SEED, size, size)
    job: dict[str, Any] = {"source": str(scene), "to": str(folder / "out"), "model": model}
    job |= {"fresh": True, "overwrite": True}
    if not crf:
        job["crf"] = None
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))
    return path


def main() -> None:
    """Print a row for each round."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-crf", action="store_true")
    folder = Path(tempfile.gettempdir(), "segtasks-bench")
    parser.add_argument("--folder", type=Path, default=folder)
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    job = job_of(chosen.folder, chosen.size, chosen.model, crf=not chosen.no_crf)
    print("round  estimate s  90 % interval    run s   off %  inside  measuring s")
    for each in range(chosen.rounds):
        plan, measuring = command("plan", job, "--measure")
        said = plan["time"]
        _, took = command("run", job)
        off = 100 * (said["seconds"] / took - 1)
        inside = "yes" if said["low"] <= took <= said["high"] else "no"
        print(
            f"{each:<6} {said['seconds']:10.1f}  {said['low']:6.1f} … {said['high']:<6.1f} "
            f"{took:7.1f} {off:+7.1f}  {inside:<6} {measuring:11.1f}",
            flush=True,
        )
        print(json.dumps(said), file=sys.stderr)


if __name__ == "__main__":
    main()
