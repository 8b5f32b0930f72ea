"""`lunglens train gate` and `lunglens evaluate gate`."""

from pathlib import Path

from rich.console import Console
from rich.progress import track

from lunglens.files import save_csv, write_json
from lunglens.film.gate.look import look_at
from lunglens.film.model_package.package import load_package, shipped_models, write_description
from lunglens.film.radiograph import read_radiograph
from lunglens.train.gate.films import gate_films
from lunglens.train.gate.fit import fit_gate, gather
from lunglens.train.provenance import today


def learn_gate(data: Path, lungs: Path, console: Console) -> None:
    """Fit the gate's checks for a lungs package and write them, with out-of-fold rates, into its `package.json`."""
    package = load_package(lungs)
    table = gate_films(data, per_source=600)
    parameters, rates = fit_gate(gather(table, package, seed=0), seed=0)
    console.print_json(data=rates)
    fitted = {"gate": {"out_of_fold": rates, "films": len(table)}}
    changes = {
        "parameters": package.description["parameters"] | {"gate": parameters},
        "provenance": package.description.get("provenance", {}) | fitted,
    }
    write_description(lungs, package.description | changes)


def measure_gate(data: Path, lungs: Path, out: Path, per_source: int | None, console: Console) -> None:
    """The whole gate as the analysis applies it, over so many films a source (None: all), into `out/gate.json`."""
    package, orientation = load_package(lungs), load_package(shipped_models() / "orientation")
    table = gate_films(data, per_source)
    table["reason"] = [
        look_at(read_radiograph(Path(path)), package, orientation).gate.reason
        for path in track(table["path"], "judging", console=console)
    ]
    save_csv(table, out / "gate.csv")
    refused = table["reason"].notna()
    by_source = {
        f"{kind} {source}": {"n": len(rows), "refused": round(float(refused[rows.index].mean()), 4)}
        for (kind, source), rows in table.groupby(["kind", "source"])
    }
    overall = {str(kind): round(float(refused[rows.index].mean()), 4) for kind, rows in table.groupby("kind")}
    write_json(out / "gate.json", {"lungs": package.name, "date": today(), "refused": overall, "by_source": by_source})
    console.print_json(data=overall)
