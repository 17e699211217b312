#!/usr/bin/env python
"""Write miniature SimCLR checkpoints with TensorFlow, and what TensorFlow computes from them.

Needs TensorFlow and numpy, nothing of simsearch: the conversion is to be proven against an independent reading of the
papers and of the published description (v1: plain stem and shortcut; v2: ResNet-D with selective kernels). A variable
is named as in the published checkpoints, in the order of creation: a block's shortcut before its body.

    python scripts/make_simclr_fixture.py tests/extract/simclr
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

DEPTHS, WIDTHS, STEM = (1, 2, 1, 1), (4, 4, 6, 6), 8
SHAPE = (3, 47, 38, 3)  # the pools see odd and even sides, so that every rule for edges matters


class Graph:
    """Plain TensorFlow operations on variables that are made, and numbered, as they are needed."""

    def __init__(self, seed: int) -> None:
        self.variables: dict[str, Any] = {}
        self._rng = np.random.default_rng(seed)
        self._count = {"conv2d": 0, "batch_normalization": 0}

    def convolve(self, x: Any, filters: int, kernel: int, stride: int = 1) -> Any:
        """A convolution; padded evenly where it strides."""
        shape = (kernel, kernel, x.shape[-1], filters)  # HWIO
        scale = (2 / (kernel * kernel * x.shape[-1])) ** 0.5
        weights = self._make(f"{self._next('conv2d')}/kernel", self._rng.normal(0, scale, shape))
        if stride > 1:
            before = (kernel - 1) // 2
            around = [before, kernel - 1 - before]
            x = tf.pad(x, [[0, 0], around, around, [0, 0]])
        return tf.nn.conv2d(x, weights, stride, "SAME" if stride == 1 else "VALID")

    def normalise(self, x: Any, *, relu: bool = True) -> Any:
        """A batch norm at inference, of epsilon 1e-5."""
        name, size = self._next("batch_normalization"), x.shape[-1]
        gamma = self._make(f"{name}/gamma", self._rng.uniform(0.5, 1.5, size))
        beta = self._make(f"{name}/beta", self._rng.normal(0, 0.2, size))
        mean = self._make(f"{name}/moving_mean", self._rng.normal(0, 0.2, size))
        variance = self._make(f"{name}/moving_variance", self._rng.uniform(0.5, 1.5, size))
        x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-5)
        return tf.nn.relu(x) if relu else x

    def _next(self, kind: str) -> str:
        number = self._count[kind]
        self._count[kind] += 1
        return kind if number == 0 else f"{kind}_{number}"

    def _make(self, name: str, values: Any) -> Any:
        self.variables[name] = tf.constant(values, tf.float32)
        return self.variables[name]


def features(graph: Graph, x: Any, *, selective: bool) -> Any:
    """The pooled features (n, d) of images (n, h, w, 3)."""
    if selective:
        x = graph.normalise(graph.convolve(x, STEM // 2, 3, 2))
        x = graph.normalise(graph.convolve(x, STEM // 2, 3))
        x = graph.normalise(graph.convolve(x, STEM, 3))
    else:
        x = graph.normalise(graph.convolve(x, STEM, 7, 2))
    x = tf.nn.max_pool2d(x, 3, 2, "SAME")
    for stage, (depth, width) in enumerate(zip(DEPTHS, WIDTHS, strict=True)):
        for i in range(depth):
            stride = 2 if stage and not i else 1
            x = block(graph, x, width, stride, project=not i, selective=selective)
    return tf.reduce_mean(x, [1, 2])


def block(graph: Graph, x: Any, width: int, stride: int, *, project: bool, selective: bool) -> Any:
    shortcut = x
    if project:
        if selective:
            if stride > 1:
                shortcut = tf.pad(shortcut, [[0, 0], [0, 1], [0, 1], [0, 0]])
            shortcut = tf.nn.avg_pool2d(shortcut, 2, stride, "SAME" if stride == 1 else "VALID")
        shortcut = graph.convolve(shortcut, 4 * width, 1, 1 if selective else stride)
        shortcut = graph.normalise(shortcut, relu=False)
    x = graph.normalise(graph.convolve(x, width, 1))
    x = mix(graph, x, width, stride) if selective else graph.normalise(graph.convolve(x, width, 3, stride))
    x = graph.normalise(graph.convolve(x, 4 * width, 1), relu=False)
    return tf.nn.relu(x + shortcut)


def mix(graph: Graph, x: Any, width: int, stride: int) -> Any:
    """Selective kernels: two branches, a softmax over them for each channel."""
    branches = tf.stack(tf.split(graph.normalise(graph.convolve(x, 2 * width, 3, stride)), 2, axis=3))
    pooled = tf.reduce_mean(tf.reduce_sum(branches, axis=0), [1, 2], keepdims=True)
    pooled = graph.normalise(graph.convolve(pooled, max(int(width * 0.0625), 32), 1))
    gates = tf.nn.softmax(tf.stack(tf.split(graph.convolve(pooled, 2 * width, 1), 2, axis=3)), axis=0)
    return tf.reduce_sum(branches * gates, axis=0)


def write(folder: Path, *, selective: bool) -> None:
    """Write a checkpoint and a dump of its variables with images and features."""
    graph = Graph(seed=50 + selective)
    images = np.random.default_rng(7).random(SHAPE, np.float32)
    rows = features(graph, tf.constant(images), selective=selective).numpy()
    stored = {f"base_model/{name}": value.numpy() for name, value in graph.variables.items()}
    if selective:  # the published rows of v2 are those of the averaged weights; those of the last step lie beside them
        stored = {f"ema_model/{name}": value for name, value in stored.items()} | {k: -v for k, v in stored.items()}
    # What the published checkpoints hold besides the network.
    stored |= {f"{name}/Momentum": value for name, value in stored.items() if name.endswith("conv2d/kernel")}
    stored["head_contrastive/nl_0/dense/kernel"] = np.ones((24, 24), np.float32)
    stored["global_step"] = np.int64(250228)
    folder.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        made = {name: tf.compat.v1.Variable(value, name=name.replace("/", "_")) for name, value in stored.items()}
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(made).save(session, str(folder / "model.ckpt-250228"), write_meta_graph=False)
    parts = {"images": images, "rows": rows} | {f"variables/{name}": value for name, value in stored.items()}
    np.savez_compressed(folder / "dump.npz", **parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    write(folder / "v1", selective=False)
    write(folder / "v2_sk", selective=True)


if __name__ == "__main__":
    main()
