"""Learning the Brixia score: what is learned from, what is computed, and system 2's network."""

import numpy as np
import pandas as pd
import pytest
import torch

from lunglens.film.severity import LungsBox, zone_scores
from lunglens.train.severity.bsnet_fold import BsnetSettings, train_and_score
from lunglens.train.severity.features import STAGES, LiteStages
from lunglens.train.severity.films import ScoredFilms
from lunglens.train.severity.package import SeverityGraph
from lunglens.train.severity.ridge import ZoneRidge, fit_ridges, inner_errors
from lunglens.train.severity.zones import CHOSEN, WAYS, predict_fold
from lunglens.train.systems.bsnet import REGIONS, BSNet, bsnet_loss, zones_of

GENERATOR = np.random.default_rng(0)
FILMS, CHANNELS = 24, 5


@pytest.fixture(scope="module")
def films() -> ScoredFilms:
    """Of twelve patients; zones that are brighter were scored higher, and of the last two the extent alone is known."""
    scores = GENERATOR.integers(0, 4, (FILMS, 6)).astype(float)
    pixels = np.full((FILMS, 512, 512), 60, np.uint8)
    fields = np.zeros((FILMS, 512, 512), bool)
    for zone in range(6):
        rows, columns = (
            slice(60 + 130 * (zone % 3), 190 + 130 * (zone % 3)),
            slice(60, 200) if zone < 3 else slice(310, 450),
        )
        fields[:, rows, columns] = True
        pixels[:, rows, columns] = (20 + 40 * scores[:, zone]).astype(np.uint8)[:, None, None]
    cells = {f"{reader}-{zone}": scores[:, at] for reader in "SJ" for at, zone in enumerate("ABCDEF")}
    table = pd.DataFrame(cells)
    table.iloc[-2:] = np.nan
    table["group_id"] = [f"patient {number // 2}" for number in range(FILMS)]
    table["geographic_mean"] = scores.sum(axis=1) * 8 / 18
    return ScoredFilms(table, pixels, fields)


@pytest.fixture(scope="module")
def features(films: ScoredFilms) -> dict[str, np.ndarray]:
    """Whose first channel is the score itself, and what it is on the films of which it is not known."""
    found = GENERATOR.normal(size=(2, FILMS, 6, CHANNELS)).astype(np.float32)
    found[0, ..., 0] = np.nan_to_num(films.consensus, nan=1.5)
    found[1, ..., 0] = found[0, ..., 0]
    return {f"{kind} {stage}": found for kind in ("lungs", "boxes") for stage in STAGES}


def test_every_way_finds_a_score_that_lies_in_the_features(films: ScoredFilms, features: dict[str, np.ndarray]) -> None:
    train = np.arange(FILMS) % 6 < 4  # whole patients
    answers = predict_fold(films, features, train, 0)
    assert answers.keys() == {*WAYS, CHOSEN}
    tested = ~train & films.scored
    for scores in answers.values():
        assert np.abs(scores[tested] - films.consensus[tested]).mean() < 0.3


def test_what_a_tested_film_was_scored_is_not_learned_from(films: ScoredFilms, features: dict[str, np.ndarray]) -> None:
    train = np.arange(FILMS) % 6 < 4
    told = films.table.copy()
    told.loc[~train, told.columns[:12]] = 3.0
    told.loc[~train, "geographic_mean"] = 8.0
    other = predict_fold(ScoredFilms(told, films.films, films.fields), features, train, 0)
    for way, scores in predict_fold(films, features, train, 0).items():
        assert np.array_equal(scores, other[way])


def test_the_penalty_is_chosen_for_what_generalises() -> None:
    noise = GENERATOR.normal(size=(2, 40, 6, 30)).astype(np.float32)
    scores = GENERATOR.uniform(0, 3, (40, 6))
    groups = np.arange(40).astype(str)
    assert inner_errors(noise, scores, groups, 0, context=True).argmin() > 2
    noise[..., 0] = scores
    assert inner_errors(noise, scores, groups, 0, context=True).argmin() < 3


def test_the_packages_graph_gives_the_ridges_scores() -> None:
    trunk = LiteStages([4])
    image = GENERATOR.uniform(0, 1, (96, 96)).astype(np.float32)
    zones = np.zeros((6, 96, 96), bool)
    for zone in range(6):
        zones[zone, 32 * (zone % 3) : 32 * (zone % 3) + 32, 48 * (zone // 3) : 48 * (zone // 3) + 48] = True
    box = LungsBox(image, zones, (0, 0, 96, 96))
    with torch.inference_mode():
        maps = trunk(torch.from_numpy(image)[None, None])[0][0].numpy()
    features = np.einsum("zhw,chw->zc", box.weights(*maps.shape[1:]), maps)
    own, shared = GENERATOR.normal(0, 0.02, (2, len(maps)))
    ridge = ZoneRidge(own, shared, np.linspace(1, 2, 6))
    with torch.inference_mode():
        [answer] = SeverityGraph(trunk, ridge)(torch.from_numpy(image)[None, None])
    assert zone_scores(answer[0].numpy(), box, ridge.offsets) == pytest.approx(
        ridge.scores(features[None])[0], abs=1e-4
    )


def test_films_of_known_sum_alone_move_the_fit() -> None:
    features = GENERATOR.normal(size=(2, 10, 6, 3)).astype(np.float32)
    scores = GENERATOR.uniform(0, 3, (10, 6))
    more = features[:, :4] + 1, np.full(4, 18.0)
    alone, [with_more] = fit_ridges(features, scores, [1.0]), fit_ridges(features, scores, [1.0], sums=more)
    assert with_more.scores(more[0][0]).sum() > alone[0].scores(more[0][0]).sum()


# ---- BS-Net (section 16 of the specification)


@pytest.fixture(scope="module")
def net() -> BSNet:
    torch.manual_seed(0)
    return BSNet().eval()


@pytest.fixture(scope="module")
def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand((2, 1, 128, 128), generator=generator), torch.rand((2, 1, 128, 128), generator=generator)


def test_bsnet_answers_three_rows_two_columns_and_four_grades(
    net: BSNet, pictures: tuple[torch.Tensor, torch.Tensor]
) -> None:
    with torch.inference_mode():
        found = net(*pictures)
    assert found.shape == (2, 3, 2, 4)
    assert torch.allclose(found.sum(-1), torch.ones(2, 3, 2))


def test_an_identity_alignment_changes_nothing(net: BSNet, pictures: tuple[torch.Tensor, torch.Tensor]) -> None:
    unaligned = BSNet(aligned=False).eval()
    unaligned.load_state_dict(net.state_dict(), strict=False)
    with torch.inference_mode():
        assert torch.allclose(net(*pictures), unaligned(*pictures), atol=1e-5)


def test_the_left_column_is_a_b_c() -> None:
    grades = torch.tensor([[0, 3], [1, 2], [2, 0]])
    answer = torch.nn.functional.one_hot(grades, 4).float()[None]
    assert zones_of(answer).tolist() == [[0, 1, 2, 3, 2, 0]]
    assert [box[:2] for box in REGIONS] == [(0.0, 0.0), (0.0, 0.5), (0.3, 0.0), (0.3, 0.5), (0.6, 0.0), (0.6, 0.5)]


def test_the_heads_are_not_shared(net: BSNet) -> None:
    assert len({id(parameter) for head in net.heads for parameter in head.parameters()}) == 6 * 14


def test_the_loss_is_least_where_the_answer_is_right_and_sure() -> None:
    grades = torch.tensor([[[0.0, 3], [1, 2], [2, 0]]])
    right = 20 * torch.nn.functional.one_hot(grades.long(), 4).float()
    near, far = right.roll(1, -1), right.flip(-1)
    assert bsnet_loss(right, grades) < 0.01
    assert bsnet_loss(right, grades) < bsnet_loss(near, grades)
    assert bsnet_loss(near, grades, alpha=0) < bsnet_loss(far, grades, alpha=0) + 1


def test_bsnet_learns_a_fold_and_does_so_again(films: ScoredFilms) -> None:
    settings = BsnetSettings(size=64, epochs=1, batch_size=8)
    train, test = np.arange(16), np.arange(16, 22)
    first = train_and_score(films, settings, train, test, 0)
    assert first.shape == (6, 6)
    assert ((first >= 0) & (first <= 3)).all()
    assert np.array_equal(first, train_and_score(films, settings, train, test, 0))
