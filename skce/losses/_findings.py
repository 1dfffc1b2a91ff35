"""Answers about a pair: those that its classes declare, and those computed."""

import inspect
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, softmax

from skce.losses._base import Array
from skce.losses._risk import ConditionalRisk
from skce.losses.intervals import Interval
from skce.losses.pairings import Pairing
from skce.losses.penalties import Penalty

__all__ = ["Finding", "computed", "declared", "wrong_declarations"]

# Regrets that count as 0, relative to the loss
NO_REGRET = 1e-7
# Outputs at a minimum are known to about the root of that
SAME_OUTPUTS = 5e-3
NO_MINIMUM = "the expected loss is unbounded below"
ARGMAX = "the largest output is that of the largest P"
# Costs of a small P go as P to this power at most, or at least; not clear in between
LIKE_P, LESS_THAN_P = 1.04, 1.2


@dataclass(frozen=True)
class Finding:
    """An answer about a pair; as a condition it is true only if `value` is True.

    Attributes
    ----------
    value : bool or None
        None where the question has no answer.
    by : {"formula", "computation"}
        Whether it follows from what the classes declare, for all logits and
        posteriors, or was found at fixed ones. A computed counterexample is proof; that
        none was found is not.
    reason : str

    Examples
    --------
    >>> from skce import pairing_properties
    >>> convex = pairing_properties("softmax", "least_squares").convex
    >>> convex.value, convex.by
    (False, 'computation')
    """

    value: bool | None
    by: Literal["formula", "computation"]
    reason: str

    def __bool__(self) -> bool:
        return self.value is True


def _shown(numbers: Array) -> str:
    return "(" + ", ".join(f"{number + 0:.2f}" for number in numbers) + ")"


def declared(pairing: Pairing) -> dict[str, Finding]:
    """Return the answers that follow from the classes of the pair, by name."""
    if pairing.status == "natural":
        return _of_natural_pair(pairing)
    y = _some_outputs(pairing)
    p = None if y is None else pairing.posterior_of(y)
    if y is None or p is None:
        return {}
    if np.allclose(p, y, rtol=0, atol=1e-12):
        truth = "the expected loss is smallest where the outputs are P"
        values, reasons = (True, True, True), (truth, "nowhere else", ARGMAX)
    else:
        top = np.take_along_axis(p, y.argmax(axis=0)[np.newaxis], axis=0)
        in_order = bool((top >= p.max(axis=0) - 1e-12).all())
        text = _first_line(pairing)
        values = (False, False, in_order)
        reasons = (text, "not proper", ARGMAX if in_order else text)
    names = ("proper", "strictly_proper", "calibrated")
    return {
        name: Finding(value, "formula", reason)
        for name, value, reason in zip(names, values, reasons, strict=True)
    }


def _first_line(pairing: Pairing) -> str:
    """Return the formula that the docstring of `posterior_of` begins with."""
    assert pairing.penalty is not None
    text = inspect.getdoc(pairing.penalty.posterior_of) or "posterior_of(y) is not y"
    return text.partition("\n")[0].rstrip(".")


def _some_outputs(pairing: Pairing) -> Array | None:
    """Outputs to evaluate a formula at, (3, n); None if they may not reach all P."""
    normal = np.random.default_rng(0).normal(size=(3, 200))
    activation = pairing.activation
    if activation.on_simplex:
        return softmax(2 * normal, axis=0)
    if not Interval(0, 1) <= activation.range:
        return None
    return expit(2 * normal)


def _of_natural_pair(pairing: Pairing) -> dict[str, Finding]:
    """Return the answers of the theorem: the loss is A(z) - t.z, A convex, f = A'."""
    answers = {
        "convex": (True, "natural: the Hessian is the Jacobian of the outputs"),
        "bounded": (
            False,
            "natural: the slope with respect to a wrong logit does not vanish",
        ),
        "flat_when_wrong": (
            False,
            "natural: delta = y - t, which is 1/2 or more",
        ),
    }
    activation = pairing.activation
    if activation.on_simplex or Interval(0, 1) <= activation.range:
        divergence = "natural: the regret is a Bregman divergence from P"
        answers |= {
            "proper": (True, divergence),
            "strictly_proper": (True, "nowhere else"),
            "calibrated": (True, ARGMAX),
        }
    with np.errstate(divide="ignore"):
        ends = activation.logits_of(np.array([0.0, 1.0]))
    if ends is not None:
        steep = bool(ends[0] == -np.inf)
        text = "minus infinity" if steep else "finite"
        answers["sensitive_to_small_probabilities"] = (
            steep,
            f"natural: the logit of a probability of 0 is {text}",
        )
    return {
        name: Finding(value, "formula", reason)
        for name, (value, reason) in answers.items()
    }


def computed(risk: ConditionalRisk, names: set[str]) -> dict[str, Finding]:
    """Return the answers that are asked for, by minimising and probing the loss."""
    found: dict[str, Finding] = {}
    about_minima = {"proper", "strictly_proper", "calibrated"}
    small = "sensitive_to_small_probabilities"
    if names & (about_minima | {small}):
        found |= _proper(risk)
        found["calibrated"] = _calibrated(risk)
        if small in names:
            known = found["strictly_proper"].value is True
            found[small] = _small_probabilities(risk, known)
    if "convex" in names:
        found["convex"] = _convex(risk)
    if "bounded" in names:
        supremum = risk.supremum()
        bounded = bool(np.isfinite(supremum))
        text = f"at most {supremum:.3g}" if bounded else "it grows with the wrong logit"
        found["bounded"] = Finding(bounded, "computation", text)
    if "flat_when_wrong" in names:
        found["flat_when_wrong"] = _flat(risk)
    return {name: found[name] for name in names}


def _proper(risk: ConditionalRisk) -> dict[str, Finding]:
    """Compare the expected loss at the true posterior with the smallest one."""

    def both(value: bool, reason: str, strictly: str = "") -> dict[str, Finding]:
        not_strictly = reason if value else "not proper"
        return {
            "proper": Finding(value, "computation", reason),
            "strictly_proper": Finding(
                bool(strictly), "computation", strictly or not_strictly
            ),
        }

    regrets, unique = [], True
    for p, minimum in risk.minima:
        if not minimum.exists:
            return both(False, NO_MINIMUM)
        z = risk.logits_of(p)
        if z is None:
            return both(False, f"no outputs are P = {_shown(p)}")
        regret = risk.risk(p, z[:, np.newaxis])[0] - minimum.risk
        regrets.append(regret / max(1, abs(minimum.risk)))
        ends = risk.outputs(minimum.others)
        unique = unique and bool(np.abs(ends - p[:, np.newaxis]).max() < SAME_OUTPUTS)
    if not max(regrets) <= NO_REGRET:
        outputs = np.array([minimum.outputs for _, minimum in risk.minima])
        if np.ptp(outputs, axis=0).max() < SAME_OUTPUTS:
            return both(False, f"for every P the outputs {_shown(outputs[0])}")
        worst = int(np.argmax(regrets))
        p, text = risk.minima[worst][0], _shown(outputs[worst])
        return both(False, f"for P = {_shown(p)} the outputs {text}")
    if unique:
        truth = "the expected loss is smallest where the outputs are P"
        return both(True, truth, "nowhere else, as found")
    return both(True, "other outputs than P have the same expected loss")


def _calibrated(risk: ConditionalRisk) -> Finding:
    """See whether all minima predict the likeliest class, and no tie is a minimum."""
    for p, minimum in risk.minima:
        if not minimum.exists:
            return Finding(False, "computation", NO_MINIMUM)
        best = p.argmax()
        ties = []
        for j in range(risk.q):
            for end in minimum.others.T if j != best else ():
                tied = end.copy()
                tied[[best, j]] = end[[best, j]].mean()
                ties.append(tied)
        candidates = np.hstack([minimum.others, np.array(ties).T])
        excess = risk.risk(p, candidates) - minimum.risk
        lowest = candidates[:, excess <= 0.1 * NO_REGRET * max(1, abs(minimum.risk))]
        decisions = risk.decisions(lowest)
        others = np.delete(decisions, best, axis=0).max(axis=0)
        if not (decisions[best] > others + 1e-6).all():
            worst = decisions[:, (decisions[best] - others).argmin()]
            text = f"for P = {_shown(p)} it decides by {_shown(worst)}"
            return Finding(False, "computation", text)
    return Finding(True, "computation", f"{ARGMAX}, at all that were tried")


def _small_probabilities(risk: ConditionalRisk, known: bool) -> Finding:
    if not all(minimum.exists for _, minimum in risk.minima):
        return Finding(None, "computation", NO_MINIMUM)
    exponent = risk.cost_exponent(known)
    grows = f"as P^{exponent:.2f}" if np.isfinite(exponent) else "nothing"
    text = f"mistaking a small P for 2 P costs {grows}"
    unclear = LIKE_P < exponent < LESS_THAN_P
    return Finding(None if unclear else exponent <= LIKE_P, "computation", text)


def _convex(risk: ConditionalRisk) -> Finding:
    bend = risk.downward_curvature()
    if bend is None:
        count = risk.near.shape[1]
        return Finding(True, "computation", f"no counterexample at {count} logits")
    text = f"label {bend.label} at z = {_shown(bend.z)} curves by {bend.value:.2g}"
    return Finding(False, "computation", text)


def _flat(risk: ConditionalRisk) -> Finding:
    flat = risk.flatness()
    if flat is None:
        return Finding(False, "computation", "wrong rows keep a slope on all rays")
    signs = ", ".join(f"{x:+.0f}" if x else "0" for x in flat.direction)
    since = f"a margin of {flat.margin:.1f}" if flat.margin else f"s = {flat.size:.1f}"
    tie = "" if flat.margin else ", a tie"
    text = f"label {flat.label} along z = s ({signs}){tie}, from {since} on"
    return Finding(True, "computation", text)


def wrong_declarations(risk: ConditionalRisk) -> list[str]:
    """Return what the classes of the pair declare but do not do."""
    activation, penalty = risk.pairing.activation, risk.pairing.penalty
    z = risk.near[:, :200]
    y = risk.outputs(z)
    loss, slope = risk.losses_and_slopes(z)
    found = []
    ends = activation.range.low, activation.range.high
    if not ((y >= ends[0]) & (y <= ends[1])).all():
        found.append(f"range: {activation!r} has outputs outside of {activation.range}")
    if activation.on_simplex and not np.allclose(y.sum(axis=0), 1, atol=1e-6):
        found.append(f"on_simplex: outputs of {activation!r} do not sum to 1")
    if activation.elementwise:
        moved = risk.outputs(z + np.eye(risk.q)[:, [0]])
        if not np.allclose(moved[1:], y[1:], rtol=1e-10, atol=1e-12):
            found.append(f"elementwise: an output of {activation!r} depends on others")
    if not np.isfinite(loss).all():
        found.append(f"domain: the loss of {risk.pairing} is not finite at some logits")
    elif not _is_slope(risk, z, slope):
        found.append(f"the derivative of {risk.pairing} does not match its loss")
    if penalty is not None and penalty.elementwise:
        needed = Penalty.needs_simplex.__get__(penalty)
        if penalty.needs_simplex != needed:
            best = "an output is" if needed else "no output is"
            found.append(f"needs_simplex: {best} the best for every target")
    logits = [(p, activation.logits_of(p)) for p, _ in risk.minima]
    if not all(z is None or risk.reaches(np.asarray(z, float), p) for p, z in logits):
        found.append(f"logits_of: {activation!r} has other outputs at these logits")
    return found + _wrong_posterior(risk)


def _is_slope(risk: ConditionalRisk, z: Array, slope: Array) -> bool:
    """Whether nearly all slopes are central differences of the loss."""
    h, wrong = 1e-5, []
    for i in range(risk.q):
        step = h * np.eye(risk.q)[:, [i]]
        above, below = (risk.losses_and_slopes(z + s)[0] for s in (step, -step))
        difference = (above - below) / (2 * h)
        allowed = 1e-4 * (1 + np.abs(difference)) + 1e-10 * np.abs(above) / h
        wrong.append(np.abs(difference - slope[i]) > allowed)
    return bool(np.mean(wrong) < 0.02)  # kinks


def _wrong_posterior(risk: ConditionalRisk) -> list[str]:
    """Compare `posterior_of` the outputs at the minima with the posteriors."""
    activation = risk.pairing.activation
    for p, minimum in risk.minima:
        ends = np.array([activation.range.low, activation.range.high])
        if (
            not minimum.exists
            or np.abs(np.subtract.outer(minimum.outputs, ends)).min() < 1e-3
        ):
            continue  # an error of y may be a large one of P
        said = risk.pairing.posterior_of(minimum.outputs[:, np.newaxis])
        if said is None:
            return []
        if not np.abs(said[:, 0] - p).max() < SAME_OUTPUTS:
            outputs = _shown(minimum.outputs)
            return [
                f"posterior_of: the outputs {outputs} belong to P = {_shown(p)}, but "
                f"it returns {_shown(said[:, 0])}"
            ]
    return []
