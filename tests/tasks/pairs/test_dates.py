import calendar
import datetime
import itertools
import re

import numpy as np
import pytest

from lstm_jax.tasks.pairs.data import batches
from lstm_jax.tasks.pairs.dates import (
    SOURCE_VOCABULARY,
    STYLES,
    TARGET_VOCABULARY,
    TWO_DIGIT_STYLES,
    dates_of,
    ordinal,
    split_of,
    written_dates,
)
from lstm_jax.tasks.vocabulary import END, UNKNOWN

SPLITS = ("train", "validation", "test")
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
ROMAN = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii"]
WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def parse(text):
    """The date as understood by a reader who knows the rules but not the style."""
    if match := re.fullmatch(r"(\d{4})(\d\d)(\d\d)|(\d{4})[/.](\d+)[/.](\d+)", text):
        year, month, day = (int(figure) for figure in match.groups() if figure)
    elif match := re.fullmatch(r"(\d+)\. ?(\d+)\. ?(\d{4})", text):
        day, month, year = map(int, match.groups())
    else:
        figures = re.findall(r"\d+", text)
        assert len(figures) == 2
        if len(figures[0]) == 4:
            figures.reverse()  # the year comes first
        day, year = map(int, figures)
        if len(figures[1]) == 2:
            year += 1900 if year >= 69 else 2000
        words = re.findall(r"[a-z]+", text.lower())
        words = [word for word in words if word not in ("the", "of", "st", "nd", "rd", "th")]
        weekdays = [word for word in words if word[:3] in WEEKDAYS]
        (name,) = [word for word in words if word not in weekdays]
        month = (ROMAN.index(name) if name in ROMAN else MONTHS.index(name[:3])) + 1
        for word in weekdays:
            assert WEEKDAYS.index(word[:3]) == calendar.weekday(year, month, day)
    return f"{year:04}-{month:02}-{day:02}"


def test_every_style_of_every_kind_of_date_is_read_back():
    first = datetime.date(1900, 1, 1)
    days = [first + datetime.timedelta(number) for number in range(0, 73049, 61)]
    days += [datetime.date(year, 2, 29) for year in (1904, 1996, 2000, 2096)]
    assert len({(day.month, day.day) for day in days}) > 350
    for day, (name, style) in itertools.product(days, STYLES.items()):
        if name in TWO_DIGIT_STYLES and not 1969 <= day.year <= 2068:
            continue
        assert parse(style(day)) == day.isoformat(), (name, style(day))


def test_a_style_is_called_what_it_writes():
    may, september = datetime.date(1979, 5, 3), datetime.date(1979, 9, 3)
    for name, style in STYLES.items():
        assert name in (style(may), style(september))
    assert len(STYLES) == 34


def test_ordinals():
    written = [
        "1st",
        "2nd",
        "3rd",
        "4th",
        "10th",
        "11th",
        "12th",
        "13th",
        "20th",
        "21st",
        "22nd",
        "23rd",
        "30th",
        "31st",
    ]
    assert [ordinal(int(text[:-2])) for text in written] == written


def test_the_splits_are_disjoint_cover_all_dates_and_do_not_move():
    parts = {split: dates_of(split) for split in SPLITS}
    days = [day for part in parts.values() for day in part]
    assert len(days) == len(set(days)) == 73049  # 200 years, 49 of them leap years
    for split, share in (("train", 0.8), ("validation", 0.1), ("test", 0.1)):
        np.testing.assert_allclose(len(parts[split]) / 73049, share, atol=0.005)
        months = np.bincount([day.month for day in parts[split]])[1:]
        np.testing.assert_allclose(months / months.sum(), 1 / 12, atol=0.012)
    assert set(dates_of("test", 1950, 1951)) == {d for d in parts["test"] if d.year in (1950, 1951)}
    # Chosen once: other dates here would make results of before and after hard to compare.
    spring = [datetime.date(2000, 1, 1) + datetime.timedelta(number) for number in range(60)]
    held_out = {split: [f"{d:%m-%d}" for d in spring if split_of(d) == split] for split in SPLITS}
    assert held_out["validation"] == ["01-14", "01-26", "02-20", "02-22"]
    assert held_out["test"] == ["01-01", "01-13", "01-18", "01-20", "01-31", "02-17", "02-21"]


@pytest.mark.parametrize("split", SPLITS)
def test_drawn_dates_are_the_splits_in_all_styles(split):
    drawn = written_dates(20_000, split, seed=5)
    assert set(drawn.targets) <= {day.isoformat() for day in dates_of(split)}
    for source, target, style in zip(*drawn, strict=True):
        assert parse(source) == target
        assert source == STYLES[style](datetime.date.fromisoformat(target))
    # Half of the years may have two figures, and those dates have four styles more to choose from.
    counts = {style: drawn.styles.count(style) / 20_000 for style in STYLES}
    for style, share in counts.items():
        expected = 0.5 / 34 if style in TWO_DIGIT_STYLES else 0.5 / 30 + 0.5 / 34
        assert abs(share - expected) < 0.25 * expected


def test_a_seed_gives_the_same_dates_and_another_seed_others():
    assert written_dates(50, seed=1) == written_dates(50, seed=1)
    assert written_dates(50, seed=1).targets != written_dates(50, seed=2).targets
    years = {int(target[:4]) for target in written_dates(500, first_year=30, last_year=31).targets}
    assert years == {30, 31}


def test_characters_come_back_from_their_ids():
    drawn = written_dates(3000, "validation")
    pairs = drawn.encode()
    assert not any((row == UNKNOWN).any() for rows in pairs for row in rows)
    for _, batch in batches(pairs, batch_size=3000, widths=[(40, 11)]):
        assert (batch.target[10] == END).all()
        for column in range(0, 3000, 100):
            source = SOURCE_VOCABULARY.decode(batch.source[:, column])
            target = TARGET_VOCABULARY.decode(batch.target[:, column])
            assert "".join(source) == drawn.sources[column]
            assert "".join(target) == drawn.targets[column]


def test_bad_input_names_the_argument():
    with pytest.raises(ValueError, match=r"count: .*got 0"):
        written_dates(0)
    with pytest.raises(ValueError, match="last_year: expected first_year, 1900, to 9999, got 1899"):
        written_dates(1, last_year=1899)
    with pytest.raises(ValueError, match=r"last_year: .*got 10000"):
        dates_of("test", 1, 10_000)
    with pytest.raises(ValueError, match=r"seed: .*got -1"):
        written_dates(1, seed=-1)
    with pytest.raises(ValueError, match=r"split: .*got 'tset'.*did you mean 'test'"):
        dates_of("tset")
