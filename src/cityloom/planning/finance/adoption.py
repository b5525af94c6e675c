"""How a technology spreads: curves of Bass and of the logistic, assumed or fitted to what was counted. Pure.

Bass (1969): people adopt by themselves (p, innovation) or because others have (q, imitation).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from cityloom.kernel.errors import BadInput
from cityloom.kernel.worded import Worded

Numbers = NDArray[np.float64]

#: Fewer counts than this determine no curve.
FEWEST = 5
_MOST_STEPS = 200
#: Of the beginnings, so many are followed: the best.
_FOLLOWED = 3


class Form(StrEnum):
    """The form of a curve."""

    BASS = "bass"
    LOGISTIC = "logistic"


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """How many have adopted by a time in years since the launch, which is 0.

    Bass has innovation p and imitation q, both a year. The logistic has a growth a year and the time at which
    half of the potential is reached.
    """

    form: Form
    potential: float
    innovation: float = 0.0
    imitation: float = 0.0
    growth: float = 0.0
    middle: float = 0.0

    def adopters(self, time: float) -> float:
        """Adopters by then; 0 before the launch."""
        return float(_level(self, np.array([time]))[0]) if time > 0 else 0.0

    @property
    def peak(self) -> float:
        """When most adopt, in years since the launch; 0 where it is at the launch."""
        if self.form is Form.LOGISTIC:
            return max(0.0, self.middle)
        if self.imitation <= self.innovation:
            return 0.0
        return float(np.log(self.imitation / self.innovation) / (self.innovation + self.imitation))


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """A curve that was fitted by least squares, and how well it fits."""

    curve: Curve
    #: Standard error of each parameter, in its unit.
    errors: Mapping[str, float]
    #: Of adopters by the end of each year.
    root_mean_square: float
    #: Share of the variance that the curve explains.
    explained: float
    counts: int
    #: Whether the year in which most adopt lies within what was counted. If not, the potential is a guess.
    peak_was_seen: bool


_PARAMETERS = {
    Form.BASS: ("potential", "innovation", "imitation"),
    Form.LOGISTIC: ("potential", "growth", "middle"),
}


def check_curve(curve: Curve, where: str) -> Curve:
    """Raises BadInput for parameters that make no curve."""
    if not 0 < curve.potential <= 1e12:
        hint = Worded("Say how many could ever adopt it: more than 0.")
        raise BadInput(Worded("Nobody could adopt this"), hint=hint, where=f"{where}.potential")
    if curve.form is Form.BASS:
        if not 0 < curve.innovation <= 1 or not 0 <= curve.imitation <= 5:
            raise BadInput(
                Worded("These are no parameters of Bass"),
                hint=Worded("Innovation lies above 0 and is mostly 0.001 to 0.05, imitation 0.1 to 0.6."),
                where=f"{where}.innovation",
            )
    elif not 0 < curve.growth <= 20:
        hint = Worded("Growth a year lies above 0 and is mostly 0.2 to 1.5.")
        raise BadInput(Worded("This is no growth"), hint=hint, where=f"{where}.growth")
    return curve


def fit(form: Form, times: Sequence[float], adopters: Sequence[float]) -> Fit:
    """The curve nearest to counts of all adopters so far, by time since the launch (above 0, ascending).

    Bass is fitted to the adoptions between counts, as Srinivasan and Mason (1986) do it, the logistic to the
    counts themselves. Raises BadInput where they determine none.
    """
    at, level = np.array(times, dtype=float), np.array(adopters, dtype=float)
    _check_counts(at, level)
    observed = np.diff(level, prepend=0.0) if form is Form.BASS else level

    def predicted(parameters: Numbers) -> Numbers:
        levels = _level(_curve(form, parameters), at)
        return np.diff(levels, prepend=0.0) if form is Form.BASS else levels

    best: tuple[float, Numbers] | None = None
    starts = sorted(_starts(form, at, level), key=lambda one: float(((predicted(one) - observed) ** 2).sum()))
    for start in starts[:_FOLLOWED]:
        found = _least_squares(predicted, observed, start)
        loss = float(((predicted(found) - observed) ** 2).sum())
        if np.isfinite(loss) and (best is None or loss < best[0]):
            best = loss, found
    if best is None:
        raise BadInput(
            Worded("No curve fits these counts"),
            hint=Worded("Check them, or assume a curve."),
            where="observed",
        )
    return _told(form, best[1], at, level, predicted, best[0])


def _told(
    form: Form,
    found: Numbers,
    at: Numbers,
    level: Numbers,
    predicted: Callable[[Numbers], Numbers],
    loss: float,
) -> Fit:
    curve = _curve(form, found)
    rest = _level(curve, at) - level
    spread = float(((level - level.mean()) ** 2).sum())
    slopes = _slopes(predicted, found)
    free = max(1, len(at) - len(found))
    covariance = np.linalg.pinv(slopes.T @ slopes) * loss / free
    # Parameters above 0 are fitted as logarithms: an error of one is a share of it.
    values = [getattr(curve, name) for name in _PARAMETERS[form]]
    scale = [
        1.0 if name == "middle" else value for name, value in zip(_PARAMETERS[form], values, strict=True)
    ]
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0)) * np.array(scale)
    return Fit(
        curve=curve,
        errors={name: float(one) for name, one in zip(_PARAMETERS[form], errors, strict=True)},
        root_mean_square=float(np.sqrt((rest**2).mean())),
        explained=1 - float((rest**2).sum()) / spread if spread else 1.0,
        counts=len(at),
        peak_was_seen=bool(curve.peak <= at[-1]),
    )


def _check_counts(at: Numbers, level: Numbers) -> None:
    if len(at) < FEWEST or len(at) != len(level):
        raise BadInput(
            Worded("%(count)s counts determine no curve", count=len(at)),
            hint=Worded("Give %(fewest)s or more, or assume a curve.", fewest=FEWEST),
            where="observed",
        )
    if at[0] <= 0 or (np.diff(at) <= 0).any() or (np.diff(level) < 0).any() or level[0] < 0 or level[-1] <= 0:
        raise BadInput(
            Worded("These are no counts of all adopters so far"),
            hint=Worded("Each count comes after the launch and the one before, and is none lower."),
            where="observed",
        )


def _level(curve: Curve, at: Numbers) -> Numbers:
    if curve.form is Form.LOGISTIC:
        return curve.potential / (1 + np.exp(np.clip(-curve.growth * (at - curve.middle), -700, 700)))
    fade = np.exp(np.clip(-(curve.innovation + curve.imitation) * at, -700, 700))
    return curve.potential * (1 - fade) / (1 + curve.imitation / curve.innovation * fade)


def _curve(form: Form, parameters: Numbers) -> Curve:
    """Of logarithms, but for the middle, which may be anywhere."""
    if form is Form.BASS:
        potential, innovation, imitation = np.exp(np.clip(parameters, -60, 60))
        return Curve(
            form=form, potential=float(potential), innovation=float(innovation), imitation=float(imitation)
        )
    potential, growth = np.exp(np.clip(parameters[:2], -60, 60))
    return Curve(form=form, potential=float(potential), growth=float(growth), middle=float(parameters[2]))


def _starts(form: Form, at: Numbers, level: Numbers) -> list[Numbers]:
    """Where to begin: several, since there may be several valleys."""
    last = float(level[-1])
    if form is Form.BASS:
        return [
            np.log([last * times, p, q])
            for times in (1.1, 2.0, 5.0)
            for p, q in ((0.01, 0.4), (0.03, 0.2), (0.001, 0.8))
        ]
    middle = float(np.interp(last / 2, level, at))
    return [
        np.array([np.log(last * times), np.log(growth), middle])
        for times in (1.05, 2.0, 5.0)
        for growth in (0.3, 1.0)
    ]


def _least_squares(predicted: Callable[[Numbers], Numbers], observed: Numbers, start: Numbers) -> Numbers:
    """Levenberg's and Marquardt's descent, slopes by differences."""
    here = start
    rest = predicted(here) - observed
    loss, damping = float(rest @ rest), 1e-2
    for _ in range(_MOST_STEPS):
        slopes = _slopes(predicted, here)
        normal = slopes.T @ slopes
        step = np.linalg.lstsq(
            normal + damping * np.diag(np.diag(normal) + 1e-12), -slopes.T @ rest, rcond=None
        )[0]
        there = here + np.clip(step, -2, 2)
        rest_there = predicted(there) - observed
        loss_there = float(rest_there @ rest_there)
        if loss_there < loss:
            settled = loss - loss_there <= 1e-11 * loss
            here, rest, loss, damping = there, rest_there, loss_there, max(damping / 5, 1e-12)
            if settled:
                break
        else:
            damping *= 4
            if damping > 1e10:
                break
    return here


def _slopes(predicted: Callable[[Numbers], Numbers], here: Numbers) -> Numbers:
    columns = []
    for place in range(len(here)):
        step = np.zeros(len(here))
        step[place] = 1e-6
        columns.append((predicted(here + step) - predicted(here - step)) / 2e-6)
    return np.array(columns).T
