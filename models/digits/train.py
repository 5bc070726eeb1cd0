"""Trains the digit classifier, quantizes it to int8 and writes digits.tflite and manifest.toml.

Less than a minute on one core. numpy, scikit-learn (data) and tflite-micro (accuracy) must be installed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from data import Images, Labels, held_out, training
from layers import Conv, Dense, DepthwiseConv, MaxPool, Mean, Network
from ptq import quantized
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from tflite_micro.python.tflite_micro import runtime
from threadpoolctl import threadpool_limits

from tinsmith.save.tflite import save_tflite

HERE = Path(__file__).resolve().parent
MODEL, MANIFEST = HERE / "digits.tflite", HERE / "manifest.toml"

SEED = 0
EPOCHS = 200
BATCH = 32
RATE = 0.005  # of Adam at its highest: after a short rise, before a cosine fall to 0
RISE = 100  # steps
DECAY = 0.02
SMOOTHING = 0.05  # of labels
SHIFT = 1.0  # pixels, the furthest that training moves a digit

MANIFEST_TEXT = """\
# Written by train.py.
name = "digits"
title = "Handwritten digits, 8x8 grey pixels"
file = "digits.tflite"
bytes = {bytes}
sha256 = "{sha256}"
licence = "Apache-2.0"

[origin]
made_by = "this project"
recipe = "python models/digits/train.py"
check = "python models/digits/train.py --check"
seed = {seed}

[data]
name = "Optical Recognition of Handwritten Digits (test part), E. Alpaydin and C. Kaynak, UCI, 1998"
from = "sklearn.datasets.load_digits"
doi = "10.24432/C50P49"
licence = "CC-BY-4.0"
split = "digits 0, 4, 8, ... are held out; the others are for training and calibration"

[expected]
# int8, as TensorFlow Lite Micro computes it
held_out = {held_out}
correct = {correct}
accuracy = {accuracy!r}
"""

app = typer.Typer(add_completion=False)
console = Console()


def network(rng: np.random.Generator) -> Network:
    """8x8 image -> 10 logits; one layer of each kind that small vision models consist of."""
    return Network(
        [
            Conv(1, 16, 3, rng),
            DepthwiseConv(16, 3, rng),
            Conv(16, 32, 1, rng),
            MaxPool(),
            DepthwiseConv(32, 3, rng),
            Conv(32, 48, 1, rng),
            Mean(),
            Dense(48, 10, rng),
        ]
    )


def moved(images: Images, rng: np.random.Generator) -> Images:
    """Each image moved by its own random fractions of SHIFT pixels; what enters is black."""
    for axis in (1, 2):
        by = rng.uniform(-SHIFT, SHIFT, (len(images), 1, 1, 1)).astype(np.float32)
        padded = np.pad(images, [(0, 0), *((1, 1) if a == axis else (0, 0) for a in (1, 2)), (0, 0)])
        before, here, after = (padded.take(range(o, o + images.shape[axis]), axis) for o in range(3))
        images = here * (1 - np.abs(by)) + before * np.maximum(by, 0) + after * np.maximum(-by, 0)
    return images


def trained(images: Images, labels: Labels) -> Network:
    """A network that has learned the digits given; the same on each call on the same machine."""
    rng = np.random.default_rng(SEED)
    net = network(rng)
    batches = len(labels) // BATCH
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[right]}"), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"training on {len(labels)} digits", total=EPOCHS, right="")
        for _ in range(EPOCHS):
            order = rng.permutation(len(labels))
            for batch in np.split(order[: batches * BATCH], batches):
                done = net.steps / (EPOCHS * batches)
                rate = RATE * min(1.0, (net.steps + 1) / RISE) * (1 + np.cos(np.pi * done)) / 2
                net.learn(moved(images[batch], rng), labels[batch], rate, DECAY, SMOOTHING)
            right = int((net.logits(images).argmax(axis=1) == labels).sum())
            progress.update(task, advance=1, right=f"{right / len(labels):.1%} right")
    return net


def correct(model: bytes, images: Images, labels: Labels) -> int:
    """How many digits the int8 model names rightly, run by TensorFlow Lite Micro."""
    interpreter = runtime.Interpreter.from_bytes(model)
    quant = interpreter.get_input_details(0)["quantization_parameters"]
    steps = np.round(images / quant["scales"][0]) + quant["zero_points"][0]
    right = 0
    for image, label in zip(np.clip(steps, -128, 127).astype(np.int8), labels, strict=True):
        interpreter.set_input(image[np.newaxis], 0)
        interpreter.invoke()
        right += int(interpreter.get_output(0).argmax() == label)
    return right


def write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def manifest(model: bytes) -> str:
    images, labels = held_out()
    right = correct(model, images, labels)
    return MANIFEST_TEXT.format(
        bytes=len(model),
        sha256=hashlib.sha256(model).hexdigest(),
        seed=SEED,
        held_out=len(labels),
        correct=right,
        accuracy=right / len(labels),
    )


def validate() -> None:
    """How well training digits are named that training did not see; settings were chosen by this."""
    images, labels = training()
    left_out = np.arange(len(labels)) % 5 == 0
    net = trained(images[~left_out], labels[~left_out])
    right = correct(save_tflite(quantized(net, images[~left_out])), images[left_out], labels[left_out])
    console.print(f"{right} of {left_out.sum()} left-out training digits right ({right / left_out.sum():.2%}, int8)")


@app.command(help=__doc__)
def main(
    check: Annotated[bool, typer.Option(help="Write nothing; say whether training gives the committed bytes.")] = False,
    tune: Annotated[bool, typer.Option(help="Write nothing; try a fifth of the training digits, left out.")] = False,
) -> None:
    if check and not (MODEL.exists() and MANIFEST.exists()):
        console.print(f"nothing to check: {MODEL.name} or {MANIFEST.name} is missing in {HERE}")
        raise typer.Exit(1)
    with threadpool_limits(1):  # sums in a fixed order, so that the bytes do not hang on the number of cores
        if tune:
            return validate()
        images, labels = training()
        model = save_tflite(quantized(trained(images, labels), images))
        text = manifest(model)
    if check:
        same = model == MODEL.read_bytes() and text == MANIFEST.read_text()
        console.print("training reproduces the committed files" if same else "training gives other bytes here")
        raise typer.Exit(0 if same else 1)
    write(MODEL, model)
    write(MANIFEST, text.encode())
    console.print(f"{MODEL.name}: {len(model)} bytes\n{text[text.index('[expected]') :]}")


if __name__ == "__main__":
    app()
