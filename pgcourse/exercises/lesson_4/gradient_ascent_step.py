import numpy as np
import torch

from pgcourse.exercises import Exercise, Misconception
from pgcourse.exercises.cases import case


def _ascent_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [
        case(theta=[1.0, -2.0], gradient=[3.0, 4.0], learning_rate=0.1),
        case(theta=[0.5], gradient=[-2.0], learning_rate=0.25),
        case(theta=[0.0, 0.0, 0.0], gradient=[1.0, -0.5, 2.0], learning_rate=2.0),
    ]
    for size, learning_rate in ((2, 0.01), (4, 0.5), (7, 3.0)):
        theta, gradient = rng.normal(size=(2, size))
        cases.append(case(theta=theta, gradient=gradient, learning_rate=learning_rate))
    return cases


def _ascent_oracle(theta, gradient, learning_rate):
    return [theta[p] + learning_rate * gradient[p] for p in range(len(theta))]


def _ascent_in_place(theta, gradient, learning_rate):
    theta += learning_rate * gradient
    return theta


def _ascent_returning_nothing(theta, gradient, learning_rate):
    theta = theta + learning_rate * gradient


def _ascent_torch(theta, gradient, learning_rate):
    theta = torch.tensor(theta, requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=learning_rate)
    theta.grad = -torch.tensor(gradient)
    optimizer.step()
    return theta


def _ascent_on_a_copy(theta, gradient, learning_rate):
    new = theta.copy()
    for p in range(len(new)):
        new[p] += learning_rate * gradient[p]
    return new


EXERCISE = Exercise(
    name="gradient_ascent_step",
    lesson=4,
    place=1,
    points=1,
    minutes=5,
    difficulty=1,
    signature="gradient_ascent_step(theta (P,), gradient (P,), learning_rate) -> (P,), a new array",
    cases=_ascent_cases,
    oracle=_ascent_oracle,
    accepts=(
        lambda theta, gradient, learning_rate: theta + learning_rate * gradient,
        lambda theta, gradient, learning_rate: theta - learning_rate * -gradient,
        lambda theta, gradient, learning_rate: [t + learning_rate * g for t, g in zip(theta, gradient, strict=True)],
        lambda theta, gradient, learning_rate: np.float32(theta) + np.float32(learning_rate) * np.float32(gradient),
        _ascent_on_a_copy,
        _ascent_torch,
    ),
    misconceptions=(
        Misconception(
            "descent",
            "You walk against the arrow. J is to become large, and the gradient points to where it grows.",
            lambda theta, gradient, learning_rate: theta - learning_rate * gradient,
        ),
        Misconception(
            "theta changed in place",
            "The array that you were given has changed: += writes into it, and so does theta[:] = …. Whoever called "
            "you still needs the old θ, so build a new array.",
            _ascent_in_place,
        ),
        Misconception(
            "nothing returned",
            "You compute something, but nothing comes back. How does the caller get the new θ?",
            _ascent_returning_nothing,
        ),
        Misconception(
            "only the change",
            "That is how far to go, and not yet where you arrive. Where did you set out?",
            lambda theta, gradient, learning_rate: learning_rate * gradient,
        ),
        Misconception(
            "learning rate forgotten",
            "You take the whole gradient as your step. Who decides how long a step is?",
            lambda theta, gradient, learning_rate: theta + gradient,
        ),
        Misconception(
            "descent, learning rate forgotten",
            "Two things: which way is up, and how long is the step?",
            lambda theta, gradient, learning_rate: theta - gradient,
        ),
        Misconception(
            "divided by the learning rate",
            "With a smaller learning rate your step gets longer. It should get shorter.",
            lambda theta, gradient, learning_rate: theta + gradient / learning_rate,
        ),
        Misconception(
            "gradient of length one",
            "You divide the gradient by its length, so that every step is equally long, on a cliff and on a plain. "
            "(4.2) takes the gradient as it is.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient / np.linalg.norm(gradient),
        ),
        Misconception(
            "sign of the gradient",
            "Only the signs of the gradient are left, so every coordinate moves equally far. (4.2) keeps the sizes.",
            lambda theta, gradient, learning_rate: theta + learning_rate * np.sign(gradient),
        ),
        Misconception(
            "learning rate on theta too",
            "Part of θ itself gets multiplied by the learning rate. Check the brackets: what does α belong to?",
            lambda theta, gradient, learning_rate: learning_rate * (theta + gradient),
        ),
        Misconception(
            "a weighted mean of theta and gradient",
            "You blend θ with the gradient, so that θ shrinks at every step. A step keeps all of θ and adds to it.",
            lambda theta, gradient, learning_rate: (1 - learning_rate) * theta + learning_rate * gradient,
        ),
        Misconception(
            "learning rate on theta instead of the gradient",
            "α multiplies θ in your step, and the gradient comes whole. Which of the two should it make shorter?",
            lambda theta, gradient, learning_rate: learning_rate * theta + gradient,
        ),
        Misconception(
            "gradient forgotten",
            "Every parameter moves by the learning rate. In which direction, and how far, says the gradient.",
            lambda theta, gradient, learning_rate: theta + learning_rate,
        ),
        Misconception(
            "joined instead of added",
            "Your result is twice as long as θ: two lists with a + between them are joined, not added. Arrays add.",
            lambda theta, gradient, learning_rate: [*theta, *(learning_rate * gradient)],
        ),
        Misconception(
            "the last parameter left out",
            "The last parameter stays where it was. In Python, range(n) and [:n] stop before n.",
            lambda theta, gradient, learning_rate: theta + learning_rate * np.append(gradient[:-1], 0),
        ),
        Misconception(
            "theta and learning rate swapped",
            "The learning rate is added and θ is a factor: two arguments have changed places.",
            lambda theta, gradient, learning_rate: learning_rate + theta * gradient,
        ),
        Misconception(
            "multiplied instead of added",
            "Where θ is zero your step stands still, whatever the gradient says. A step is added to θ.",
            lambda theta, gradient, learning_rate: theta * (1 + learning_rate * gradient),
        ),
        Misconception(
            "averaged over the parameters",
            "You divide by the number of parameters. The mean in (4.1) runs over trajectories, and it has been taken "
            "already: the gradient is complete.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient / len(theta),
        ),
        Misconception(
            "the same step for every parameter",
            "Every parameter moves by the same amount. The gradient has an entry for each of them; somewhere a sum, a "
            "mean or a dot product made one number of it.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient.sum(),
        ),
        Misconception(
            "mean of the gradient",
            "Every parameter moves by the mean of the gradient. It has an entry for each of "
            "them: let each move by its own.",
            lambda theta, gradient, learning_rate: theta + learning_rate * gradient.mean(),
        ),
        Misconception(
            "two steps",
            "You went twice as far as asked. Is the step added in two places?",
            lambda theta, gradient, learning_rate: theta + 2 * learning_rate * gradient,
        ),
    ),
)
