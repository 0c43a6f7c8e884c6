"""Dates: English dates in many styles, to be written as ISO 8601, one character at a time."""

import datetime
import functools
import hashlib
import string
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from lstm_jax._internal import checking
from lstm_jax._internal.errors import WrongValue
from lstm_jax.tasks.pairs.data import Pairs, host_generator
from lstm_jax.tasks.vocabulary import SPECIALS, Vocabulary

# Not from the calendar module, whose names follow the locale.
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")

SplitName = Literal["train", "validation", "test"]
SPLITS = ("train", "validation", "test")
TENTHS = {"validation": (1,), "test": (0,)}  # of the dates, by their hash; train has the others

# Two digits for a year stand for 1969 to 2068, as in POSIX.
TWO_DIGIT_YEARS = range(1969, 2069)

SOURCE_VOCABULARY = Vocabulary(
    (*SPECIALS, *sorted(string.ascii_letters + string.digits + " ',-./"))
)
TARGET_VOCABULARY = Vocabulary((*SPECIALS, *sorted(string.digits + "-")))


class WrittenDates(NamedTuple):
    """Written dates and the ISO dates that they mean, as text.

    styles: the keys of the sources in ``STYLES``.
    """

    sources: list[str]
    targets: list[str]
    styles: list[str]

    def encode(self) -> Pairs:
        """The ids of the characters, in SOURCE_VOCABULARY and TARGET_VOCABULARY."""
        return Pairs(
            [SOURCE_VOCABULARY.encode(text) for text in self.sources],
            [TARGET_VOCABULARY.encode(text) for text in self.targets],
        )


def written_dates(
    count: int,
    split: SplitName = "train",
    *,
    seed: int = 0,
    first_year: int = 1900,
    last_year: int = 2099,
) -> WrittenDates:
    """``count`` dates of ``split``, drawn uniformly with repetition, each in a style drawn
    uniformly from those that can write it. A common exercise for attention; it has no paper.

    The splits are apart by date: a fixed hash of the date puts about a tenth of all dates into
    "validation" and a tenth into "test", so that a test date was seen in no style. The target is
    ``YYYY-MM-DD``, 11 steps with END, and every style determines it:

    - figures alone are in the order year, month, day (1979/05/03, 1979.5.3, 19790503), except
      that figures with dots and the year at the end have the day first (03.05.1979);
    - two digits stand for the years 1969 to 2068, as in POSIX, and other years have four;
    - weekdays are right, and months in Roman figures stand between day and year.

    Chance: an answer that does not look at the source matches exactly in one of as many cases as
    the split has dates, about 1/7300 in validation and test.

    Args:
        count: the number of dates.
        split: "train", "validation" or "test".
        seed: the same seed gives the same dates; splits draw differently.
        first_year, last_year: 1 to 9999, both included.

    Raises:
        ValueError: if the years have no date in the split.
    """
    count = checking.positive_int("count", count)
    checking.choice("split", split, SPLITS)
    days = dates_of(split, first_year, last_year)
    if not days:
        raise WrongValue(
            f"first_year: expected years that have dates in {split}, got {first_year} to "
            f"{last_year}"
        )
    rng = host_generator(seed=seed, split=SPLITS.index(split))
    chosen = [days[place] for place in rng.integers(len(days), size=count)]
    # Styles with two digits for the year come last in STYLES.
    short = np.array([day.year in TWO_DIGIT_YEARS for day in chosen])
    numbers = rng.integers(np.where(short, len(STYLES), len(STYLES) - len(TWO_DIGIT_STYLES)))
    names = list(STYLES)
    styles = [names[number] for number in numbers]
    sources = [STYLES[style](day) for style, day in zip(styles, chosen, strict=True)]
    return WrittenDates(sources, [day.isoformat() for day in chosen], styles)


@functools.lru_cache(maxsize=8)
def dates_of(split: str, first_year: int = 1900, last_year: int = 2099) -> list[datetime.date]:
    """All dates of ``split`` in these years, in order."""
    checking.choice("split", split, SPLITS)
    first_year = checking.positive_int("first_year", first_year)
    last_year = checking.positive_int("last_year", last_year)
    if not first_year <= last_year <= datetime.MAXYEAR:
        raise WrongValue(
            f"last_year: expected first_year, {first_year}, to {datetime.MAXYEAR}, got {last_year}"
        )
    first, last = datetime.date(first_year, 1, 1), datetime.date(last_year, 12, 31)
    days = map(datetime.date.fromordinal, range(first.toordinal(), last.toordinal() + 1))
    return [day for day in days if split_of(day) == split]


def split_of(day: datetime.date) -> str:
    """The split of ``day``, the same for all years and seeds: by the SHA-256 of its ISO form."""
    digest = hashlib.sha256(day.isoformat().encode()).digest()
    tenth = int.from_bytes(digest[:8], "big") % 10
    return next((split for split, tenths in TENTHS.items() if tenth in tenths), "train")


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ... 11th, 12th, 13th, ... 21st."""
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"


def month(day: datetime.date) -> str:
    return MONTHS[day.month - 1]


def weekday(day: datetime.date) -> str:
    return WEEKDAYS[day.weekday()]


Style = Callable[[datetime.date], str]

# A style's name is how it writes 3 May 1979, or 3 September if it shortens months.
FOUR_DIGIT_STYLES: dict[str, Style] = {
    "3 May 1979": lambda d: f"{d.day} {month(d)} {d.year}",
    "03 May 1979": lambda d: f"{d.day:02} {month(d)} {d.year}",
    "3 may 1979": lambda d: f"{d.day} {month(d).lower()} {d.year}",
    "3 MAY 1979": lambda d: f"{d.day} {month(d).upper()} {d.year}",
    "3rd May 1979": lambda d: f"{ordinal(d.day)} {month(d)} {d.year}",
    "3. May 1979": lambda d: f"{d.day}. {month(d)} {d.year}",
    "03-SEP-1979": lambda d: f"{d.day:02}-{month(d)[:3].upper()}-{d.year}",
    "3 Sep 1979": lambda d: f"{d.day} {month(d)[:3]} {d.year}",
    "May 3, 1979": lambda d: f"{month(d)} {d.day}, {d.year}",
    "May 03, 1979": lambda d: f"{month(d)} {d.day:02}, {d.year}",
    "MAY 3, 1979": lambda d: f"{month(d).upper()} {d.day}, {d.year}",
    "may 3rd 1979": lambda d: f"{month(d).lower()} {ordinal(d.day)} {d.year}",
    "May 3rd, 1979": lambda d: f"{month(d)} {ordinal(d.day)}, {d.year}",
    "sep. 3, 1979": lambda d: f"{month(d)[:3].lower()}. {d.day}, {d.year}",
    "the 3rd of May, 1979": lambda d: f"the {ordinal(d.day)} of {month(d)}, {d.year}",
    "May the 3rd, 1979": lambda d: f"{month(d)} the {ordinal(d.day)}, {d.year}",
    "Thursday, 3 May 1979": lambda d: f"{weekday(d)}, {d.day} {month(d)} {d.year}",
    "Thursday, May 3, 1979": lambda d: f"{weekday(d)}, {month(d)} {d.day}, {d.year}",
    "mon 3 sep 1979": lambda d: f"{weekday(d)[:3].lower()} {d.day} {month(d)[:3].lower()} {d.year}",
    "Mon, 03 Sep 1979": lambda d: f"{weekday(d)[:3]}, {d.day:02} {month(d)[:3]} {d.year}",
    "Thursday the 3rd of May 1979": lambda d: (
        f"{weekday(d)} the {ordinal(d.day)} of {month(d)} {d.year}"
    ),
    "3.V.1979": lambda d: f"{d.day}.{ROMAN[d.month - 1]}.{d.year}",
    "3 v 1979": lambda d: f"{d.day} {ROMAN[d.month - 1].lower()} {d.year}",
    "1979 May 3": lambda d: f"{d.year} {month(d)} {d.day}",
    "1979, Sep. 3": lambda d: f"{d.year}, {month(d)[:3]}. {d.day}",
    "1979/05/03": lambda d: f"{d.year}/{d.month:02}/{d.day:02}",
    "1979.5.3": lambda d: f"{d.year}.{d.month}.{d.day}",
    "19790503": lambda d: f"{d.year:04}{d.month:02}{d.day:02}",
    "03.05.1979": lambda d: f"{d.day:02}.{d.month:02}.{d.year}",
    "3. 5. 1979": lambda d: f"{d.day}. {d.month}. {d.year}",
}

TWO_DIGIT_STYLES: dict[str, Style] = {
    "3 May '79": lambda d: f"{d.day} {month(d)} '{d.year % 100:02}",
    "03-Sep-79": lambda d: f"{d.day:02}-{month(d)[:3]}-{d.year % 100:02}",
    "May 3rd, '79": lambda d: f"{month(d)} {ordinal(d.day)}, '{d.year % 100:02}",
    "Mon 3 Sep 79": lambda d: (
        f"{weekday(d)[:3]} {d.day} {month(d)[:3]} {d.year % 100:02}"
    ),
}  # fmt: skip

STYLES: dict[str, Style] = FOUR_DIGIT_STYLES | TWO_DIGIT_STYLES
