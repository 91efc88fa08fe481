"""Independent jobs: which failures are a job's own, which stop them all, and what a killed parent leaves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assets.pool import each
from models.errors import DeepExp3DError, DiskFullError, VideoError, WeightsMissingError


def halve(number: int) -> float:
    if number == 13:
        raise VideoError("13: brings bad luck.")
    if number == 99:
        os.kill(os.getpid(), signal.SIGKILL)
    return number / 2


def meet_a_common_fault(job: tuple[Path, int]) -> None:
    folder, number = job
    (folder / str(number)).touch()
    if number == 0:
        raise WeightsMissingError("weights: not there.")
    time.sleep(0.2)


def pause(folder: Path) -> None:
    (folder / str(os.getpid())).touch()
    time.sleep(0.2)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_fails_yields_its_error_and_stops_no_other(workers):
    outcomes = dict(each(halve, [2, 13, 6], workers, "halving"))
    assert (outcomes[2], outcomes[6]) == (1, 3)
    assert isinstance(outcomes[13], VideoError)


def test_a_job_that_kills_its_process_is_found_out_and_stops_no_other():
    outcomes = dict(each(halve, [2, 99, 6, 8, 10], 2, "halving"))
    assert [outcomes[number] for number in (2, 6, 8, 10)] == [1, 3, 4, 5]
    assert isinstance(outcomes[99], DeepExp3DError)
    assert "99: the worker process died" in str(outcomes[99])


def test_a_fault_that_all_jobs_share_stops_them(tmp_path):
    with pytest.raises(WeightsMissingError):
        list(each(meet_a_common_fault, [(tmp_path, number) for number in range(40)], 2, "jobs"))
    assert len(list(tmp_path.iterdir())) < 20, "jobs that had not begun were done all the same"


def test_a_full_disk_stops_the_jobs():
    def work(number):
        done.append(number)
        raise DiskFullError("disk: full.")

    done = []
    with pytest.raises(DiskFullError):
        list(each(work, [1, 2, 3], 1, "jobs"))
    assert done == [1]


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path):
    program = (
        "from pathlib import Path; from assets.pool import each; from tests.assets.test_pool import pause\n"
        f"if __name__ == '__main__': list(each(pause, [Path({str(tmp_path)!r})] * 500, 2, 'jobs'))"
    )
    script = tmp_path / "program.py"
    script.write_text(program)
    root = Path(__file__).resolve().parents[2]
    parent = subprocess.Popen(
        [sys.executable, script], env=os.environ | {"PYTHONPATH": str(root)}, stderr=subprocess.DEVNULL
    )
    workers = _within(60, lambda: [int(file.name) for file in tmp_path.iterdir() if file.name.isdigit()], at_least=2)
    parent.kill()
    parent.wait()
    assert _within(20, lambda: [pid for pid in workers if not _runs(pid)], at_least=2) == workers


def _within(seconds: float, look, at_least: int) -> list:
    """What `look` gives once it is enough, or when the time is up."""
    end = time.monotonic() + seconds
    while len(found := sorted(look())) < at_least and time.monotonic() < end:
        time.sleep(0.1)
    return found


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan that has ended stays a zombie where nobody waits for it.
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
