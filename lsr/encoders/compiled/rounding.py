"""From a model's weights to those that the kernels run: rounded to bytes, then packed.

Bytes with a scale a row of weights and a row of inputs lose most where a few inputs are much larger than the others. So
inputs are multiplied by factors and their weights divided by them: Xiao et al., "SmoothQuant" (ICML 2023,
arXiv:2211.10438), equation 4. Its exponent α says how much of the difference goes to the weights; for each layer the
one is taken whose outputs are closest to float32, over a few hundred tokens that go through the model in float32 first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.forward import Forward, Scratch
from lsr.encoders.compiled.products import Ids
from lsr.encoders.compiled.weights import DenseLayer, Linear, Subspace, Unpacked, VocabularyHead, Weights, mapped
from lsr.encoders.pretrained.mapped_weights import Floats
from lsr.errors import EncoderError
from lsr.kernels.encode.float_tiles import COLUMNS
from lsr.kernels.encode.pack import Rounded, pack_after_gelu, pack_floats, pack_rounded, round_weights, unrounded
from lsr.kernels.encode.rows import GELU_DEPTH
from lsr.kernels.encode.screen import MOST_DIRECTIONS, make_screen

FACTORS_FILE = "factors.npz"
"""Factors that were found when a bundled model was made, beside its weights, so that it opens faster."""

ALPHAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Exponents that are tried."""

_SUBSPACE = "head.scores"
_RANK_OF_SIZE = 5, 12
"""Rank of a screen by the size of rows: of 384 numbers 160. 128 left three times as many terms, 192 half as many."""

_SHARE_OF_WEIGHTS, _FEW_ROWS = 0.1, 500
_SAMPLE = 384
_AT_A_TIME = 512
_LEAST = np.float32(1e-5)


def find_factors(weights: Weights, texts: Sequence[Ids], more: Sequence[Ids] = ()) -> dict[str, Floats]:
    """Return factors of the inputs of each linear layer, by the names of `weights.mapped`, and the head's subspace.

    weights: as they are stored. texts: token ids, some hundreds together. more: others, for the subspace alone.
    """
    rows: dict[str, list[Floats]] = {}
    kept = set[str]()

    def watch(name: str, seen: Floats) -> None:
        if not kept or name in kept:
            rows.setdefault(name, []).append(seen.copy())

    forward = Forward(packed(as_floats(weights)), watch=watch)
    scratch = Scratch(weights, max([_AT_A_TIME, *map(len, texts), *map(len, more)]))
    for text in texts:
        forward.both([text], scratch, sparse=weights.head is not None, dense=bool(weights.branch) or not weights.head)
    kept.add(_SUBSPACE)
    if weights.head is not None:
        for text in more:
            forward.both([text], scratch, sparse=True, dense=False)
    found: dict[str, Floats] = {}

    def find(name: str, linear: Linear) -> Linear:
        assert isinstance(linear, Unpacked)
        if name in rows and name != _SUBSPACE and not isinstance(linear.weight, Rounded):
            seen = np.concatenate(rows[name])
            found[name] = _best_factors(linear.weight, seen, after_gelu=name.endswith(".outer"))
        return linear

    mapped(weights, find)
    if weights.head is not None:
        of_head = find_subspace(weights.head, np.concatenate(rows["head.scores"]))
        found |= {f"{_SUBSPACE}.{name}": values for name, values in of_head._asdict().items()}
    return found


def find_subspace(head: VocabularyHead, rows: Floats) -> Subspace:
    """Return the subspace that a head's screen works in: the main directions of rows, and a little of its weights'.

    rows: that the head scored, float32 (n, size). A few hundred rows leave much open, which weights fill.
    """
    assert isinstance(head.scores, Unpacked)
    weight = head.scores.weight
    of_weights = weight.weights * weight.scales[:, None] if isinstance(weight, Rounded) else weight
    size = rows.shape[1]
    share = _SHARE_OF_WEIGHTS * min(1.0, _FEW_ROWS / len(rows))
    spread = _covariance(rows) + share * _covariance(of_weights)
    rank = min(-(-size * _RANK_OF_SIZE[0] // _RANK_OF_SIZE[1]) // COLUMNS * COLUMNS or COLUMNS, MOST_DIRECTIONS)
    directions = np.linalg.eigh(spread)[1][:, ::-1][:, :rank].T
    # In 16 bits, as they are stored with a bundled model.
    mean, directions = (of.astype(np.float16).astype(np.float32) for of in (rows.mean(0), directions))
    return Subspace(mean, np.ascontiguousarray(directions))


def _covariance(rows: Floats) -> npt.NDArray[np.float64]:
    """Return the covariance of rows, (size, size), of trace 1."""
    apart = rows - rows.mean(0)
    spread: npt.NDArray[np.float64] = (apart.T @ apart).astype(np.float64)
    spread /= max(float(np.trace(spread)), 1e-30)
    return spread


def _best_factors(weight: Floats, rows: Floats, *, after_gelu: bool) -> Floats:
    """Return the factors of the exponent that leaves the smallest error. rows: inputs that were seen."""
    lift = GELU_DEPTH if after_gelu else np.float32(0)
    of_rows = np.log(np.maximum(np.abs(rows + lift).max(0), _LEAST))
    of_weights = np.log(np.maximum(np.abs(weight).max(0), _LEAST))
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    exact = sample @ weight.T
    best, least = np.ones(weight.shape[1], np.float32), np.inf
    for alpha in ALPHAS:
        shares = (1 - alpha) * of_weights - alpha * of_rows
        # In 16 bits, as they are stored with a bundled model.
        factors = np.exp(shares - shares.mean()).astype(np.float16).astype(np.float32)
        outputs = _bytes_of((sample + lift) * factors, after_gelu=after_gelu) / factors - lift
        error = float(np.square(outputs @ unrounded(round_weights(weight, factors)).T - exact).sum())
        if error < least:
            best, least = factors, error
    return best


def _bytes_of(rows: Floats, *, after_gelu: bool) -> Floats:
    """Return what rows are after they were rounded to bytes, as the kernels round them."""
    scales = np.maximum(np.abs(rows).max(1, keepdims=True), _LEAST) / np.float32(255 if after_gelu else 127)
    whole: Floats = np.rint(rows / scales) * scales
    return whole


def rounded(weights: Weights, factors: Mapping[str, Floats]) -> Weights:
    """Return weights rounded to bytes with factors of `find_factors`. What is bytes already stays.

    Raises EncoderError for factors of another model.
    """

    def round_one(name: str, linear: Linear) -> Linear:
        assert isinstance(linear, Unpacked)
        weight, of_inputs = linear.weight, factors.get(name)
        if isinstance(weight, Rounded):
            return linear
        if of_inputs is not None and (of_inputs.shape != weight.shape[1:] or not (of_inputs > 0).all()):
            raise EncoderError(f"{name} has {weight.shape[1]} inputs, which the factors don't fit: the model is broken")
        return Unpacked(round_weights(weight, of_inputs), linear.bias)

    weights = with_subspace(weights, factors)
    words = weights.embeddings
    if words.words.dtype != np.int8:
        table = round_weights(np.asarray(words.words, np.float32))
        words = words._replace(words=table.weights, scales=table.scales)
    return mapped(replace(weights, embeddings=words), round_one)


def with_subspace(weights: Weights, factors: Mapping[str, Floats]) -> Weights:
    """Return weights with the subspace of their head that `find_factors` found.

    Raises EncoderError for one of another model.
    """
    head, size = weights.head, weights.size
    names = [f"{_SUBSPACE}.{name}" for name in Subspace._fields]
    if head is None or not all(name in factors for name in names):
        return weights
    mean, directions = (factors[name] for name in names)
    fits = mean.shape == (size,) and directions.shape[1:] == (size,) and directions.ndim == 2
    whole = fits and 0 < len(directions) <= min(size, MOST_DIRECTIONS) and len(directions) % COLUMNS == 0
    if not whole or not (np.isfinite(mean).all() and np.isfinite(directions).all()):
        raise EncoderError(f"{_SUBSPACE} has {size} inputs, which its subspace doesn't fit: the model is broken")
    return replace(weights, head=head._replace(subspace=Subspace(mean, directions)))


def packed(weights: Weights) -> Weights:
    """Return weights as the kernels take them: bytes where they were rounded, else float32."""

    def pack(name: str, linear: Linear) -> Linear:
        assert isinstance(linear, Unpacked)
        if not isinstance(linear.weight, Rounded):
            return pack_floats(linear.weight, linear.bias)
        if name.endswith(".outer"):
            return pack_after_gelu(linear.weight, linear.bias)
        return pack_rounded(linear.weight, linear.bias)

    head = weights.head
    if head is not None and head.subspace is not None:
        assert isinstance(head.scores, Unpacked)
        weight = head.scores.weight
        screen = make_screen(weight, head.scores.bias, *head.subspace)
        weights = replace(weights, head=head._replace(screen=screen))
    return _with_dense_packed(mapped(weights, pack))


def as_floats(weights: Weights) -> Weights:
    """Return weights with all linear layers in float32; embeddings that are bytes with scales stay."""

    def expand(_: str, linear: Linear) -> Linear:
        assert isinstance(linear, Unpacked)
        weight = linear.weight
        return Unpacked(unrounded(weight), linear.bias) if isinstance(weight, Rounded) else linear

    return mapped(weights, expand)


def _with_dense_packed(weights: Weights) -> Weights:
    """Pack the layers behind a dense vector's pooling, whose inputs are filled up to whole panels."""
    layers = []
    for layer in weights.dense:
        linear = layer.linear
        assert isinstance(linear, Unpacked) and not isinstance(linear.weight, Rounded)
        layers.append(DenseLayer(pack_floats(np.asarray(linear.weight), linear.bias), layer.tanh))
    return replace(weights, dense=tuple(layers))


def save_factors(factors: Mapping[str, Floats], path: Path) -> None:
    """Write factors in the 16 bits that they were found in."""
    np.savez_compressed(path, **{name: of.astype(np.float16) for name, of in factors.items()})  # type: ignore[arg-type]


def read_factors(path: Path) -> dict[str, Floats]:
    """Read what `save_factors` wrote. Raises EncoderError if it can't be."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name].astype(np.float32) for name in stored}
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(f"{path} can't be read: {error}") from error
