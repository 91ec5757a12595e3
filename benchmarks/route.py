"""What the route costs beside the network: python benchmarks/route.py --help.

Prints four tables: the route against the bare network over the same patches, memory of a worker at
two sizes, what refining takes of the route, and the bookkeeping of a thousand tiles. The bare
network is the fastest way known to run it: BatchNorm folded, packed channels_last convolutions,
malloc tuned, one process per core. Quote ratios: what is compared is run in turn on one machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from segtasks.config.job import make_job
from segtasks.planning import cost
from segtasks.planning.planner import make_plan
from segtasks.training.synthetic import write_scene

BARE = """
import sys, time, json
from segtasks.pipeline.compute_slot import compute
import numpy as np, torch
from segtasks.raster.grid import Window
from segtasks.config.job import Job
from segtasks.pipeline.network_input import net_of
from segtasks.networks.inference.runtime import forward_patches
from segtasks.planning.planner import make_plan
plan = make_plan(Job.model_validate_json(sys.argv[1]))
part, parts = int(sys.argv[2]), int(sys.argv[3])
net = compute(lambda: net_of(plan)).result
patches = list(plan.patches.touching(plan.tiles.raster))[part::parts]
noise, bands = np.random.default_rng(0), len(plan.bands)
shapes = {p.window.shape for p in patches}
inputs = {shape: noise.standard_normal((1, bands, *shape), np.float32) for shape in shapes}
compute(lambda: forward_patches(net, next(iter(inputs.values()))))
print("ready", flush=True); sys.stdin.readline()
for patch in patches:
    compute(lambda: forward_patches(net, inputs[patch.window.shape]))
print("done", flush=True)
"""


def run_bare(job: dict[str, Any], processes: int) -> float:
    """Seconds of the loop alone, patches in memory, one thread in each process."""
    text = make_job(job).model_dump_json()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", BARE, text]
    started = [
        subprocess.Popen(
            [*words, str(part), str(processes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for part in range(processes)
    ]
    for process in started:
        process.stdout.readline()  # type: ignore[union-attr] # a pipe
    begun = time.perf_counter()
    for process in started:
        process.stdin.write("go\n")  # type: ignore[union-attr] # a pipe
        process.stdin.flush()  # type: ignore[union-attr] # a pipe
    for process in started:
        process.stdout.readline()  # type: ignore[union-attr] # a pipe
    seconds = time.perf_counter() - begun
    for process in started:
        process.wait()
    return seconds


def run_route(job: dict[str, Any], folder: Path) -> tuple[float, dict[str, Any], int]:
    """Wall seconds of the whole command, its result, and the largest worker's peak RSS in bytes."""
    path = folder / "job.yaml"
    path.write_text(json.dumps(job))
    words = [sys.executable, "-m", "segtasks", "run", "--job", str(path), "--json"]
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak = [0]
    watcher = threading.Thread(target=watch, args=(process.pid, peak))
    watcher.start()
    out, _ = process.communicate()
    seconds = time.perf_counter() - begun
    watcher.join()
    if process.returncode:
        sys.exit(f"the route failed: {out}")
    return seconds, json.loads(out), peak[0]


def watch(pid: int, peak: list[int]) -> None:
    """The largest RSS of any child while the process lives."""
    try:
        parent = psutil.Process(pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
            for child in parent.children(recursive=True):
                try:
                    peak[0] = max(peak[0], child.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(0.1)
    except psutil.NoSuchProcess:
        return


def job_of(scene: Path, to: Path, model: str, **settings: object) -> dict[str, Any]:
    """A job without a CRF that writes the mask alone, as the bare network and other tools do.

    Pixels are seen as they are, whatever ground resolution the model has learnt from.
    """
    alone = {"confidence": None, "stac": False, "report": False, "quicklook": False}
    base = {"source": str(scene), "to": str(to), "model": model, "crf": None, "outputs": alone}
    return {**base, "inference": {"scales": [1]}, "fresh": True, "overwrite": True, **settings}


def scene_of(folder: Path, size: int) -> Path:
    """A scene, made once."""
    path = folder / f"scene_{size}.tif"
    if not path.exists():
        write_scene(path, 77, size, size)
    return path


def compare(folder: Path, size: int, model: str, rounds: int) -> None:
    """A B A B: the route and the bare network."""
    job = job_of(scene_of(folder, size), folder / "out", model)
    plan = make_plan(make_job(job))
    factor = cost.plan_cost(plan).forward_factor
    mpx = size * size / 1e6
    print(
        f"{size} x {size} px, {plan.card.network} width {plan.card.width:g}, patch "
        f"{plan.patches.patch_px}, overlap {2 * plan.patches.margin_px}, {factor:.2f} px per px"
    )
    print("round   bare s  bare MPx/s   route s  route MPx/s  route/bare")
    ratios = []
    for each in range(rounds):
        bare = run_bare(job, os.cpu_count() or 1)
        route, _, _ = run_route(job, folder)
        ratios.append(bare / route)
        print(
            f"{each:<6} {bare:7.1f} {mpx / bare:11.2f} {route:9.1f} {mpx / route:12.2f} "
            f"{bare / route:11.3f}",
            flush=True,
        )
    print(f"median route/bare {statistics.median(ratios):.3f} (whole command, start-up included)\n")


def memory(folder: Path, sizes: list[int], model: str) -> None:
    """Peak RSS of a worker must not grow with the raster, time must grow with its pixels."""
    print("size      seconds  MPx/s  worker peak MiB")
    for size in sizes:
        seconds, _, peak = run_route(job_of(scene_of(folder, size), folder / "out", model), folder)
        print(f"{size:<9} {seconds:7.1f} {size * size / 1e6 / seconds:6.2f} {peak / 2**20:16.0f}")
    print()


def bookkeeping(folder: Path, model: str) -> None:
    """The same scene in 4 and in 1024 tiles of the same patches."""
    print("tiles   seconds")
    for tile_px in (1024, 128):
        tiling = {"tile_px": tile_px, "patch_px": 128, "overlap_px": 0}
        job = job_of(scene_of(folder, 4096), folder / "out", model, tiling=tiling)
        seconds, result, _ = run_route(job, folder)
        print(f"{result['tiles']['predict']:<7} {seconds:7.1f}", flush=True)


def refine_share(folder: Path, size: int, model: str, rounds: int) -> None:
    """A B C A B C: without a CRF, refined by pydensecrf, refined by the native backend."""
    print("round   backend       seconds  refine's share")
    for each in range(rounds):
        alone = 0.0
        for backend in (None, "pydensecrf", "native"):
            job = job_of(scene_of(folder, size), folder / "out", model)
            job["crf"] = backend and {"backend": backend}
            seconds, _, _ = run_route(job, folder)
            alone = alone if backend else seconds
            share = (seconds - alone) / seconds
            print(f"{each:<7} {backend or 'no CRF':<12} {seconds:8.1f} {share:15.2f}", flush=True)


def main() -> None:
    """Run what is asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-sizes", type=int, nargs="*", default=[4096, 16384])
    parser.add_argument(
        "--folder", type=Path, default=Path(tempfile.gettempdir(), "segtasks-bench")
    )
    parser.add_argument("--only", choices=["compare", "memory", "bookkeeping", "crf"])
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    if chosen.only in (None, "compare"):
        compare(chosen.folder, chosen.size, chosen.model, chosen.rounds)
    if chosen.only in (None, "memory"):
        memory(chosen.folder, chosen.memory_sizes, chosen.model)
    if chosen.only in (None, "crf"):
        refine_share(chosen.folder, chosen.size // 2, chosen.model, chosen.rounds)
    if chosen.only in (None, "bookkeeping"):
        bookkeeping(chosen.folder, chosen.model)


if __name__ == "__main__":
    main()
