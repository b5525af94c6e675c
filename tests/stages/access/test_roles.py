from __future__ import annotations

import pytest

from cityloom.access.authority import OPEN_ACCESS, check_open_access, may_write, require
from cityloom.access.errors import NotSignedIn
from cityloom.access.ownership import OWNED_TYPES
from cityloom.access.roles import (
    PERMISSIONS,
    ROLES,
    SESSION_ONLY,
    check_roles,
    clearance_of,
    permissions_of,
    roles_with,
)
from cityloom.kernel.actor import ANONYMOUS, AS_A_ROOM, AS_THE_PLATFORM, Actor, InformationClass
from cityloom.kernel.errors import BadConfig, BadInput, NotAllowed

OPEN, INTERNAL, SECURITY = InformationClass


def test_every_permission_of_a_role_is_explained():
    for role in ROLES.values():
        assert role.permissions <= PERMISSIONS.keys(), role.name


def test_every_permission_is_held_by_some_role_besides_the_administrator():
    alone = {name for name in PERMISSIONS if roles_with(name) == ["Administrator"]}
    assert alone == {"accounts:manage"}


def test_anonymous_may_do_nothing_and_sees_what_is_open():
    assert ROLES["anonymous"].permissions == frozenset()
    assert ROLES["anonymous"].clearance == {OPEN}


def test_security_class_is_seen_by_two_roles_alone():
    cleared = {name for name, role in ROLES.items() if SECURITY in role.clearance}
    assert cleared == {"security_operator", "administrator"}


def test_internal_class_is_hidden_from_visitors_citizens_devices_and_providers():
    hidden = {name for name, role in ROLES.items() if INTERNAL not in role.clearance}
    assert hidden == {"anonymous", "citizen", "device", "provider"}


def test_who_enters_an_indicator_does_not_verify_it():
    for name in ("planner", "auditor"):
        assert not {"indicators:enter", "indicators:verify"} <= ROLES[name].permissions


def test_who_writes_a_contract_does_not_settle_it():
    for name in ("planner", "auditor", "provider"):
        assert not {"contracts:manage", "contracts:examine"} <= ROLES[name].permissions
    assert {one for one in ROLES["provider"].permissions if ":" in one and "contracts" in one} == {
        "contracts:provide"
    }


def test_permissions_and_clearance_of_several_roles_are_their_union():
    both = permissions_of(["operator", "planner"])
    assert both == ROLES["operator"].permissions | ROLES["planner"].permissions
    assert clearance_of(["citizen", "security_operator"]) == {OPEN, INTERNAL, SECURITY}


def test_a_role_that_is_gone_allows_nothing():
    assert permissions_of(["wizard"]) == frozenset()
    assert clearance_of(["wizard"]) == {OPEN}


@pytest.mark.parametrize("wrong", [[], ["wizard"], ["anonymous"], ["operator", "password_change_due"]])
def test_check_roles_refuses_what_no_account_may_hold(wrong):
    with pytest.raises(BadInput) as caught:
        check_roles(wrong)
    assert "operator" in caught.value.hint
    assert caught.value.where == "roles"


def test_require_tells_a_visitor_to_sign_in():
    with pytest.raises(NotSignedIn, match="Sign in"):
        require(ANONYMOUS, "alerts:handle")


def test_require_tells_somebody_signed_in_which_role_to_ask_for():
    citizen = Actor(id="person:1", name="Cia", roles=frozenset({"citizen"}))
    with pytest.raises(NotAllowed, match="Operator") as caught:
        require(citizen, "alerts:handle")
    assert not isinstance(caught.value, NotSignedIn)


def test_require_lets_pass_who_has_the_permission():
    require(Actor(id="person:1", permissions=frozenset({"alerts:handle"})), "alerts:handle")


def test_may_write_adds_writing_and_no_clearance():
    operator = Actor(id="person:1", permissions=frozenset({"alerts:handle"}))
    writing = may_write(operator)
    assert writing.id == "person:1"
    assert writing.permissions == {"alerts:handle", "entities:write", AS_A_ROOM, AS_THE_PLATFORM}
    assert writing.clearance == operator.clearance
    assert may_write(operator, classify=True).may("entities:classify")


def test_open_access_may_do_everything():
    assert OPEN_ACCESS.permissions == PERMISSIONS.keys() | {AS_A_ROOM, AS_THE_PLATFORM}
    assert OPEN_ACCESS.clearance == frozenset(InformationClass)


def test_open_access_is_served_on_loopback_alone():
    for host in ("127.0.0.1", "::1", "localhost"):
        check_open_access(host)
    for host in ("0.0.0.0", "::", "192.0.2.1", ""):
        with pytest.raises(BadConfig, match="not served"):
            check_open_access(host)


def test_no_role_may_write_as_a_room_or_as_the_platform():
    assert not {AS_A_ROOM, AS_THE_PLATFORM} & permissions_of(ROLES)
    assert not {AS_A_ROOM, AS_THE_PLATFORM} & PERMISSIONS.keys()


def test_what_belongs_to_rooms_takes_permissions_that_exist():
    assert all(set(needed) <= PERMISSIONS.keys() and needed for needed in OWNED_TYPES.values())


def test_session_only_permissions_exist():
    assert not SESSION_ONLY - PERMISSIONS.keys()
