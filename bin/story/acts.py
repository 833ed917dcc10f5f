"""The acts of the story, in order: each does one thing an operator does, measures it, and fails when it went wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from labkit.settings import CUSTOMER_DOMAINS, HOSTS, Lab

from bin.story.database import Database
from bin.story.procedures import Procedures, Run, run_lab
from bin.story.telling import Act, Story
from bin.story.visits import Visit, visit, wait_until
from plugins.module_utils.model.errors import OpsError
from tests.bench.load import Load, Target, lab_authority
from tests.bench.load_figures import Figures

STACK = "odoo18"
GOOD, BETTER, BROKEN = "sha-19b9b98", "sha-724f892", "sha-0badbad"
ENVIRONMENTS = ("staging", "production")
SITES = ("acme.erp", "globex.erp", "biznexus", "langbot", "www")
ACTS = 9

_IN_A_HURRY = "invoices are wrong since this morning and nobody may wait for a second pair of eyes"
_TO_THE_BEGINNING = "the demonstration begins with the release that it began with the last time"
_CERTIFICATES_S = 60.0
_ANSWERS_S = 30.0
_OUTAGE_RATE = 10.0
# So many good pages in a row are called well again.
_WELL_AGAIN = 10


@dataclass
class Stage:
    """What every act needs. ``authority`` are the certificates visitors trust (PEM), known once the lab is up."""

    story: Story
    procedures: Procedures
    lab: Lab
    rate: float
    keep: bool
    authority: str = ""
    load: Load | None = None

    def site(self, environment: str) -> str:
        """The host name whose visitors the story follows."""
        return f"acme.erp.{environment}.lab"

    def address(self, environment: str) -> str:
        """The address of an environment's host."""
        return self.lab.address(HOSTS[environment].last)

    def visit(self, environment: str, host: str = "", path: str = "/") -> Visit:
        """Look at a site of an environment as a visitor does."""
        return visit(host or self.site(environment), self.address(environment), self.authority, path)

    def target(self, environment: str) -> Target:
        """The site as the load generator asks for it."""
        return Target(self.site(environment), self.address(environment), self.authority)


def bring_lab_up(stage: Stage) -> None:
    """Two hosts and the shared parts of an estate; bare ones unless the present ones are kept."""
    title = "the lab as it is" if stage.keep else "a lab with two bare Debian hosts"
    with stage.story.act("lab", f"Bring up {title}") as act:
        began = time.monotonic()
        if not stage.keep:
            run_lab("down")
        told = run_lab("up")
        stage.authority = lab_authority()
        for environment in ENVIRONMENTS:
            # A story that was killed in its last act may have left it wrong.
            Database(stage.lab, environment).mend()
        seconds = round(time.monotonic() - began, 1)
        act.measured(f"the lab is up after {seconds:.1f} s", lab_s=seconds, phases=told["phases"])


def provision(stage: Stage) -> None:
    """From a bare Debian host to one that stacks can live on."""
    with stage.story.act("provision", "Make the bare hosts ready for stacks") as act:
        run = stage.procedures.run("provision")
        stage.story.measured(provision_s=run.seconds)
        act.measured(f"two hosts are ready after {run.seconds:.1f} s", provision_s=run.seconds, changed=run.changed)


def converge(stage: Stage) -> None:
    """Edge and stacks, then every site answers with a certificate that is trusted."""
    with stage.story.act("converge", "Converge the edge and every stack on both hosts") as act:
        run = stage.procedures.run("converge")
        stage.story.measured(converge_s=run.seconds)
        sites = {environment: sites_of(environment) for environment in ENVIRONMENTS}
        waited = 0.0
        for environment, hosts in sites.items():
            for host in hosts:
                waited += _wait_for_page(stage, environment, host)
        count = sum(len(hosts) for hosts in sites.values())
        act.measured(
            f"both hosts run the same stacks after {run.seconds:.1f} s; {count} sites answer over trusted TLS, "
            f"{waited:.1f} s later",
            converge_s=run.seconds, certificates_s=round(waited, 1), sites=sites, changed=run.changed,
        )  # fmt: skip
    if stage.keep:
        _return_to_the_beginning(stage)


def sites_of(environment: str) -> list[str]:
    """Every public name of an environment of the lab."""
    own = [f"{site}.{environment}.lab" for site in SITES]
    return own + [domain for domain, owner in CUSTOMER_DOMAINS.items() if owner == environment]


def _return_to_the_beginning(stage: Stage) -> None:
    """An earlier story left another release live: the same story can only be told from its beginning."""
    for environment in ENVIRONMENTS:
        live = stage.visit(environment).release
        if live != GOOD:
            stage.story.say(f"   {environment} runs {live}, from an earlier run: back to {GOOD} first", "yellow")
            glass = {"break_glass": "true", "reason": _TO_THE_BEGINNING} if environment == "production" else {}
            stage.procedures.run("deploy", limit=environment, stack=STACK, release=GOOD, **glass)


def release_to_staging(stage: Stage) -> None:
    """Schema first, as a step of its own, then the release."""
    with stage.story.act("staging", f"Migrate and deploy {STACK} {BETTER} to staging, accept and approve it") as act:
        _migrate_and_deploy(stage, act, "staging")
        refused = stage.procedures.attempt("deploy", limit="production", stack=STACK, release=BETTER)
        if not refused.refused:
            raise OpsError("production took a release that nobody had approved", where="playbooks/deploy.yml")
        act.measured("production refuses what nobody accepted and approved", complaint=refused.complaint)
        stage.procedures.run("accept", limit="staging", stack=STACK)
        stage.procedures.run("approve", limit="production", stack=STACK, release=BETTER, signer="approver")


@contextmanager
def visitors(stage: Stage) -> Iterator[None]:
    """Visitors keep coming to production while the block lasts; afterwards none of them may have met a failure."""
    with Load(stage.target("production"), stage.rate) as load:
        stage.load = load
        yield
    figures = load.figures()
    _keep_figures(stage, figures)
    _refuse_failures(figures)


def release_to_production(stage: Stage) -> None:
    """The release that staging runs, while visitors keep coming."""
    title = f"The same to production, under {stage.rate:.0f} requests a second"
    with stage.story.act("production", title) as act, _watched(stage, act):
        _wait_for_visitors(stage)
        run = _migrate_and_deploy(stage, act, "production")
        stage.story.measured(deploy_s=run.seconds)
        _expect_live(stage, BETTER)


def refuse_broken(stage: Stage) -> None:
    """A release that never becomes healthy gets no traffic and leaves all as it was."""
    with (
        stage.story.act("refused", f"Deploy the broken {BROKEN} to production: it is refused") as act,
        _watched(stage, act) as since,
    ):
        run = stage.procedures.attempt(
            "deploy", limit="production", stack=STACK, release=BROKEN, break_glass="true", reason=_IN_A_HURRY
        )
        if not run.refused:
            raise OpsError(
                f"the broken release {BROKEN} was not refused (exit status {run.status})",
                where="playbooks/deploy.yml",
                do="read its report in build/reports; production may run it now",
            )
        stage.story.measured(refused_s=run.seconds)
        act.measured(
            f"refused after {run.seconds:.1f} s: {run.complaint}", refused_s=run.seconds, complaint=run.complaint
        )
        _expect_live(stage, BETTER)
        met = _load(stage).figures(since).releases.get(BROKEN, 0)
        if met:
            raise OpsError(f"{met} requests met the broken release", where="production", do="report it: a defect")
        act.measured(f"no request met {BROKEN}; {BETTER} goes on serving", met_broken=met)


def roll_back(stage: Stage) -> None:
    """Back to the release before, which is warm."""
    with stage.story.act("rollback", "Roll production back, still under load") as act, _watched(stage, act):
        run = stage.procedures.run("roll_back", limit="production", stack=STACK)
        stage.story.measured(rollback_s=run.seconds)
        _tell_release(act, run, "rolled back")
        _expect_live(stage, GOOD)


def lose_database(stage: Stage) -> None:
    """The incident of the runbook: production's database password is wrong. Found, named, mended."""
    title = "Break production's database password on purpose, and have the cause found"
    with (
        stage.story.act("diagnosis", title) as act,
        Load(stage.target("production"), _OUTAGE_RATE) as during,
        Database(stage.lab, "production").wrong_password(),
    ):
        began = during.seconds()
        noticed = wait_until(
            lambda: "" if during.figures(began).failed else "visitors do not notice the wrong password",
            _ANSWERS_S, "production", "report it: a defect of the story",
        )  # fmt: skip
        problem = next(iter(during.figures(began).problems))
        act.measured(f"visitors get {problem} after {noticed:.1f} s", noticed_s=noticed, problem=problem)
        run = stage.procedures.run("diagnose_database", limit="production", stack=STACK)
        verdict = run.told_by("seisei.ops.database_diagnosis")
        stage.story.measured(diagnose_s=run.seconds)
        act.measured(
            f"diagnosed in {run.seconds:.1f} s: {verdict['verdict']}: {verdict['cause']}",
            diagnose_s=run.seconds, verdict=verdict["verdict"], code=verdict["code"], cause=verdict["cause"],
            next=verdict["next"],
        )  # fmt: skip
        if verdict["verdict"] != "authentication":
            raise OpsError(
                f"the diagnosis blames {verdict['verdict']} ({verdict['code']}) where the password is wrong",
                where="playbooks/diagnose_database.yml",
                do="read its report in build/reports",
            )
    # The password is back, and the visitors of the outage are gone: they are counted apart.
    lost = during.figures()
    act.details["outage"] = {"requests": lost.requests, "failed": lost.failed}


def see_all_well(stage: Stage) -> None:
    """The password is back: the site is well again by itself."""
    with stage.story.act("recovery", "The password is put back, and production is well again") as act:
        with Load(stage.target("production"), _OUTAGE_RATE) as after:
            seconds = wait_until(lambda: _not_yet_well(after), _ANSWERS_S, "production", _look("production"))
        health = stage.visit("production", path="/web/health")
        if health.status != 200:
            raise OpsError(f"its health is {health.problem}", where=stage.site("production"), do=_look("production"))
        act.measured(
            f"{_WELL_AGAIN} good pages in a row {seconds:.1f} s after the password was back; nothing was restarted",
            recovered_s=seconds,
        )
        run = stage.procedures.run("status")
        act.details["status"] = run.told_by("seisei.ops.table")["rows"]


# ---- what acts share -------------------------------------------------------------------------------------------------


def _migrate_and_deploy(stage: Stage, act: Act, environment: str) -> Run:
    migration = stage.procedures.run("migrate", limit=environment, stack=STACK, release=BETTER)
    backup = migration.told_by("seisei.ops.backup")
    act.measured(
        f"backed up, verified and migrated in {migration.seconds:.1f} s",
        migrate_s=migration.seconds, backup_s=backup["backup_s"], changed=migration.changed,
    )  # fmt: skip
    run = stage.procedures.run("deploy", limit=environment, stack=STACK, release=BETTER)
    _tell_release(act, run, "deployed")
    return run


def _tell_release(act: Act, run: Run, verb: str) -> None:
    receipt = run.told_by("seisei.ops.release")
    drained = receipt.get("drained") or {}
    act.measured(
        f"{verb} in {run.seconds:.1f} s ({receipt['seconds']:.1f} s of it on the host): switched in "
        f"{receipt['flip_ms']:.0f} ms, {drained.get('in_flight', 0)} requests were under way in the old release and "
        f"{drained.get('cut', 0)} were cut off",
        seconds_in_all=run.seconds, receipt=receipt,
    )  # fmt: skip


@contextmanager
def _watched(stage: Stage, act: Act) -> Iterator[float]:
    """Keep what the visitors of this act met; gives the second of the load at which it began."""
    load = _load(stage)
    since = load.seconds()
    try:
        yield since
    finally:
        figures = load.figures(since)
        act.measured(
            f"meanwhile {figures.sentence}",
            requests=figures.requests, failed=figures.failed, longest_gap_s=figures.longest_gap_s,
            p50_ms=figures.p50_ms, p99_ms=figures.p99_ms, releases=figures.releases,
        )  # fmt: skip
        _keep_figures(stage, load.figures())


def _keep_figures(stage: Stage, figures: Figures) -> None:
    stage.story.measured(
        requests=figures.requests, failed=figures.failed, problems=figures.problems,
        longest_gap_s=figures.longest_gap_s, p50_ms=figures.p50_ms, p99_ms=figures.p99_ms,
        client_late_ms=figures.client_late_ms, releases_seen=[vars(seen) for seen in figures.timeline],
    )  # fmt: skip


def _refuse_failures(figures: Figures) -> None:
    if figures.failed:
        raise OpsError(
            f"{figures.failed} of {figures.requests} requests failed ({'; '.join(figures.examples)})",
            where="production under load",
            do="compare the seconds with releases_seen in build/demo.json: a release must not be noticed",
        )


def _load(stage: Stage) -> Load:
    assert stage.load is not None
    return stage.load


def _wait_for_visitors(stage: Stage) -> None:
    load = _load(stage)
    wait_until(
        lambda: "" if load.figures().releases else f"no visitor gets an answer ({load.figures().problems})",
        _ANSWERS_S, stage.site("production"), _look("production"),
    )  # fmt: skip


def _wait_for_page(stage: Stage, environment: str, host: str) -> float:
    def complaint() -> str:
        seen = stage.visit(environment, host)
        return "" if seen.status == 200 else f"it does not answer as it should ({seen.problem})"

    return wait_until(complaint, _CERTIFICATES_S, host, _look(environment))


def _expect_live(stage: Stage, release: str) -> None:
    seen = stage.visit("production")
    if seen.release != release:
        raise OpsError(
            f"visitors get {seen.release or seen.problem} where {release} is live",
            where=stage.site("production"),
            do=_look("production"),
        )


def _not_yet_well(load: Load) -> str:
    pages = [sample for sample in list(load.samples) if sample.kind in ("page", "new connection")]
    well = len(pages) >= _WELL_AGAIN and not any(page.problem for page in pages[-_WELL_AGAIN:])
    return "" if well else f"it is not well again ({load.figures().problems})"


def _look(environment: str) -> str:
    return f"ansible-playbook playbooks/status.yml --limit {environment}"
