"""The routes of all pages."""

from __future__ import annotations

from starlette.routing import BaseRoute

from cityloom.web.desk import Desk
from cityloom.web.edge_changes import edge_route
from cityloom.web.loads import load_routes
from cityloom.web.pages import (
    about,
    account,
    accounts,
    alerts,
    comparing,
    cross_references,
    data_catalogue,
    devices,
    district_values,
    effects,
    entities,
    follow,
    follow_live,
    framework_index,
    framework_reports,
    framework_views,
    home,
    indicators,
    initiatives,
    map_page,
    notices,
    open_data,
    other_systems,
    parked,
    persons,
    preferences,
    report,
    reports,
    services,
    signing_in,
    system,
    value_import,
    value_lists,
    warnings,
)
from cityloom.web.pages.action import every as action_plan
from cityloom.web.pages.hooks import hook_route
from cityloom.web.pages.planning import (
    adoption_budget,
    assessments,
    basis,
    consultations,
    contracts,
    contribution,
    contributions_received,
    library,
    management,
    participation,
    plan,
    reckoned,
    record_import,
    records,
    stakeholder_diagrams,
    stakeholders,
    strategy,
    tenders,
    whole_plan,
)
from cityloom.web.pages.routing import Pages
from cityloom.web.persons import person_routes

_PARTS = (
    preferences,
    signing_in,
    follow_live,
    home,
    map_page,
    entities,
    alerts,
    warnings,
    notices,
    report,
    reports,
    value_import,
    value_lists,
    comparing,
    cross_references,
    framework_views,
    framework_index,
    framework_reports,
    effects,
    district_values,
    indicators,
    action_plan,
    initiatives,
    assessments,
    library,
    contracts,
    plan,
    basis,
    strategy,
    management,
    tenders,
    adoption_budget,
    consultations,
    contributions_received,
    contribution,
    participation,
    stakeholder_diagrams,
    stakeholders,
    whole_plan,
    record_import,
    reckoned,
    records,
    devices,
    parked,
    services,
    other_systems,
    system,
    follow,
    account,
    accounts,
    persons,
    data_catalogue,
    open_data,
    about,
)


def every_page(desk: Desk) -> list[BaseRoute]:
    """Every page's routes, over one desk."""
    pages = Pages(desk)
    for module in _PARTS:
        module.add(pages)
    apart = [hook_route(desk), *load_routes(desk), edge_route(desk), *person_routes(desk)]
    return [*pages.routes, *apart]
