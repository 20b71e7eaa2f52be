"""From data set to report with the four verbs.

    python examples/train_export_run_report.py --epochs 30 --backend sim

Each verb takes what the one before it returned, or the path of what it wrote.
"""

import argparse
from pathlib import Path

import tssl


def main() -> None:
    """Train digits, export them for Loihi 2, run the result and price it."""
    parser = argparse.ArgumentParser(description="From data set to report with the four verbs.")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--backend", choices=["engine", "sim"], default="engine")
    parser.add_argument("--out", type=Path, default=Path("runs/example"), help="a new folder")
    options = parser.parse_args()

    # Any key of the recipe can be set; recipe.toml in the folder spells all of them out.
    run = tssl.train("digits", out=options.out, settings={"epochs": options.epochs})

    # Writes digits-loihi2.net, and only if every witness computed the same integers.
    chip = tssl.export(run, target="loihi2", lava=options.backend == "sim")
    print(f"proof: {chip.proof.verdict}")
    print(f"accuracy: trained {chip.float_accuracy:.2%}, as integers {chip.chip_accuracy:.2%}")

    # The integers on our engine, or on Lava's CPU simulator.
    result = tssl.run(chip, backend=options.backend, out=options.out / "result")
    print(f"accuracy on {options.backend}: {result.result.accuracy:.2%}")

    # Counted operations times the prices of a chip; the band is all prices low, or all high.
    page = options.out / "report.html"
    (cost,) = tssl.report(result, "loihi2", html=page).priced
    energy, latency = cost.total, cost.latency
    print(f"energy: {energy.value:.3g} J ({energy.low:.3g} to {energy.high:.3g}, {energy.kind})")
    print(f"latency: {latency.value:.3g} s, in full in {page}")


if __name__ == "__main__":
    main()
