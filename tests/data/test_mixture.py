"""Weights of documents: what they may be, how they are fitted, and how they are kept."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sansi.base import SansiError
from sansi.base.errors import ConfigError
from sansi.data.documents import Document, text_sha256
from sansi.data.mixture import DocumentWeights, load_weights, times_included
from sansi.data.mixture.annotations import Annotations, reader
from sansi.data.mixture.features import FeatureSpace, varying_axes
from sansi.data.mixture.fit import fit
from sansi.data.mixture.regret import Regret, t_quantile
from sansi.data.mixture.sample import Pieces, Sample, pieces_of, sample_pieces
from sansi.data.mixture.search import Search, SearchConfig
from sansi.data.mixture.shares import Bounds, divergence, strength_within, weights
from sansi.data.mixture.weights import Coefficient


def document(number: int, **facts) -> Document:
    given = {"source": "made", "licence": "CC0-1.0", "kind": "prose", "language": "en", "detected_language": None}
    given |= {"quality": 0.5, "text": f"text {number}", **facts}
    return Document(f"{given['source']}/{number}", sha256=text_sha256(given["text"]), **given)


def corpus(count: int = 400, seed: int = 0) -> list[Document]:
    rng = np.random.default_rng(seed)
    return [
        document(
            i,
            quality=float(rng.random()),
            field=("mathematics", "law", "history")[rng.integers(3)],
            source=("one", "two")[rng.integers(2)],
            text="x" * int(rng.integers(50, 3000)),
            metadata={"copies": str(rng.integers(1, 9))},
        )
        for i in range(count)
    ]


# ---- how often documents are read -----------------------------------------------------------------------------------

SCORES = st.lists(st.tuples(st.floats(-30, 30), st.integers(1, 5000)), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(SCORES, st.floats(0.01, 0.99), st.floats(0, 1), st.floats(1, 8))
def test_weights_read_what_they_are_to_read_within_their_bounds(rows, place, low, high):
    scores, sizes = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], float)
    bounds = Bounds(low, high)
    total = (low + place * (high - low)) * sizes.sum()
    found = weights(scores, sizes, total, bounds)
    assert math.isclose(found @ sizes, total, rel_tol=1e-6)
    assert np.all(found >= low) and np.all(found <= high * (1 + 1e-12))
    order = np.argsort(scores)
    assert np.all(np.diff(found[order]) >= -1e-9)  # a higher score is never read less often


@settings(max_examples=40, deadline=None)
@given(SCORES, st.floats(0.01, 3))
def test_no_direction_leads_farther_from_the_corpus_than_is_allowed(rows, limit):
    scores, sizes = np.array([r[0] for r in rows]), np.array([r[1] for r in rows], float)
    factor = strength_within(scores, sizes, sizes.sum(), Bounds(), limit)
    assert divergence(weights(factor * scores, sizes, sizes.sum(), Bounds()), sizes) <= limit + 1e-9


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 4), st.text(max_size=20), st.integers(0, 5))
def test_a_document_is_read_its_weight_rounded_down_or_up(weight, name, seed):
    count = times_included(weight, name, seed)
    assert math.floor(weight) <= count <= math.ceil(weight)
    assert count == times_included(weight, name, seed)


def test_on_average_documents_are_read_as_often_as_their_weight_says():
    assert np.mean([times_included(1.3, f"made/{i}", 7) for i in range(4000)]) == pytest.approx(1.3, abs=0.03)
    assert [times_included(0.5, f"made/{i}", 0) for i in range(8)] == [0, 1, 1, 1, 0, 1, 1, 1]  # wherever it is asked


@pytest.mark.parametrize("weight", [math.nan, math.inf, -0.1])
def test_a_weight_that_is_none_is_refused(weight):
    with pytest.raises(SansiError, match='the weight of "made/1" is'):
        times_included(weight, "made/1", 0)


def test_divergence_is_the_logarithm_of_how_much_is_left():
    assert divergence(np.array([2.0, 2.0, 0.0, 0.0]), np.ones(4)) == pytest.approx(math.log(2))
    assert divergence(np.full(4, 3.0), np.arange(1.0, 5.0)) == 0.0


def test_bounds_that_cannot_hold_the_budget_are_refused():
    with pytest.raises(SansiError, match=r'6 times the corpus can not be read .* "max_repeats"'):
        weights(np.zeros(3), np.ones(3), 18.0, Bounds(0, 4))


# ---- features -------------------------------------------------------------------------------------------------------


def test_features_have_mean_0_and_deviation_1_over_the_bytes():
    documents = corpus()
    axes = ["quality", "length", "field", "log2(metadata.copies)", "quality*source"]
    annotations = Annotations.of(documents, ["quality", "length", "field", "log2(metadata.copies)", "source"])
    space = FeatureSpace.fit(annotations, axes)
    x, shares = space.matrix(annotations), annotations.sizes / annotations.sizes.sum()
    assert np.abs(shares @ x).max() < 1e-9 and np.abs(shares @ x**2 - 1).max() < 1e-9
    assert {"quality", "length", "field=law", "log2(metadata.copies)", "quality*source=one"} <= set(space.names)
    assert space.axes == ["field", "length", "log2(metadata.copies)", "quality", "source"]


def test_what_is_missing_counts_as_the_mean_and_an_outlier_as_the_last_of_the_others():
    documents = [document(i, value=v) for i, v in enumerate([None, *np.linspace(0, 1, 500), 1000.0])]
    space = FeatureSpace.fit(Annotations.of(documents, ["value"]), ["value"])
    x = space.matrix(Annotations.of(documents, ["value"]))[:, 0]
    assert abs(x[0]) < 0.02 and x[-1] == x[-2] < 2


def test_rare_words_are_no_features():
    fields = [*("history", "law") * 150, "heraldry"]
    documents = [document(i, field=name) for i, name in enumerate(fields)]
    space = FeatureSpace.fit(Annotations.of(documents, ["field"]), ["field"])
    assert space.names == ["field=history", "field=law"]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("qualty", 'no axis "qualty" of documents; did you mean "quality"'),
        ("text", 'no axis "text"'),
        ("signals", 'no axis "signals"'),
        ("log2(qualty)", 'no axis "qualty"'),
    ],
)
def test_an_axis_that_there_is_not_is_named(axis, message):
    with pytest.raises(SansiError, match=message):
        reader(axis)


def test_axes_that_tell_nothing_are_refused_by_name():
    annotations = Annotations.of([document(i) for i in range(3)], ["value", "quality", "kind"])
    with pytest.raises(SansiError, match='no document has "value"; annotate it'):
        FeatureSpace.fit(annotations, ["value"])
    with pytest.raises(SansiError, match=r'"quality" is 0\.5 in all documents'):
        FeatureSpace.fit(annotations, ["quality"])
    with pytest.raises(SansiError, match="no difference between the documents in kind"):
        FeatureSpace.fit(annotations, ["kind"])
    assert varying_axes(annotations, ["value", "quality", "kind"]) == []


def test_an_axis_named_twice_is_refused():
    with pytest.raises(SansiError, match='"quality" is among the axes twice'):
        FeatureSpace.fit(Annotations.of(corpus(20), ["quality"]), ["quality", "quality"])


def test_words_among_numbers_are_words_and_have_no_logarithm():
    documents = [document(0, metadata={"copies": "3"}), document(1, metadata={"copies": "many"})]
    space = FeatureSpace.fit(Annotations.of(documents, ["metadata.copies"]), ["metadata.copies"])
    assert set(space.names) == {"metadata.copies=3", "metadata.copies=many"}
    alone = Annotations.of(documents[:1], ["metadata.copies"])  # what is a word stays one, whoever is beside it
    assert space.matrix(alone)[0].tolist() == pytest.approx(space.row({"metadata.copies": "3"}))
    assert space.row({"metadata.copies": "3"})[space.names.index("metadata.copies=3")] > 0
    with pytest.raises(SansiError, match=r"log2\(metadata.copies\).*'many'"):
        Annotations.of(documents, ["log2(metadata.copies)"])


def test_the_language_without_its_country():
    documents = [document(0, language="en-US"), document(1, language="zh-Hant-TW")]
    assert Annotations.of(documents, ["primary_language"]).columns["primary_language"] == ["en", "zh"]


# ---- the fit --------------------------------------------------------------------------------------------------------


EFFECTS = np.array([[-0.3, 0.2, 0.0, 0.1], [0.0, 0.1, -0.2, 0.0]])  # of two sets, on logarithms of losses
PRICES, CONSTANTS = np.array([0.4, 0.1]), np.array([0.7, 0.3])


def planted_proxies(proxies: int, noise: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    exposures, concentration = rng.standard_normal((proxies, 4)), rng.random(proxies)
    logarithms = CONSTANTS + exposures @ EFFECTS.T + np.outer(concentration, PRICES)
    return exposures, concentration, np.exp(logarithms + noise * rng.standard_normal((proxies, 2)))


def test_the_fit_recovers_planted_effects_and_prices():
    found = fit(*planted_proxies(40, 0.0))
    assert found.coefficients.effects == pytest.approx(EFFECTS, abs=1e-3)
    assert found.coefficients.price == pytest.approx(PRICES, abs=1e-3)
    assert found.coefficients.constant == pytest.approx(CONSTANTS, abs=1e-3)
    assert found.explained > 0.999 and found.error < 1e-2


def test_a_set_that_is_learnt_badly_counts_more():
    found = fit(*planted_proxies(40, 0.0), np.array([0.25, 0.75]))
    slope = found.slope(np.zeros(4), 0.0)
    losses = np.exp(CONSTANTS)
    assert slope.effects == pytest.approx(np.array([0.25, 0.75]) * losses @ EFFECTS, abs=1e-3)
    assert slope.price == pytest.approx(0.25 * losses[0] * 0.4 + 0.75 * losses[1] * 0.1, abs=1e-3)


def test_intervals_hold_the_planted_effects():
    held = 0
    for seed in range(10):
        found = fit(*planted_proxies(40, 0.1, seed), seed=seed)
        effects = np.stack([one.effects for one in found.resampled])
        low, high = np.quantile(effects, [0.025, 0.975], axis=0)
        held += int(np.sum((low <= EFFECTS) & (high >= EFFECTS)))
    assert held >= 66  # of 80; 95% would be 76


def test_where_nothing_but_noise_is_measured_nothing_is_explained():
    exposures, concentration, _ = planted_proxies(40, 0.0)
    found = fit(exposures, concentration, np.exp(np.random.default_rng(1).standard_normal((40, 2)) / 5))
    assert found.explained < 0.2 and np.abs(found.coefficients.effects).max() < 0.06


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, c, y: (e[:3], c[:3], y[:3]), "3 proxies tell too little"),
        (lambda e, c, y: (e, c[:-1], y), "are not of the same proxies"),
        (lambda e, c, y: (e, c, np.where(y > 2, np.nan, y)), "a loss of a proxy is not finite"),
        (lambda e, c, y: (e, c, 0 * y), "a loss of a proxy is not finite and above 0"),
        (lambda e, c, y: (e, c, y[:, 0]), "are not of the same proxies"),
    ],
)
def test_figures_that_no_fit_can_be_made_of_are_refused(change, message):
    with pytest.raises(SansiError, match=message):
        fit(*change(*planted_proxies(8, 0.0)))


# ---- what proxies read ----------------------------------------------------------------------------------------------


def test_a_sample_is_a_share_of_the_pieces_and_keeps_clusters_together():
    documents = [document(i, text="x" * 9000) for i in range(300)]
    kept = [piece for number, d in enumerate(documents) for piece in pieces_of(number, d, 0.25, 0)]
    assert len(kept) / 1500 == pytest.approx(0.25, abs=0.04)
    chosen = sample_pieces(documents, 0.1, 0, 300 * 9000)
    assert sum(piece.size for piece in chosen) == pytest.approx(0.1 * 300 * 9000, rel=0.01)
    copies = [document(i, text="y" * 9000, metadata={"cluster": "c"}) for i in range(5)]
    places = [[piece.id.partition("#")[2] for piece in pieces_of(0, d, 0.5, 0)] for d in copies]
    assert all(place == places[0] for place in places)
    whole = "".join(piece.text for piece in pieces_of(0, document(0, text="abc" * 3000), 1.0, 0))
    assert whole == "abc" * 3000


# ---- the search -----------------------------------------------------------------------------------------------------


def made_search(worth, config: SearchConfig | None = None, price: float = 0.3) -> tuple[Search, FeatureSpace, list]:
    """A search whose proxies are a formula: bits per byte fall with the mean `worth` of what was read."""
    documents = corpus(200)
    axes = ["quality", "field", "source"]
    annotations = Annotations.of(documents, axes)
    space = FeatureSpace.fit(annotations, axes)
    pieces = Pieces.of(p for n, d in enumerate(documents) for p in pieces_of(n, d, 1.0, 0))
    sample = Sample(space.matrix(annotations)[pieces.owners], pieces, float(pieces.sizes.sum()))
    value = np.array([worth(documents[owner]) for owner in pieces.owners])

    def measure(trials):
        found = []
        for trial in trials:
            read = trial.counts * sample.sizes
            loss = 3 - float(read @ value / read.sum()) + price * sample.concentration(trial.weights)
            found.append({"A": loss, "B": loss + 1})
        return found

    sources = [documents[owner].source for owner in pieces.owners]
    return Search(config or SearchConfig(proxies=24), sample, measure, 0, sources=sources), space, documents


def test_a_search_finds_what_is_worth_reading():
    search, space, _ = made_search(lambda d: d.quality + 0.5 * (d.field == "law"))
    found = search.run()
    effects = dict(zip(space.names, found.coefficients, strict=True))
    assert effects["quality"] > 0.3 and effects["field=law"] > effects["field=history"] + 0.3
    assert abs(effects["source=one"]) < 0.15
    losses = {candidate.name: candidate.loss for candidate in found.candidates}
    kept = next(c for c in found.candidates if c.strength == found.strength)
    assert kept.loss < losses["proportional"] - 0.1 and kept.loss < losses["uniform"] - 0.1
    assert found.optimum.slope.price == pytest.approx(0.3, abs=0.1)


def test_sets_that_want_different_documents_both_get_theirs():
    """To read nothing but law is best for one set, nothing but history for the other."""
    search, _, documents = made_search(lambda d: 0.0)
    sizes, owners = search.sample.sizes, search.sample.pieces.owners
    fields = np.array([documents[owner].field for owner in owners])

    def shares(weights):
        return {name: float((weights * sizes)[fields == name].sum() / (weights * sizes).sum()) for name in set(fields)}

    def measure(trials):
        read = [shares(trial.counts) for trial in trials]
        return [{"A": 3 * math.exp(-s["law"]), "B": 3 * math.exp(-s["history"])} for s in read]

    found = Search(SearchConfig(proxies=24, confirmations=0), search.sample, measure).run()
    read = shares(search.sample.weights(found.coefficients, search.config.bounds))
    assert read["law"] > 0.35 and read["history"] > 0.35 and read["mathematics"] < 0.2


def test_where_any_choice_is_worse_the_corpus_is_left_as_it_is():
    search, _, _ = made_search(lambda d: 0.0, price=2.0)
    assert search.run().strength == 0.0


def test_no_trial_repeats_more_or_is_narrower_than_allowed():
    config = SearchConfig(proxies=12, max_repeats=2, min_effective_share=0.6)
    search, _, _ = made_search(lambda d: 2 * d.quality, config, price=0.0)
    found = search.run()
    for trial, _ in found.proxies:
        assert trial.counts.max() <= 2
        assert search.sample.concentration(trial.weights) <= config.limit + 1e-9
    assert all(c.concentration <= config.limit + 1e-9 for c in found.candidates if c.strength is not None)


@pytest.mark.slow
def test_equal_searches_are_equal():
    config = SearchConfig(proxies=8, confirmations=0)
    one, other = (made_search(lambda d: d.quality, config)[0].run() for _ in range(2))
    assert one.coefficients.tolist() == other.coefficients.tolist()
    assert [trial.counts.tolist() for trial, _ in one.proxies] == [trial.counts.tolist() for trial, _ in other.proxies]


def test_sets_count_as_they_are_told():
    search, _, _ = made_search(lambda d: d.quality)
    assert search.loss({"A": 1.0, "B": 3.0}) == 2.0
    told = Search(search.config, search.sample, search.measure, set_weights={"B": 3.0})
    assert told.loss({"A": 1.0, "B": 3.0}) == 2.5
    with pytest.raises(SansiError, match='no evaluation set "C"; there are A, B'):
        Search(search.config, search.sample, search.measure, set_weights={"C": 1.0}).loss({"A": 1.0, "B": 1.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"proxies": 3}, '"proxies" must be at least 4'),
        ({"proxies": 6}, r'"proxies" \(6\) must be at least 4 for each of the 2 "rounds"'),
        ({"epochs": 0}, '"epochs" must be above 0'),
        ({"epochs": 5}, r'"epochs" \(5\) must lie between "min_weight" \(0\) and "max_repeats" \(4\)'),
        ({"min_weight": 1.5}, r'"epochs" \(1\) must lie between "min_weight" \(1.5\)'),
        ({"min_effective_share": 0}, '"min_effective_share" is a share'),
        ({"max_repeats": 2.5}, '"max_repeats"'),
    ],
)
def test_impossible_searches_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        SearchConfig(**values)


# ---- weights.json ---------------------------------------------------------------------------------------------------


def some_weights() -> tuple[DocumentWeights, list[Document]]:
    documents = corpus()
    annotations = Annotations.of(documents, ["quality", "field"])
    space = FeatureSpace.fit(annotations, ["quality", "field", "quality*field"])
    coefficients = tuple(Coefficient(0.3 * i - 0.5, 0.1, -1.0, 1.0) for i in range(len(space.terms)))
    return DocumentWeights(space, coefficients, -0.1, Bounds(0.0, 4.0), 1.0, {"documents": 400}), documents


def test_saved_weights_are_the_same_weights(tmp_path):
    given, documents = some_weights()
    file = given.save(tmp_path)
    loaded = load_weights(tmp_path)
    assert loaded.of(documents).tolist() == given.of(documents).tolist()
    assert [loaded(d) for d in documents] == pytest.approx(given.of(documents).tolist())  # one by one, or together
    assert loaded.fitted_on == {"documents": 400}
    before = file.read_bytes()
    assert loaded.save(tmp_path).read_bytes() == before  # equal weights, equal bytes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v | {"format": "other"}, "another version's; fit them again"),
        (lambda v: v | {"numbers": {}}, "damaged: its features do not fit together"),
        (lambda v: v | {"bounds": {"low": 2.0, "high": 1.0}}, "damaged"),
        (lambda v: v | {"log_level": "much"}, '"log_level" must be a number'),
        (lambda v: [], "not the weights of documents"),
    ],
)
def test_damaged_weights_are_refused(tmp_path, change, message):
    file = some_weights()[0].save(tmp_path)
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(SansiError, match=message):
        load_weights(tmp_path)


def test_weights_that_are_not_there_are_told(tmp_path):
    with pytest.raises(SansiError, match="no such file; the stage document_weights makes it"):
        load_weights(tmp_path)


# ---- regret ---------------------------------------------------------------------------------------------------------


def test_regret_is_of_pairs():
    found = Regret.of([1.1, 2.1, 3.2], [1.0, 2.0, 3.0])
    assert found.mean == pytest.approx(0.4 / 3) and found.low < 0.1 < found.high
    assert str(Regret.of([1.5], [1.0])) == "+0.5000"
    assert t_quantile(4) == 2.776 and t_quantile(1000) == pytest.approx(1.96, abs=0.01)


def test_a_sample_is_made_of_features_of_the_owners():
    pieces = Pieces(np.array([0, 0, 1]), np.array([5, 5, 10]), ("a#0", "a#1", "b#0"))
    sample = Sample(np.array([[1.0], [1.0], [-1.0]]), pieces, 20.0)
    assert sample.exposure(np.array([1, 0, 1])).tolist() == [(5 - 10) / 15]
