"""Price one result on every shipped hardware profile.

    python examples/compare_chips.py runs/example/result

The result is a folder that `tssl run` or `tssl.run` wrote.
"""

import argparse
from pathlib import Path

import tssl
from tssl.costs import Quantity


def main() -> None:
    """Print energy and latency per inference on each chip, and who cannot run the network."""
    parser = argparse.ArgumentParser(description="Price one result on every shipped profile.")
    parser.add_argument("result", type=Path)
    report = tssl.report(parser.parse_args().result, "all")

    print(f"{'profile':16}{'energy':>10}{'low':>10}{'high':>10}{'latency':>10}  kind")
    for cost in report.priced:
        energy, latency = cost.total, cost.latency  # None where the profile cannot support it
        low, high = (None, None) if energy is None else (energy.low, energy.high)
        kind = "no energy: a price is missing" if energy is None else energy.kind
        figures = [micro(energy), micro(low), micro(high), micro(latency)]
        print(f"{cost.profile:16}{''.join(f'{figure:>10}' for figure in figures)}  {kind}")
    print("(in µJ and µs per inference)")
    for refusal in report.refused:
        print(f"{refusal.profile}: {refusal.reason}")


def micro(value: Quantity | float | None) -> str:
    """Return a figure in millionths, three digits of it."""
    if isinstance(value, Quantity):
        value = value.value
    return "-" if value is None else f"{value * 1e6:#.3g}"


if __name__ == "__main__":
    main()
