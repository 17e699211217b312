"""Take a model out of a training run that is not over: its averaged weights, as they would be exported."""

from __future__ import annotations

import argparse
from pathlib import Path

from simsearch.training.callback import RUN
from simsearch.training.checkpoint import below, read_state
from simsearch.training.config import read_config
from simsearch.training.export import export
from simsearch.training.network import Averaged, exported_card, starting_point


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/snapshot_run.py", description=__doc__)
    parser.add_argument("config", type=Path, help="the run's recipe")
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("output", type=Path, help="the model's folder")
    arguments = parser.parse_args()
    config = read_config(arguments.config)
    card, network = starting_point(config)
    tensors, told = read_state(arguments.run / RUN)
    if config.ema:
        average = Averaged(network, config.ema)
        average.load_state_dict(below("module.average.", tensors))
        network.load_state_dict(average.state())
    else:
        network.load_state_dict(below("module.network.", tensors))
    export(
        network, exported_card(card, config, config.start_model or "random weights", config.images), arguments.output
    )
    print(f"{arguments.output}: after {told['number']} batches, {told['seconds'] / 60:.0f} minutes")


if __name__ == "__main__":
    main()
