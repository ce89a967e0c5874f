#!/usr/bin/env python3
"""The rival of the autodiff table: values and gradients by JAX on the CPU, driven line by line over standard input.

  load FOLDER   FOLDER/case.json says which function, its arrays (files of raw numbers) and by which of them it is differentiated;
                answers `ok N` after writing the N results, values first, as FOLDER/jax.0, FOLDER/jax.1, ...
  gradient N    answers the seconds that N calls of value and gradient take;  value N: those of the value alone
"""
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)


def conv(image, weight):
    return jax.lax.conv_general_dilated(image, weight, (1, 1), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC"))


def attention(query, key, value):
    scores = jnp.einsum("hqd,hkd->hqk", query, key) / np.sqrt(query.shape[-1]).astype(np.float32)
    return jnp.einsum("hqk,hke->hqe", jax.nn.softmax(scores, axis=-1), value)


def layer_norm(x, scale, bias):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-5) * scale + bias


def linear_recurrence(a, b):
    def step(h, now):
        h = now[0] * h + now[1]
        return h, h
    return jax.lax.scan(step, jnp.zeros_like(b[0]), (a, b))[1]


def linear_recurrence_scan(a, b):
    return jax.lax.associative_scan(lambda l, r: (l[0] * r[0], r[0] * l[1] + r[1]), (a, b))[1]


def blur(image):
    rows = jnp.pad(image, ((1, 1), (0, 0)), mode="edge")
    rows = 0.25 * rows[:-2] + 0.5 * rows[1:-1] + 0.25 * rows[2:]
    both = jnp.pad(rows, ((0, 0), (1, 1)), mode="edge")
    return 0.25 * both[:, :-2] + 0.5 * both[:, 1:-1] + 0.25 * both[:, 2:]


def mlp(x, w1, b1, w2, b2, w3, b3, labels):
    hidden = jax.nn.relu(x @ w1 + b1)
    hidden = jax.nn.relu(hidden @ w2 + b2)
    logits = hidden @ w3 + b3
    picked = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return (jax.nn.logsumexp(logits, axis=1) - picked).mean()


def gmm(alphas, means, q, lower, x):
    strict, diagonal = jnp.tril(lower, -1), jnp.exp(q)
    shift = diagonal * means + jnp.einsum("kij,kj->ki", strict, means)
    scaled = diagonal[:, None] * x[None] + jnp.einsum("kij,nj->kni", strict, x) - shift[:, None]
    terms = (alphas + q.sum(-1))[:, None] - 0.5 * (scaled ** 2).sum(-1)
    likelihood = jax.nn.logsumexp(terms, axis=0).sum() - x.shape[0] * jax.nn.logsumexp(alphas)
    prior = 0.5 * ((diagonal ** 2).sum() + (strict ** 2).sum()) - q.sum()
    return likelihood - prior


def lstm(weights, biases, into, out, out_bias, state, sequence):
    def step(carry, now):
        hidden, cell = carry
        x, gold = now
        flowing, hiddens, cells = x * into, [], []
        for l in range(weights.shape[0]):
            forget = jax.nn.sigmoid(flowing * weights[l, 0] + biases[l, 0])
            entry = jax.nn.sigmoid(hidden[l] * weights[l, 1] + biases[l, 1])
            leave = jax.nn.sigmoid(flowing * weights[l, 2] + biases[l, 2])
            change = jnp.tanh(hidden[l] * weights[l, 3] + biases[l, 3])
            cells.append(cell[l] * forget + entry * change)
            hiddens.append(leave * jnp.tanh(cells[-1]))
            flowing = hiddens[-1]
        guess = flowing * out + out_bias
        loss = ((guess - jnp.log(jnp.exp(guess).sum() + 2)) * gold).sum()
        return (jnp.stack(hiddens), jnp.stack(cells)), loss
    losses = jax.lax.scan(step, (state[:, 0], state[:, 1]), (sequence[:-1], sequence[1:]))[1]
    return -losses.sum() / (sequence.shape[0] - 1) / sequence.shape[1]


KERNELS = {
    "matmul": lambda a, b: a @ b, "conv": conv, "attention": attention, "layer_norm": layer_norm,
    "logsumexp": lambda x: jax.nn.logsumexp(x, axis=1), "row_max": lambda x: x.max(axis=1),
    "embedding": lambda table, indices: table[indices], "linear_recurrence": linear_recurrence,
    "linear_recurrence_scan": linear_recurrence_scan, "blur": blur, "mlp": mlp, "gmm": gmm, "lstm": lstm,
}


class Case:
    def __init__(self, folder):
        spec = json.loads((folder / "case.json").read_text())
        self.arrays = [jnp.asarray(np.fromfile(folder / a["file"], dtype=a["dtype"]).reshape(a["shape"])) for a in spec["arrays"]]
        kernel, by = KERNELS[spec["kernel"]], spec["by"]
        self.value = jax.jit(kernel)
        if "cotangent" in spec:
            c = spec["cotangent"]
            given = jnp.asarray(np.fromfile(folder / c["file"], dtype=c["dtype"]).reshape(c["shape"]))

            def both(given, *arrays):
                def of(*varied):
                    full = list(arrays)
                    for i, v in zip(by, varied):
                        full[i] = v
                    return kernel(*full)
                y, pull = jax.vjp(of, *(arrays[i] for i in by))
                return (y, *pull(given))
            jitted = jax.jit(both)
            self.gradient = lambda *arrays: jitted(given, *arrays)
        else:
            self.gradient = jax.jit(jax.value_and_grad(kernel, argnums=tuple(by)))

    def seconds(self, function, calls):
        start = time.perf_counter()
        for _ in range(calls):
            result = function(*self.arrays)
        jax.block_until_ready(result)
        return time.perf_counter() - start


def main():
    case = None
    print(f"ready {jax.__version__}", flush=True)
    for line in sys.stdin:
        word, _, rest = line.strip().partition(" ")
        if word == "load":
            folder = Path(rest)
            case = Case(folder)
            jax.block_until_ready(case.value(*case.arrays))
            results = jax.tree.leaves(case.gradient(*case.arrays))
            for i, r in enumerate(results):
                np.ascontiguousarray(r).tofile(folder / f"jax.{i}")
            print(f"ok {len(results)}", flush=True)
        elif word in ("gradient", "value"):
            print(case.seconds(getattr(case, word), int(rest)), flush=True)


if __name__ == "__main__":
    main()
