"""What the cross-validations share: the run's description, its jobs, and putting the folds' tables together."""

import json
import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pydantic import ValidationError
from rich.console import Console

from lunglens.errors import LungLensError, OutputError
from lunglens.evaluate.run_record import RUN
from lunglens.files import write_json
from lunglens.jobs import Job, JobResult

FORMAT = 1
# A run may go on another day and, with other drivers, on another machine; everything else must be the same.
MAY_DIFFER = ("date", "hardware", "versions")
Runner = Callable[[Sequence[Job], Console], list[JobResult]]


class FoldsFailedError(LungLensError):
    """Some folds have no result; the others are kept, and a second call does only those that are missing."""


def describe(
    kind: str, content: dict[str, Any], out: Path, read: Callable[[dict[str, Any]], object] = dict
) -> dict[str, Any]:
    """Write `run.json`, or check that the run that was begun in `out` is this one; returns its content.

    Args:
        kind: of the run.
        content: what it is.
        out: its folder.
        read: what `config` means: a run of an earlier version lacks the keys that have come since, and has their
            usual values.

    Raises:
        OutputError: the folder holds another run.
    """
    found = {"format": FORMAT, "kind": kind, **content}
    path = out / RUN
    if path.exists():
        begun = json.loads(path.read_text(encoding="utf-8"))
        wanted = json.loads(json.dumps(found))
        meant = [
            content if "config" not in content else content | {"config": _meant(content["config"], read)}
            for content in (begun, wanted)
        ]
        other = [name for name in wanted if name not in MAY_DIFFER and meant[0].get(name) != meant[1][name]]
        if other:
            raise OutputError(f"{out}: holds a run with another {', '.join(other)}; choose another --out")
        return dict(begun)
    found |= {"date": datetime.now(UTC).date().isoformat(), "versions": _versions(), "hardware": _hardware()}
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, found)
    return found


def _meant(config: dict[str, Any], read: Callable[[dict[str, Any]], object]) -> object:
    try:
        return read(config)
    except ValidationError:
        return config  # of another version: it is not this run


def run_folds(jobs: Sequence[Job], runner: Runner, console: Console) -> list[Any]:
    """Run the folds' jobs and give their results, in order.

    Raises:
        FoldsFailedError: names the folds that failed and where their logs lie.
    """
    outcomes = runner(jobs, console)
    failed = [outcome for outcome in outcomes if outcome.state != "done"]
    if failed:
        where = "; ".join(f"{outcome.job.name}: {outcome.error} (see {outcome.job.log})" for outcome in failed)
        raise FoldsFailedError(f"{len(failed)} of {len(jobs)} folds failed: {where}. Run the same command again")
    return [outcome.result for outcome in outcomes]


def gather(out: Path, folds: Sequence[str], name: str = "predictions.csv") -> pd.DataFrame:
    """The folds' tables under one another; `fold` and `group_id` stay text ("": unknown)."""
    kinds = {"fold": str, "group_id": str, "image_id": str}
    tables = [pd.read_csv(out / "folds" / fold / name, dtype=kinds) for fold in folds]
    return pd.concat(tables, ignore_index=True).fillna({"group_id": ""})


def _versions() -> dict[str, str]:
    return {
        name: version(name) for name in ("lunglens", "torch", "timm", "lightning", "kornia", "numpy", "scikit-learn")
    }


def _hardware() -> dict[str, Any]:
    devices = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {"machine": platform.machine(), "cores": os.cpu_count(), "gpus": devices}
