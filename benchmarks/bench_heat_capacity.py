"""Heat capacity of the fluid at the sixty states of Park 2022, table 5.2 (cf. Fig. 5.1).

python benchmarks/bench_heat_capacity.py
"""

import time

from common import record

from dlintegrate import LennardJones2D, canonical_averages

DENSITIES = (0.1, 0.14, 0.2, 0.27, 0.38)
TEMPERATURES = (0.27, 0.31, 0.35, 0.39, 0.43, 0.47, 0.51, 0.55, 0.59, 0.63, 0.67, 0.71)
SEED = 51


def main():
    """Measure, print, store."""
    started = time.time()
    rows = [{"T": temperature} for temperature in TEMPERATURES]
    for density in DENSITIES:
        averages = canonical_averages(
            LennardJones2D(16, density), TEMPERATURES, n_chains=128, n_records=2000,
            random_state=SEED,
        )  # fmt: skip
        for row, value, error in zip(
            rows, averages.heat_capacity.values, averages.heat_capacity_error.values, strict=True
        ):
            row[f"density {density}"] = value
            row[f"density {density} error"] = error
        print(density, averages.heat_capacity.values.round(2), flush=True)
    peaks = [
        {"density": d, "T of the maximum": max(rows, key=lambda r, d=d: r[f"density {d}"])["T"]}
        for d in DENSITIES
    ]
    record("heat_capacity", {"rows": rows, "peaks": peaks}, started, seeds=SEED)


if __name__ == "__main__":
    main()
