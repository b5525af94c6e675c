"""What the values of stakeholders' records are called."""

from __future__ import annotations

from collections.abc import Mapping

from cityloom.kernel.worded import Worded
from cityloom.planning.stakeholders.defaults import CELLS, categories
from cityloom.planning.stakeholders.engagement import Level, Quadrant
from cityloom.planning.stakeholders.model import Enabling, Involvement, Role
from cityloom.planning.stakeholders.participation import Peril, Rule
from cityloom.planning.stakeholders.principles import Principle, Stage

#: The twelve categories. The same names stand in the data, by language; these are what catalogs know.
CATEGORIES: Mapping[str, Worded] = {
    "municipality": Worded("Municipality, city council and administration"),
    "government": Worded("National and regional governments"),
    "city_services": Worded("City services companies"),
    "utility": Worded("Utility providers"),
    "ict": Worded("ICT companies"),
    "ngo": Worded("Non-governmental organisations"),
    "international": Worded("International, regional and multilateral organisations"),
    "industry": Worded("Industry associations"),
    "academia": Worded("Academia, research organisations and specialised bodies"),
    "citizens": Worded("Citizens and citizens' organisations"),
    "planners": Worded("Urban planners"),
    "standards": Worded("Standardisation bodies"),
}
if set(CATEGORIES) != set(categories()):
    raise ValueError("the categories of the data are others than those with words")

SCALES: Mapping[str, Worded] = {
    "local": Worded("Local"),
    "supralocal": Worded("Beyond the city"),
    "both": Worded("Both in the city and beyond"),
}
SECTORS: Mapping[str, Worded] = {
    "public": Worded("Public"),
    "private": Worded("Private"),
    "civic": Worded("Civil society"),
}
CELL_NAMES: Mapping[str, Worded] = dict(
    zip(
        CELLS,
        (
            Worded("Aims"),
            Worded("Challenges"),
            Worded("Potential"),
            Worded("Constraints"),
            Worded("Role and contribution"),
        ),
        strict=True,
    )
)
ENABLING: Mapping[str, Worded] = {
    Enabling.TECHNOLOGY.value: Worded("Enables technology"),
    Enabling.DRIVER.value: Worded("Drives technology"),
    Enabling.CITY.value: Worded("Enables the smart sustainable city"),
}
ROLES: Mapping[str, Worded] = {
    Role.ACTIVE.value: Worded("Active"),
    Role.BENEFICIARY.value: Worded("Beneficiary"),
    Role.SUPPORTER.value: Worded("Affected, supports it"),
    Role.OPPONENT.value: Worded("Affected, opposes it"),
}
INVOLVEMENT: Mapping[str, Worded] = {
    Involvement.CORE.value: Worded("Decides and carries out"),
    Involvement.INVOLVED.value: Worded("Works along"),
    Involvement.CONSULTED.value: Worded("Is asked"),
    Involvement.PASSIVE.value: Worded("Is told"),
}
LEVELS: Mapping[str, Worded] = {
    Level.UNAWARE.value: Worded("Unaware"),
    Level.RESISTANT.value: Worded("Resistant"),
    Level.NEUTRAL.value: Worded("Neutral"),
    Level.SUPPORTIVE.value: Worded("Supportive"),
    Level.LEADING.value: Worded("Leading"),
}
QUADRANTS: Mapping[Quadrant, Worded] = {
    Quadrant.MANAGE_CLOSELY: Worded("Manage closely"),
    Quadrant.KEEP_SATISFIED: Worded("Keep satisfied"),
    Quadrant.KEEP_INFORMED: Worded("Keep informed"),
    Quadrant.MONITOR: Worded("Monitor"),
}
RELATIONS: Mapping[str, Worded] = {
    "cooperation": Worded("Cooperates"),
    "funding": Worded("Funds"),
    "regulation": Worded("Regulates"),
    "service": Worded("Serves"),
    "information": Worded("Informs"),
    "conflict": Worded("Is in conflict"),
}
STRENGTHS: Mapping[str, Worded] = {
    "1": Worded("Weak"),
    "2": Worded("Middling"),
    "3": Worded("Strong"),
}
DIRECTIONS: Mapping[str, Worded] = {
    "one": Worded("One way"),
    "both": Worded("Both ways"),
}
CHANNELS: Mapping[str, Worded] = {
    "meeting": Worded("Meeting"),
    "telephone": Worded("By telephone"),
    "letter": Worded("Letter or e-mail"),
    "event": Worded("Public event"),
    "visit": Worded("Visit"),
    "appraisal": Worded("Judged anew, without contact"),
}
ACTIVITIES: Mapping[str, Worded] = {
    "workshop": Worded("Workshop"),
    "hearing": Worded("Public hearing"),
    "survey": Worded("Survey"),
    "interview": Worded("Interviews"),
    "committee": Worded("Standing group"),
    "campaign": Worded("Campaign"),
}
LEVELS_OF_UNITS: Mapping[str, Worded] = {
    "municipal": Worded("Unit of the municipality"),
    "national": Worded("Ministry or unit of the state"),
}
PRINCIPLES: Mapping[Principle, Worded] = {
    Principle.DIVERSITY: Worded("A wide range is asked"),
    Principle.INFORMATION: Worded("Openness, and everything known beforehand"),
    Principle.CONSENSUS: Worded("A rule for finding agreement"),
    Principle.GRIEVANCE: Worded("Grievances can be raised first"),
}
STAGES: Mapping[Stage, Worded] = {
    Stage.PREPARED: Worded("Being prepared"),
    Stage.ANNOUNCED: Worded("Announced"),
    Stage.HELD_UP: Worded("Held up"),
    Stage.OPEN: Worded("Open"),
    Stage.CLOSED: Worded("Closed"),
}
PERILS: Mapping[Peril, Worded] = {
    Peril.DOMINANCE: Worded("One voice over all"),
    Peril.COST: Worded("More effort than it yields"),
    Peril.EXCLUSIVITY: Worded("Groups left out"),
}
#: What each rule counts, so that anybody can count it again.
FORMULAS: Mapping[Rule, Worded] = {
    Rule.ONE_VOICE: Worded("Contributions and attendances of the one stakeholder with most, over all."),
    Rule.ONE_GROUP: Worded("Of organised groups, those of the category with most, over all of them."),
    Rule.ONE_OUTCOME: Worded(
        "Of contributions by organised groups that changed something, those of the category with most."
    ),
    Rule.HOURS: Worded("Hours of staff that were noted, over those who took part in these processes."),
    Rule.MONEY: Worded("Costs that were noted, over those who took part in these processes."),
    Rule.DAYS: Worded("Days until a contribution was answered: half of them waited longer."),
    Rule.GROUPS_ABSENT: Worded("Categories in the register that never took part, over all of them."),
    Rule.STAKEHOLDERS_ABSENT: Worded("Stakeholders in the register that never took part, over all of them."),
}
