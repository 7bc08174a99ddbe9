"""`python -m sansi.data.language_id.training --cache data/cache`: from packages to the model file."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from sansi.data.language_id.alphabet import make_alphabet
from sansi.data.language_id.identify import MODEL_FILE
from sansi.data.language_id.model import save_model
from sansi.data.language_id.training.calibrate import calibrated
from sansi.data.language_id.training.card import write_card
from sansi.data.language_id.training.packages import CALIBRATION
from sansi.data.language_id.training.texts import collect, unpacked
from sansi.data.language_id.training.train import Settings, train


def main() -> None:
    """Collect, train, calibrate, write model and card."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=Path("data/cache"), help="where packages are kept")
    parser.add_argument("--out", type=Path, default=MODEL_FILE, help="the model file")
    parser.add_argument("--allow-newer", action="store_true", help="take what a registry has instead of a lost version")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="of the training of all packages")
    options = parser.parse_args()
    torch.set_num_threads(1)
    alphabet = make_alphabet()
    learned = collect(options.cache, options.allow_newer)
    model = train(learned, alphabet, Settings(steps=options.steps), tell)
    with unpacked(CALIBRATION, options.cache, options.allow_newer) as root:
        model = calibrated(model, CALIBRATION.read(root))
    tell(f"temperatures {model.settings['temperature']} and {model.settings['temperature_short']}")
    save_model(model, options.out)
    write_card(learned, model, options.out.with_suffix(".md"))
    tell(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB, {len(model.labels)} labels")


def tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
