"""A network's layers with their owners, and the payments from party to party."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from markupsafe import Markup, escape

from cityloom.planning.finance.outcome import Chain
from cityloom.web.drawing.finance.plane import WIDTH, drawn, series_look
from cityloom.web.wording import Wording

_LAYER, _GAP, _WIDE = 56, 4, 330
_PARTY = 58
_BOX = 'class="box" fill="none" stroke="#7d8b87"'


def draw_chain(chain: Chain, wording: Wording, money: Callable[[Decimal], str]) -> Markup:
    """Layers on the left, one owner one colour; on the right who pays whom, from the users down."""
    say = wording.language.say
    owners = list(dict.fromkeys(one.owner for one in reversed(chain.layers)))
    parts = []
    for place, layer in enumerate(chain.layers):
        y = 10 + place * (_LAYER + _GAP)
        parts.append(
            f'<rect {series_look(owners.index(layer.owner))} x="10" y="{y}" width="10" height="{_LAYER}"/>'
            f'<rect {_BOX} x="10" y="{y}" width="{_WIDE}" height="{_LAYER}"/>'
            f'<text class="chain strong" x="34" y="{y + 24}">{escape(say(layer.name))}</text>'
            f'<text class="chain" x="34" y="{y + 44}">{escape(say(layer.owner))}</text>'
        )
    left, wide = _WIDE + 60, WIDTH - _WIDE - 70
    for place, party in enumerate(chain.parties):
        y = 10 + place * (_PARTY + 40)
        look = series_look(owners.index(party)) if party in owners else 'class="series none" fill="#586561"'
        parts.append(
            f'<rect {look} x="{left}" y="{y}" width="10" height="{_PARTY - 18}"/>'
            f'<rect {_BOX} x="{left}" y="{y}" width="{wide}" '
            f'height="{_PARTY - 18}"/>'
            f'<text class="chain strong" x="{left + 24}" y="{y + 25}">{escape(say(party))}</text>'
        )
    for payment in chain.payments:
        y = 10 + payment.payer * (_PARTY + 40) + _PARTY - 18
        down = 10 + payment.payee * (_PARTY + 40)
        x = left + 40
        parts.append(
            f'<path class="line" fill="none" stroke="#4b5a56" stroke-width="2" d="M{x} {y}V{down - 8}"/>'
            f'<polygon class="head" fill="#4b5a56" '
            f'points="{x},{down} {x - 5},{down - 10} {x + 5},{down - 10}"/>'
            f'<text class="chain" x="{x + 14}" y="{(y + down) / 2 + 5:.0f}">'
            f"{escape(money(payment.amount))} {escape(say(payment.words))}</text>"
        )
    height = 20 + max(len(chain.layers) * (_LAYER + _GAP), len(chain.parties) * (_PARTY + 40) - 40)
    told = "; ".join(f"{say(one.name)}: {say(one.owner)}" for one in chain.layers)
    return drawn(parts, f"{say(chain.title)}: {told}", height)
