import math
import statistics

import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case


def _error_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(samples=[[1.0], [3.0]]),
        case(samples=[[1.0, -2.0], [3.0, 6.0]]),
        case(samples=[[2.0], [0.0], [7.0]]),
    ]
    for shape in ((2, 3), (3, 3), (5, 2), (4, 6), (9, 1)):
        cases.append(case(samples=rng.normal(size=shape) * rng.uniform(1, 4, shape[1]) + rng.normal(size=shape[1])))
    return cases


def _error_oracle(samples):
    errors = []
    for column in zip(*samples, strict=True):
        mean = math.fsum(column) / len(column)
        variance = math.fsum((x - mean) ** 2 for x in column) / (len(column) - 1)
        errors.append(math.sqrt(variance / len(column)))
    return errors


def _error_loop(samples):
    mean = sum(samples) / len(samples)
    squares = sum((row - mean) ** 2 for row in samples)
    return list(np.sqrt(squares / (len(samples) * (len(samples) - 1))))


EXERCISE = Exercise(
    name="standard_error",
    lesson=3,
    place=3,
    points=2,
    minutes=10,
    difficulty=1,
    signature="standard_error(samples (N,P)) -> (P,), N ≥ 2, of the mean of the N rows",
    cases=_error_cases,
    oracle=_error_oracle,
    accepts=(
        lambda x: x.std(0, ddof=1) / np.sqrt(len(x)),
        lambda x: np.std(x, axis=0) / np.sqrt(len(x) - 1),
        lambda x: np.sqrt(((x**2).mean(0) - x.mean(0) ** 2) / (len(x) - 1)),
        lambda x: torch.tensor(x).std(0) / len(x) ** 0.5,
        lambda x: np.sqrt(np.diag(np.atleast_2d(np.cov(x.T))) / len(x)),
        lambda x: np.float32(x).std(0, ddof=1) / np.sqrt(np.float32(len(x))),
        lambda x: [statistics.stdev(column) / math.sqrt(len(column)) for column in x.T.tolist()],
        _error_loop,
    ),
    misconceptions=(
        Misconception(
            "ddof = 0",
            "Close. The mean comes from the same samples, which makes the deviations look a little smaller than they "
            "are; NumPy's std divides by N unless you ask for the other.",
            lambda x: x.std(0) / np.sqrt(len(x)),
        ),
        Misconception(
            "standard deviation instead of standard error",
            "This is how much one sample varies. The mean of N of them varies less: by which factor?",
            lambda x: x.std(0, ddof=1),
        ),
        Misconception(
            "standard deviation, ddof = 0",
            "Two things: this is the spread of a single sample and not of the mean of N, and NumPy's std divides by N "
            "where the mean was estimated from the same samples.",
            lambda x: x.std(0),
        ),
        Misconception(
            "divided by N instead of √N",
            "The error of a mean does fall with N, but more slowly: four times the samples halve it.",
            lambda x: x.std(0, ddof=1) / len(x),
        ),
        Misconception(
            "divided by N instead of √N, ddof = 0",
            "Two things: the error of a mean falls more slowly than 1/N, and NumPy's std divides by N unless asked "
            "otherwise.",
            lambda x: x.std(0) / len(x),
        ),
        Misconception(
            "variance of the mean",
            "This is the variance of the mean, in squared units. The standard error is in the units of the samples.",
            lambda x: x.var(0, ddof=1) / len(x),
        ),
        Misconception(
            "variance",
            "This is the variance of the samples. Two steps remain: from one sample to the mean of N, and from squared "
            "units to plain ones.",
            lambda x: x.var(0, ddof=1),
        ),
        Misconception(
            "variance divided by √N",
            "Variance and standard deviation got mixed: √N goes with the deviation, N with the variance.",
            lambda x: x.var(0, ddof=1) / np.sqrt(len(x)),
        ),
        Misconception(
            "variance of the mean, ddof = 0",
            "Two things: these are squared units, as of a variance; and NumPy's var divides by N where the mean was "
            "estimated from the same samples.",
            lambda x: x.var(0) / len(x),
        ),
        Misconception(
            "variance, ddof = 0",
            "This is np.var of the samples. The error of a mean of N is smaller, has the samples' own units, and N − 1 "
            "under its variance.",
            lambda x: x.var(0),
        ),
        Misconception(
            "along the wrong axis",
            "You measure the spread over the P parameters of one sample. What varies from sample to sample runs along "
            "the other axis.",
            lambda x: x.std(1, ddof=1) / np.sqrt(x.shape[1]),
        ),
        Misconception(
            "spread along the wrong axis, divided by √N",
            "N is the right number, but the spread is taken over the P entries of each sample. What you want is how "
            "each entry varies from sample to sample.",
            lambda x: x.std(1, ddof=1) / np.sqrt(len(x)),
        ),
        Misconception(
            "spread along the wrong axis, ddof = 0",
            "The spread is taken over the P entries of each sample, and NumPy's std divides by the number of entries. "
            "The samples are the rows: from row to row is where it varies.",
            lambda x: x.std(1) / np.sqrt(x.shape[1]),
        ),
        Misconception(
            "over the whole array",
            "All entries in one pot give a single number. Each of the P columns has an error of its own.",
            lambda x: x.std(ddof=1) / np.sqrt(x.size),
        ),
        Misconception(
            "divided by √P",
            "You divide by the square root of the number of columns. It is the number of samples that makes a mean "
            "more certain.",
            lambda x: x.std(0, ddof=1) / np.sqrt(x.shape[1]),
        ),
        Misconception(
            "divided by the root of all entries",
            "x.size counts all N·P entries. Each column is a mean of N numbers only.",
            lambda x: x.std(0, ddof=1) / np.sqrt(x.size),
        ),
        Misconception(
            "N − 1 counted twice",
            "N − 1 belongs into the variance, where the mean was estimated along the way. The mean itself is one of N "
            "samples.",
            lambda x: x.std(0, ddof=1) / np.sqrt(len(x) - 1),
        ),
        Misconception(
            "half a confidence interval",
            "You multiplied by 1.96 already, which gives half the width of a 95 % interval. Here the standard error "
            "itself is asked.",
            lambda x: 1.96 * x.std(0, ddof=1) / np.sqrt(len(x)),
        ),
        Misconception(
            "mean not subtracted",
            "You average the squares themselves. A spread is measured from the mean.",
            lambda x: np.sqrt((x**2).sum(0) / (len(x) - 1) / len(x)),
        ),
        Misconception(
            "mean instead of its error",
            "This is the mean of the samples. What is asked is how far it may be off.",
            lambda x: x.mean(0),
        ),
    ),
)
