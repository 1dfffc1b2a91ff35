"""Heads: turn the logits of the output units into probabilities and decisions.

The units stand for classes, for two classes (one unit) or for labels. A head uses
operations that both arrays and ONNX graphs have: `probabilities(z)` of classes,
`class_scores(z)`, of which the largest is predicted, `both(z)`, the probabilities of a
unit off and on, `on(z)`, that of each unit on, `decision(z)` and `difference(z)`.
"""

from dataclasses import dataclass

import numpy as np

from skce.losses.activations import Activation

__all__ = ["ArrayOperations", "ClassesHead", "LabelsHead", "OneUnitHead", "head_of"]


class ClassesHead:
    """One output unit per class."""

    def __init__(self, n_outputs):
        self.n_outputs = n_outputs

    def probabilities(self, operations, z):
        """Return the class probabilities."""
        return operations.probabilities(z)

    def log_probabilities(self, operations, z):
        """Return their logarithms."""
        return operations.log_probabilities(z)

    def decision(self, operations, z):
        """Return the logits or other scores; for two classes their difference."""
        scores = operations.class_scores(z)
        return operations.difference(scores) if self.n_outputs == 2 else scores


class OneUnitHead:
    """One output unit for two classes."""

    def probabilities(self, operations, z):
        """Return P(unit off) and P(unit on)."""
        return operations.both(z)

    def log_probabilities(self, operations, z):
        """Return their logarithms."""
        return operations.log_both(z)

    def decision(self, operations, z):
        """Return a number that is positive where the unit is on."""
        return operations.decision(z)


class LabelsHead:
    """One output unit per label, of which several may be on."""

    def probabilities(self, operations, z):
        """Return P(unit on) of each label."""
        return operations.on(z)

    def log_probabilities(self, operations, z):
        """Return their logarithms."""
        return operations.log_on(z)

    def decision(self, operations, z):
        """Return numbers that are positive where the unit is on."""
        return operations.decision(z)


def head_of(labels):
    """Return the head for the outputs of `Labels`."""
    if labels.multilabel:
        return LabelsHead()
    return OneUnitHead() if labels.n_outputs == 1 else ClassesHead(labels.n_outputs)


@dataclass(frozen=True)
class ArrayOperations:
    """The operations of a head on logits (q, n), by the methods of an activation."""

    activation: Activation

    def probabilities(self, z):
        """Class probabilities, (q, n)."""
        return self.activation.probabilities(z)

    def log_probabilities(self, z):
        """Logarithms of the class probabilities, (q, n)."""
        return self.activation.log_probabilities(z)

    def class_scores(self, z):
        """Numbers of which the largest is the class that is predicted, (q, n)."""
        return self.activation.class_scores(z)

    def decision(self, z):
        """A number that is positive where the unit is on, (q, n)."""
        return self.activation.decision(z)

    def both(self, z):
        """P(unit off) and P(unit on), (2, n)."""
        return np.concatenate(self.activation.marginals(z))

    def log_both(self, z):
        """Logarithms of `both`."""
        return np.concatenate(self.activation.log_marginals(z))

    def on(self, z):
        """P(unit on), (q, n)."""
        return self.activation.marginals(z)[1]

    def log_on(self, z):
        """Logarithm of `on`."""
        return self.activation.log_marginals(z)[1]

    def difference(self, z):
        """z_2 - z_1 of two units, (1, n)."""
        return z[1:] - z[:1]
