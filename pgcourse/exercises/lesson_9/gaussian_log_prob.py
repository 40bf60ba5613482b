import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.lesson_9.shared import (
    LOG_2PI,
    density,
    gaussian_cases,
    log_prob_by_loop,
    log_prob_of,
    log_prob_oracle,
    log_prob_parts,
    z_scores,
)
from pgcourse.exercises.pieces import in_single, in_torch

EXERCISE = Exercise(
    name="gaussian_log_prob",
    lesson=9,
    place=1,
    points=3,
    minutes=12,
    difficulty=2,
    signature="gaussian_log_prob(mean (N,D), log_std (D,), actions (N,D)) -> (N,)",
    cases=gaussian_cases,
    oracle=log_prob_oracle,
    references=("estimators.log_probs",),
    accepts=(
        log_prob_of,
        lambda m, ls, a: np.log(density(m, ls, a).prod(1)),
        lambda m, ls, a: -((a - m) ** 2 / (2 * np.exp(ls) ** 2)).sum(1) - ls.sum() - len(ls) / 2 * np.log(2 * np.pi),
        in_single(log_prob_of),
        lambda m, ls, a: [row.sum() for row in log_prob_parts(m, ls, a)],
        log_prob_by_loop,
        in_torch(lambda m, ls, a: torch.distributions.Normal(m, ls.exp()).log_prob(a).sum(-1)),
        in_torch(
            lambda m, ls, a: torch.distributions.MultivariateNormal(m, torch.diag((2 * ls).exp())).log_prob(a).tolist()
        ),
    ),
    misconceptions=(
        Misconception(
            "one number for each dimension",
            "You return a log-density for each of the D dimensions. An action is *one* choice, all its dimensions "
            "together: how do the log-probabilities of independent parts combine?",
            log_prob_parts,
        ),
        Misconception(
            "mean over the dimensions",
            "You average over the dimensions. Independent parts multiply, so their logarithms add up: nothing divides "
            "by D.",
            lambda m, ls, a: log_prob_parts(m, ls, a).mean(1),
        ),
        Misconception(
            "summed over the batch",
            "Your sum runs over the N draws and leaves one number for each dimension. Each draw keeps a number "
            "of its own: which axis should disappear?",
            lambda m, ls, a: log_prob_parts(m, ls, a).sum(0),
        ),
        Misconception(
            "summed over everything",
            "You return a single number for the whole batch. Each of the N draws keeps its own: over which axis only "
            "should the sum run?",
            lambda m, ls, a: log_prob_parts(m, ls, a).sum(),
        ),
        Misconception(
            "a column instead of a vector",
            "The numbers are right and the shape is (N, 1). Times N advantages of shape (N,) that silently becomes "
            "an N × N table: return shape (N,).",
            lambda m, ls, a: log_prob_parts(m, ls, a).sum(1, keepdims=True),
        ),
        Misconception(
            "log σ taken for σ",
            "`log_std` goes into the formula as if it were σ itself, and it may even be negative. What makes a "
            "standard deviation out of its logarithm?",
            lambda m, ls, a: (-(((a - m) / ls) ** 2) / 2 - np.log(ls) - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "log σ taken for σ in the quadratic term",
            "In the squared distance `log_std` stands where σ should be. What makes a standard deviation out of its "
            "logarithm?",
            lambda m, ls, a: (-(((a - m) / ls) ** 2) / 2 - ls - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "log σ exponentiated twice",
            "The exponential is taken twice somewhere: once you have σ = exp(log_std), use it as it is. (And log σ is "
            "what you were given.)",
            lambda m, ls, a: log_prob_of(m, np.exp(ls), a),
        ),
        Misconception(
            "log σ taken for the log of the variance",
            "You treat `log_std` as the logarithm of σ². It is that of σ: what is then the variance?",
            lambda m, ls, a: log_prob_of(m, ls / 2, a),
        ),
        Misconception(
            "log σ left out",
            "The bell's height is missing: a wide bell is a low one. Which term of log π(a) contains σ but not a?",
            lambda m, ls, a: (log_prob_parts(m, ls, a) + ls).sum(1),
        ),
        Misconception(
            "log 2π left out",
            "Only the constant ½ log 2π of each dimension is missing. Gradients do not see it, but the log-probability "
            "of the formula has it.",
            lambda m, ls, a: log_prob_parts(m, ls, a, 0).sum(1),
        ),
        Misconception(
            "log 2π once instead of once for each dimension",
            "The constant ½ log 2π is counted once. Each dimension is a bell curve of its own and brings its own.",
            lambda m, ls, a: log_prob_parts(m, ls, a, 0).sum(1) - LOG_2PI / 2,
        ),
        Misconception(
            "log 2π without the half",
            "The constant is log 2π a dimension in your result. The density has 1/√(2π) in front: what does the "
            "logarithm make of the root?",
            lambda m, ls, a: log_prob_parts(m, ls, a, LOG_2PI).sum(1),
        ),
        Misconception(
            "log 2π with a plus",
            "The constant comes in with the wrong sign: the density has √(2π) below the fraction bar.",
            lambda m, ls, a: log_prob_parts(m, ls, a, -LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "logarithm of log σ",
            "You take the logarithm of `log_std`, which is a logarithm already, and may be negative.",
            lambda m, ls, a: (log_prob_parts(m, ls, a) + ls - np.log(ls)).sum(1),
        ),
        Misconception(
            "half of log σ",
            "log σ counts half in your result. The formula with ½ log σ² has a square in it, which the half undoes.",
            lambda m, ls, a: (log_prob_parts(m, ls, a) + ls / 2).sum(1),
        ),
        Misconception(
            "twice log σ",
            "log σ counts twice in your result: the density has σ below the fraction bar, not σ².",
            lambda m, ls, a: (log_prob_parts(m, ls, a) - ls).sum(1),
        ),
        Misconception(
            "log σ of all dimensions in each",
            "The log σ of *all* dimensions is taken off in each of them, and then the sum runs over them once more.",
            lambda m, ls, a: (log_prob_parts(m, ls, a) + ls - ls.sum()).sum(1),
        ),
        Misconception(
            "only the exponent",
            "This is the exponent of the bell curve alone. The density has a factor in front of it that has σ in it: "
            "take its logarithm too.",
            lambda m, ls, a: -(z_scores(m, ls, a) ** 2).sum(1) / 2,
        ),
        Misconception(
            "half forgotten",
            "The squared distance counts twice as much as it should: look at the factor in the exponent of a bell "
            "curve.",
            lambda m, ls, a: (log_prob_parts(m, ls, a) - z_scores(m, ls, a) ** 2 / 2).sum(1),
        ),
        Misconception(
            "σ not squared",
            "You divide the squared distance by σ. Distances are measured *in units of σ*, and then squared.",
            lambda m, ls, a: (-((a - m) ** 2) / (2 * np.exp(ls)) - ls - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "distance not squared",
            "The distance from the mean enters without being squared, so actions below the mean are rewarded. What is "
            "the exponent of a bell curve?",
            lambda m, ls, a: (-z_scores(m, ls, a) / 2 - ls - LOG_2PI / 2).sum(1),
        ),
        Misconception(
            "quadratic term with a plus",
            "With your sign an action is likelier the further it is from the mean. Far should mean unlikely.",
            lambda m, ls, a: (log_prob_parts(m, ls, a) + z_scores(m, ls, a) ** 2).sum(1),
        ),
        Misconception(
            "log σ with a plus",
            "A wider bell is lower everywhere near its middle, so log σ should make the log-probability smaller. Look "
            "at its sign.",
            lambda m, ls, a: (log_prob_parts(m, ls, a) + 2 * ls).sum(1),
        ),
        Misconception(
            "negative log-likelihood",
            "Everything is there, with the sign of a loss. The exercise asks for log π(a) itself.",
            lambda m, ls, a: -log_prob_of(m, ls, a),
        ),
        Misconception(
            "density instead of its logarithm",
            "You return π(a), the density. Its logarithm is asked (which also survives in many dimensions, where the "
            "density itself underflows).",
            lambda m, ls, a: density(m, ls, a).prod(1),
        ),
        Misconception(
            "densities added up",
            "You add the densities of the dimensions. Independent parts *multiply*; their logarithms add up.",
            lambda m, ls, a: density(m, ls, a).sum(1),
        ),
        Misconception(
            "logarithm of added densities",
            "You add the densities of the dimensions and take the logarithm afterwards. First the logarithm of each, "
            "then the sum.",
            lambda m, ls, a: np.log(density(m, ls, a).sum(1)),
        ),
        Misconception(
            "densities, one for each dimension",
            "These are D densities for each draw. Two steps are missing: the logarithm, and putting the dimensions of "
            "one action together.",
            density,
        ),
        Misconception(
            "clipped action",
            "You score the action after clipping it to [−1, 1]. The policy drew the raw one, and it is that choice "
            "whose log-probability is asked.",
            lambda m, ls, a: log_prob_of(m, ls, np.clip(a, -1, 1)),
        ),
        Misconception(
            "mean left out",
            "You measure distances from zero. From where does a bell curve with mean μ measure them?",
            lambda m, ls, a: log_prob_of(np.zeros_like(m), ls, a),
        ),
    ),
)
