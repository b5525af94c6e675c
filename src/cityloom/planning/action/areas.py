"""What smart cities work on: nine areas of adoption, and seven domains under which services are filed."""

from __future__ import annotations

from collections.abc import Mapping

from cityloom.kernel.worded import Worded

#: The areas of a study of 52 cities (Alcatel-Lucent, 2012, Table 2), in its order.
AREAS: Mapping[str, str] = {
    "telecom": Worded("Telecom network"),
    "energy": Worded("Energy"),
    "transport": Worded("Transport"),
    "business": Worded("Business support"),
    "community": Worded("Intelligent community framework"),
    "utilities": Worded("Public utilities"),
    "industry": Worded("Industry sectors"),
    "eco": Worded("Eco-sustainability"),
    "technology": Worded("Technology development and innovation"),
}
#: Where information and communication technology improves services (the same study, pages 2 and 3).
DOMAINS: Mapping[str, str] = {
    "administration": Worded("City administration"),
    "education": Worded("Education"),
    "health": Worded("Health care"),
    "safety": Worded("Public safety"),
    "realEstate": Worded("Real estate"),
    "transport": Worded("Transportation"),
    "utilities": Worded("Utilities"),
}
