"""Linear fits and variances against NIST's Statistical Reference Datasets (https://www.itl.nist.gov/div898/strd).

Data and certified values are those that NIST publishes, computed there with 500 digits. What is compared is the log
relative error (LRE), the number of digits that agree: at least 9 on the lower and average sets, 6 on the higher ones.
A standard deviation of the estimate is that of ordinary least squares, √(inverse · residual variance).

Data that are exact polynomials are written as such. Wampler 3 to 5 add one fixed error, times 1, 100 and 10,000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from analysis_lib.survey.design import SurveyDesign
from analysis_lib.survey.estimation import mean
from analysis_lib.survey.regression import least_squares, linear_model

LOWER_OR_AVERAGE, HIGHER = 9, 6


def digits(found: float | np.ndarray, certified: list[float] | float) -> float:
    """Smallest log relative error (absolute where the certified value is zero), 15 at most."""
    found, certified = np.atleast_1d(np.asarray(found, float)), np.atleast_1d(np.asarray(certified, float))
    scale = np.where(certified == 0, 1.0, np.abs(certified))
    return float(np.min(-np.log10(np.maximum(np.abs(found - certified) / scale, 1e-15))))


def text(numbers: str) -> np.ndarray:
    return np.array(numbers.split(), dtype=float)


@dataclass(frozen=True)
class Certified:
    y: np.ndarray
    x: np.ndarray
    level: int
    coefficients: list[float]
    deviations: list[float]
    residual_deviation: float


NORRIS = text("""
0.1 0.2 338.8 337.4 118.1 118.2 888.0 884.6 9.2 10.1 228.1 226.5 668.5 666.3 998.5 996.3 449.1 448.6 778.9 777.0
559.2 558.2 0.3 0.4 0.1 0.6 778.1 775.5 668.8 666.9 339.3 338.0 448.9 447.5 10.8 11.6 557.7 556.0 228.3 228.1
998.0 995.8 888.8 887.6 119.6 120.2 0.3 0.3 0.6 0.3 557.6 556.8 339.3 339.1 888.0 887.2 998.5 999.0 778.9 779.0
10.2 11.1 117.6 118.3 228.9 229.2 668.4 669.1 449.2 448.9 0.2 0.5
""").reshape(-1, 2)

PONTIUS_Y = text("""
.11019 .21956 .32949 .43899 .54803 .65694 .76562 .87487 .98292 1.09146 1.20001 1.30822 1.41599 1.52399 1.63194 1.73947
1.84646 1.95392 2.06128 2.16844 .11052 .22018 .32939 .43886 .54798 .65739 .76596 .87474 .98300 1.09150 1.20004 1.30818
1.41613 1.52408 1.63159 1.73965 1.84696 1.95445 2.06177 2.16829
""")
PONTIUS_X = np.tile(150000.0 * np.arange(1, 21), 2)

LONGLEY = text("""
60323 83.0 234289 2356 1590 107608 1947 61122 88.5 259426 2325 1456 108632 1948 60171 88.2 258054 3682 1616 109773 1949
61187 89.5 284599 3351 1650 110929 1950 63221 96.2 328975 2099 3099 112075 1951 63639 98.1 346999 1932 3594 113270 1952
64989 99.0 365385 1870 3547 115094 1953 63761 100.0 363112 3578 3350 116219 1954 66019 101.2 397469 2904 3048 117388 1955
67857 104.6 419180 2822 2857 118734 1956 68169 108.4 442769 2936 2798 120445 1957 66513 110.8 444546 4681 2637 121950 1958
68655 112.6 482704 3813 2552 123366 1959 69564 114.2 502601 3931 2514 125368 1960 69331 115.7 518173 4806 2572 127852 1961
70551 116.9 554894 4007 2827 130081 1962
""").reshape(-1, 7)

FILIP = text("""
0.8116 -6.860120914 0.9072 -4.324130045 0.9052 -4.358625055 0.9039 -4.358426747 0.8053 -6.955852379
0.8377 -6.661145254 0.8667 -6.355462942 0.8809 -6.118102026 0.7975 -7.115148017 0.8162 -6.815308569
0.8515 -6.519993057 0.8766 -6.204119983 0.8885 -5.853871964 0.8859 -6.109523091 0.8959 -5.79832982
0.8913 -5.482672118 0.8959 -5.171791386 0.8971 -4.851705903 0.9021 -4.517126416 0.909 -4.143573228
0.9139 -3.709075441 0.9199 -3.499489089 0.8692 -6.300769497 0.8872 -5.953504836 0.89 -5.642065153
0.891 -5.031376979 0.8977 -4.680685696 0.9035 -4.329846955 0.9078 -3.928486195 0.7675 -8.56735134
0.7705 -8.363211311 0.7713 -8.107682739 0.7736 -7.823908741 0.7775 -7.522878745 0.7841 -7.218819279
0.7971 -6.920818754 0.8329 -6.628932138 0.8641 -6.323946875 0.8804 -5.991399828 0.7668 -8.781464495
0.7633 -8.663140179 0.7678 -8.473531488 0.7697 -8.247337057 0.77 -7.971428747 0.7749 -7.676129393
0.7796 -7.352812702 0.7897 -7.072065318 0.8131 -6.774174009 0.8498 -6.478861916 0.8741 -6.159517513
0.8061 -6.835647144 0.846 -6.53165267 0.8751 -6.224098421 0.8856 -5.910094889 0.8919 -5.598599459
0.8934 -5.290645224 0.894 -4.974284616 0.8957 -4.64454848 0.9047 -4.290560426 0.9129 -3.885055584
0.9209 -3.408378962 0.9219 -3.13200249 0.7739 -8.726767166 0.7681 -8.66695597 0.7665 -8.511026475
0.7703 -8.165388579 0.7702 -7.886056648 0.7761 -7.588043762 0.7809 -7.283412422 0.7961 -6.995678626
0.8253 -6.691862621 0.8602 -6.392544977 0.8809 -6.067374056 0.8301 -6.684029655 0.8664 -6.378719832
0.8834 -6.065855188 0.8898 -5.752272167 0.8964 -5.132414673 0.8963 -4.811352704 0.9074 -4.098269308
0.9119 -3.66174277 0.9228 -3.2644011
""").reshape(-1, 2)

STEPS = np.arange(21.0)
WAMPLER_X = STEPS[:, None] ** np.arange(6)
WAMPLER_ERROR = text("""
759 -2048 2048 -2048 2523 -2048 2048 -2048 1838 -2048 2048 -2048 1838 -2048 2048 -2048 2523 -2048 2048 -2048 759
""")
WAMPLER_SD = np.array(
    [2152.32624678170, 2363.55173469681, 779.343524331583, 101.475507550350, 5.64566512170752, 0.112324854679312]
)


def wampler(times: float) -> Certified:
    y = WAMPLER_X.sum(axis=1) + times * WAMPLER_ERROR
    return Certified(y, WAMPLER_X, HIGHER, [1.0] * 6, list(times * WAMPLER_SD), times * 2360.14502379268)


FITS = {
    "Norris": Certified(
        NORRIS[:, 0],
        np.column_stack([np.ones(36), NORRIS[:, 1]]),
        LOWER_OR_AVERAGE,
        [-0.262323073774029, 1.00211681802045],
        [0.232818234301152, 0.429796848199937e-03],
        0.884796396144373,
    ),
    "Pontius": Certified(
        PONTIUS_Y,
        PONTIUS_X[:, None] ** np.arange(3),
        LOWER_OR_AVERAGE,
        [0.673565789473684e-03, 0.732059160401003e-06, -0.316081871345029e-14],
        [0.107938612033077e-03, 0.157817399981659e-09, 0.486652849992036e-16],
        0.205177424076185e-03,
    ),
    "NoInt1": Certified(
        np.arange(130.0, 141.0),
        np.arange(60.0, 71.0)[:, None],
        LOWER_OR_AVERAGE,
        [2.07438016528926],
        [0.165289256198347e-01],
        3.56753034006338,
    ),
    "NoInt2": Certified(
        np.array([3.0, 4.0, 4.0]),
        np.array([[4.0], [5.0], [6.0]]),
        LOWER_OR_AVERAGE,
        [0.727272727272727],
        [0.420827318078432e-01],
        0.369274472937998,
    ),
    "Longley": Certified(
        LONGLEY[:, 0],
        np.column_stack([np.ones(16), LONGLEY[:, 1:]]),
        HIGHER,
        [
            -3482258.63459582,
            15.0618722713733,
            -0.358191792925910e-01,
            -2.02022980381683,
            -1.03322686717359,
            -0.511041056535807e-01,
            1829.15146461355,
        ],
        [
            890420.383607373,
            84.9149257747669,
            0.334910077722432e-01,
            0.488399681651699,
            0.214274163161675,
            0.226073200069370,
            455.478499142212,
        ],
        304.854073561965,
    ),
    "Filip": Certified(
        FILIP[:, 0],
        FILIP[:, 1:] ** np.arange(11),
        HIGHER,
        [
            -1467.48961422980,
            -2772.17959193342,
            -2316.37108160893,
            -1127.97394098372,
            -354.478233703349,
            -75.1242017393757,
            -10.8753180355343,
            -1.06221498588947,
            -0.670191154593408e-01,
            -0.246781078275479e-02,
            -0.402962525080404e-04,
        ],
        [
            298.084530995537,
            559.779865474950,
            466.477572127796,
            227.204274477751,
            71.6478660875927,
            15.2897178747400,
            2.23691159816033,
            0.221624321934227,
            0.142363763154724e-01,
            0.535617408889821e-03,
            0.896632837373868e-05,
        ],
        0.334801051324544e-02,
    ),
    "Wampler1": Certified(WAMPLER_X.sum(axis=1), WAMPLER_X, HIGHER, [1.0] * 6, [0.0] * 6, 0.0),
    "Wampler2": Certified(
        WAMPLER_X @ 10.0 ** -np.arange(6), WAMPLER_X, HIGHER, list(10.0 ** -np.arange(6)), [0.0] * 6, 0.0
    ),
    "Wampler3": wampler(1.0),
    "Wampler4": wampler(100.0),
    "Wampler5": wampler(10000.0),
}


@pytest.mark.parametrize("name", FITS)
def test_least_squares_reaches_the_certified_digits(name: str) -> None:
    case = FITS[name]
    fit = least_squares(case.x, case.y)
    variance = (fit.residuals**2).sum() / (len(case.y) - case.x.shape[1])
    assert digits(fit.coefficients, case.coefficients) >= case.level
    assert digits(np.sqrt(variance), case.residual_deviation) >= case.level
    assert digits(np.sqrt(np.diagonal(fit.inverse) * variance), case.deviations) >= case.level


def test_a_linear_model_of_a_simple_random_sample_has_the_certified_coefficients() -> None:
    """The same fit through the survey door: Longley's data, each row drawn with weight one."""
    names = ["employed", "deflator", "gnp", "unemployed", "armed", "population", "year"]
    frame = pd.DataFrame(LONGLEY, columns=names).assign(weight=1.0)
    found = linear_model(frame, "employed", names[1:], design=SurveyDesign()).table
    assert digits(found["estimate"].to_numpy(), FITS["Longley"].coefficients) >= HIGHER


LOTTERY = text("""
162 671 933 414 788 730 817 33 536 875 670 236 473 167 877 980 316 950 456 92 517 557 956 954 104 178 794 278 147 773
437 435 502 610 582 780 689 562 964 791 28 97 848 281 858 538 660 972 671 613 867 448 738 966 139 636 847 659 754 243
122 455 195 968 793 59 730 361 574 522 97 762 431 158 429 414 22 629 788 999 187 215 810 782 47 34 108 986 25 644
829 630 315 567 919 331 207 412 242 607 668 944 749 168 864 442 533 805 372 63 458 777 416 340 436 140 919 350 510 572
905 900 85 389 473 758 444 169 625 692 140 897 672 288 312 860 724 226 884 508 976 741 476 417 831 15 318 432 241 114
799 955 833 358 935 146 630 830 440 642 356 373 271 715 367 393 190 669 8 861 108 795 269 590 326 866 64 523 862 840
219 382 998 4 628 305 747 247 34 747 729 645 856 974 24 568 24 694 608 480 410 729 947 293 53 930 223 203 677 227
62 455 387 318 562 242 428 968
""")
MAVRO = text("""
2.00180 2.00170 2.00180 2.00190 2.00180 2.00170 2.00150 2.00140 2.00150 2.00150 2.00170 2.00180 2.00180 2.00190 2.00190
2.00210 2.00200 2.00160 2.00140 2.00130 2.00130 2.00150 2.00150 2.00160 2.00150 2.00140 2.00130 2.00140 2.00150 2.00140
2.00150 2.00160 2.00150 2.00160 2.00190 2.00200 2.00200 2.00210 2.00220 2.00230 2.00240 2.00250 2.00270 2.00260 2.00260
2.00260 2.00270 2.00260 2.00250 2.00240
""")


LEW = text("""
-213 -564 -35 -15 141 115 -420 -360 203 -338 -431 194 -220 -513 154 -125 -559 92 -21 -579 -52 99 -543 -175 162 -457 -346
204 -300 -474 164 -107 -572 -8 83 -541 -224 180 -420 -374 201 -236 -531 83 27 -564 -112 131 -507 -254 199 -311 -495 143
-46 -579 -90 136 -472 -338 202 -287 -477 169 -124 -568 17 48 -568 -135 162 -430 -422 172 -74 -577 -13 92 -534 -243 194
-355 -465 156 -81 -578 -64 139 -449 -384 193 -198 -538 110 -44 -577 -6 66 -552 -164 161 -460 -344 205 -281 -504 134 -28
-576 -118 156 -437 -381 200 -220 -540 83 11 -568 -160 172 -414 -408 188 -125 -572 -32 139 -492 -321 205 -262 -504 142
-83 -574 0 48 -571 -106 137 -501 -266 190 -391 -406 194 -186 -553 83 -13 -577 -49 103 -515 -280 201 300 -506 131 -45 -578
-80 138 -462 -361 201 -211 -554 32 74 -533 -235 187 -372 -442 182 -147 -566 25 68 -535 -244 194 -351 -463 174 -125 -570
15 72 -550 -190 172 -424 -385 198 -218 -536 96
""")
MICHELSO = text("""
299.85 299.74 299.90 300.07 299.93 299.85 299.95 299.98 299.98 299.88 300.00 299.98 299.93 299.65 299.76 299.81 300.00
300.00 299.96 299.96 299.96 299.94 299.96 299.94 299.88 299.80 299.85 299.88 299.90 299.84 299.83 299.79 299.81 299.88
299.88 299.83 299.80 299.79 299.76 299.80 299.88 299.88 299.88 299.86 299.72 299.62 299.86 299.97 299.95 299.88 299.91
299.85 299.87 299.84 299.84 299.85 299.84 299.84 299.84 299.89 299.81 299.81 299.82 299.80 299.77 299.76 299.74 299.75
299.76 299.91 299.92 299.89 299.86 299.88 299.72 299.84 299.85 299.85 299.78 299.89 299.84 299.78 299.81 299.76 299.81
299.79 299.81 299.82 299.85 299.87 299.87 299.81 299.74 299.81 299.94 299.95 299.80 299.81 299.87 299.72
""")


def alternating(middle: float, low: float, high: float) -> np.ndarray:
    return np.array([middle, *([low, high] * 500)])


SUMMARIES = {  # data, mean, standard deviation, digits asked
    "Lew": (LEW, -177.435000000000, 277.332168044316, LOWER_OR_AVERAGE),
    "Michelso": (MICHELSO, 299.852400000000, 0.0790105478190518, LOWER_OR_AVERAGE),
    "Lottery": (LOTTERY, 518.958715596330, 291.699727470969, LOWER_OR_AVERAGE),
    "Mavro": (MAVRO, 2.00185600000000, 0.000429123454003053, LOWER_OR_AVERAGE),
    "NumAcc1": (np.array([10000001.0, 10000003.0, 10000002.0]), 10000002.0, 1.0, LOWER_OR_AVERAGE),
    "NumAcc2": (alternating(1.2, 1.1, 1.3), 1.2, 0.1, LOWER_OR_AVERAGE),
    "NumAcc3": (alternating(1000000.2, 1000000.1, 1000000.3), 1000000.2, 0.1, LOWER_OR_AVERAGE),
    "NumAcc4": (alternating(10000000.2, 10000000.1, 10000000.3), 10000000.2, 0.1, HIGHER),
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_a_mean_and_its_variance_reach_the_certified_digits(name: str) -> None:
    """A simple random sample with replacement: standard error × √n is the standard deviation.

    The numbers of NumAcc3 and NumAcc4 are not doubles: even exact arithmetic on what is stored reaches 9.5 and 8.3
    digits of the deviation.
    """
    data, certified_mean, deviation, level = SUMMARIES[name]
    found = mean(pd.DataFrame({"y": data, "weight": 1.0}), "y", design=SurveyDesign()).iloc[0]
    assert digits(found["estimate"], certified_mean) >= level
    assert digits(found["se"] * np.sqrt(len(data)), deviation) >= level
