"""Short trainings that differ in one thing, for the notes on learned torques.

    python benchmarks/torque_trials.py FOLDER             # all of TRIALS, 9 min of one core
    python benchmarks/torque_trials.py FOLDER adam soap   # some

FOLDER holds the stages of ``torque_data.py``. Each trial is a run of ``train_torque.py`` of 15
epochs with a batch of 2; its row in the result file replaces the former one.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from common import RESULTS, record

#: What a row is called, and its options of train_torque.py.
TRIALS = {
    "adam": "--optimizer adam --balance 1 --learning-rate 1e-2",
    "soap": "--balance 1 --learning-rate 1e-2",
    "soap, balance 0.5": "--learning-rate 1e-2",
    "soap, balance 0.5, 6 blocks": "--learning-rate 1e-2 --depth 6",
}
COMMON = "--data seed linear early --batch-size 2 --epochs 15 --minutes 60"


def row_of(name, card):
    """What a card says of a run."""
    card = json.loads(Path(card).read_text())
    return {
        "trial": name, "n_parameters": card["n_parameters"],
        "stages": card["training_set"].split("stages ")[1].split(";")[0],
        "epochs": card["epochs"], "processor_seconds": card["processor_seconds"],
        "test_error": card["torque_error"]["all"],
        "test_error_t_400": card["torque_error"]["all, t = 400"],
        "command": card["provenance"]["command"], "commit": card["provenance"]["commit"],
        "date": card["provenance"]["date"],
    }  # fmt: skip


def run(name, folder):
    """One trial, and its row."""
    output = Path(folder) / (name.replace(", ", "_").replace(" ", "_") + ".safetensors")
    output.with_suffix(".checkpoint").unlink(missing_ok=True)
    script = Path(__file__).with_name("train_torque.py")
    options = f"{COMMON} {TRIALS[name]}".split()
    subprocess.run([sys.executable, script, folder, *options, "--output", output], check=True)
    return row_of(name, output.with_suffix(".json"))


def main():
    """Run what is asked for, and put it among the rows that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("trials", nargs="*", metavar="TRIAL", help=f"of {list(TRIALS)}")
    options = parser.parse_args()
    unknown = set(options.trials) - set(TRIALS)
    if unknown:
        parser.error(f"no trials {sorted(unknown)}; there are {list(TRIALS)}")
    started = time.time()
    new = [run(name, options.folder) for name in options.trials or TRIALS]
    file = RESULTS / "torque_trials.json"
    old = json.loads(file.read_text())["results"]["rows"] if file.exists() else []
    names = {row["trial"] for row in new}
    rows = [row for row in old if row["trial"] not in names] + new
    order = list(TRIALS)
    rows.sort(key=lambda row: order.index(row["trial"]) if row["trial"] in order else len(order))
    record("torque_trials", {"rows": rows}, started, seeds=0)


if __name__ == "__main__":
    main()
