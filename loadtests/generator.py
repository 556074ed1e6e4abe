"""The load generator: a process of its own, in which Locust's users ask the hub.

Run as `python -m loadtests.generator JOB LOG`. Importing Locust replaces the standard library's
blocking calls by gevent's, which is why nothing else imports it.
"""

from gevent import monkey

monkey.patch_all()  # before anything opens a socket

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402
from locust import LoadTestShape  # noqa: E402
from locust.env import Environment  # noqa: E402
from locust.html import get_html_report  # noqa: E402
from locust.stats import stats_history  # noqa: E402

from loadtests import gate_users  # noqa: E402
from loadtests.wire import GeneratorJob, RequestFigures, RequestLog, read, write  # noqa: E402

STOP_TIMEOUT_S = 10.0  # what a user has begun is done by then


class PlannedShape(LoadTestShape):
    """As many users as the plan says, second by second."""

    def __init__(self, job: GeneratorJob) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._plan = job.plan

    def tick(self) -> tuple[int, float] | None:
        """Return how many users there are now, and how fast they come."""
        users = self._plan.users_at(self.get_run_time())  # type: ignore[no-untyped-call]
        return None if users is None else (users, float(self._plan.users))


def run(job: GeneratorJob) -> RequestLog:
    """Run the journey, write Locust's report, and return the figures by request."""
    work = gate_users.Work(job)
    classes = [gate_users.make_user(name, weight, work) for name, weight in job.users.items()]
    shape = PlannedShape(job)
    environment = Environment(
        user_classes=list(classes), shape_class=shape, host=job.hub_url, stop_timeout=STOP_TIMEOUT_S
    )
    runner = environment.create_local_runner()
    history = gevent.spawn(stats_history, runner)
    runner.start_shape()
    assert runner.shape_greenlet is not None
    runner.shape_greenlet.join()
    history.kill()
    report = get_html_report(environment, show_download_link=False)  # type: ignore[no-untyped-call]
    Path(job.report_path).write_text(report, encoding="utf-8")
    found = [_read_stats(one) for one in environment.stats.entries.values()]
    exceptions = [str(one["msg"]) for one in runner.exceptions.values()]
    runner.quit()
    return RequestLog(
        requests=sorted(found, key=lambda one: one.name),
        total=_read_stats(environment.stats.total),
        exceptions=exceptions,
    )


def _read_stats(stats: object) -> RequestFigures:
    percentile = stats.get_response_time_percentile  # type: ignore[attr-defined]
    return RequestFigures(
        name=f"{stats.method} {stats.name}".strip(),  # type: ignore[attr-defined]
        requests=stats.num_requests,  # type: ignore[attr-defined]
        failures=stats.num_failures,  # type: ignore[attr-defined]
        p50_ms=float(percentile(0.5) or 0),
        p95_ms=float(percentile(0.95) or 0),
        p99_ms=float(percentile(0.99) or 0),
    )


if __name__ == "__main__":
    write(Path(sys.argv[2]), run(read(Path(sys.argv[1]), GeneratorJob)))
