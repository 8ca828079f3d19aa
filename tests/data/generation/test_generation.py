"""Generation against a local endpoint: what is accepted and refused, budgets, failures, a kill."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from random import Random
from threading import Event

import pytest

from luthier.config import RunConfig
from luthier.data.generation import Budget, Wishes, generate
from luthier.data.generation.pool import Pool, Seeds
from luthier.data.generation.tasks import Task
from luthier.data.intake import iterate_examples
from luthier.endpoint import Endpoint
from luthier.errors import ConfigError, DataError, Interrupted, LuthierError

TOPICS = ["bonds", "mergers", "audits", "dividends", "freight", "inflation", "pensions", "tariffs", "leases", "patents"]
VERBS = ["Explain", "Define", "Compare", "Summarise", "Criticise", "Estimate", "Translate", "Outline"]
CITIES = ["Turku", "Lima", "Osaka", "Bergen", "Quito", "Perth", "Malmo", "Davao", "Leeds", "Porto", "Tunis"]


def task(number: int) -> dict[str, str]:
    """Tasks that are nothing like each other."""
    verb, topic = VERBS[number % 8], TOPICS[number * 7 % 10]
    city = CITIES[number * 3 % 11]
    return {
        "instruction": f"{verb} how {topic} of {city} number {number * 7919} changed",
        "input": "",
        "output": f"They moved by {number * 31} points.",
    }


SEEDS = [task(number) for number in range(1000, 1012)]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def config(path: Path, **data) -> RunConfig:
    data = {"train": str(path), "clean": [], "split": {"test": 0, "validation": 0}} | data
    return RunConfig.model_validate({"model": {"base": "none"}, "data": data})


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def three_new(body, number):
    return "\n".join(json.dumps(task(3 * number + place)) for place in range(3))


@pytest.fixture
def workshop(tmp_path, stub):
    return Workshop(tmp_path, stub)


class Workshop:
    """Seeds, a server and a generation that may be called again."""

    def __init__(self, folder, stub):
        self.seeds = write(folder / "seeds.jsonl", SEEDS)
        self.out = folder / "made" / "new.jsonl"
        self.stub = stub

    def serve(self, answer):
        self.server = self.stub(answer)
        return self.server

    def generate(self, rows=12, budget=None, progress=None, **wishes):
        endpoint = Endpoint(self.server.url, "m", tries=3, pause=0.001)
        wishes = Wishes(rows, **{"per_request": 3, "examples": 4} | wishes)
        say = progress or (lambda *_: None)
        return generate(config(self.seeds), endpoint, self.out, wishes, budget or Budget(), say)

    @property
    def refused(self):
        return lines(self.out.with_name("new.jsonl.refused"))

    @property
    def journal(self):
        return lines(self.out.with_name("new.jsonl.journal"))


def test_rows_are_asked_for_until_there_are_enough(workshop):
    server = workshop.serve(three_new)
    seen = []
    made = workshop.generate(progress=lambda phase, done, total: seen.append((done, total)))
    assert made.rows == 12 == len(lines(workshop.out))
    assert made.requests == 4 == len(server.bodies)
    assert made.ended == "12 rows were wanted"
    assert seen[-1] == (12, 12)
    assert lines(workshop.out)[0].keys() == {"instruction", "input", "output", "luthier_origin"}
    assert made.prompt_tokens == sum(
        sum(len(message["content"].split()) for message in body["messages"]) for body in server.bodies
    )


def test_the_file_is_read_as_rows_that_a_model_wrote(workshop):
    workshop.serve(three_new)
    workshop.generate()
    said = []
    rows = list(iterate_examples(config(workshop.out), said.append))
    assert "format alpaca" in said[0]
    assert all(row.example is not None and row.generated for row in rows)
    assert not any(row.generated for row in iterate_examples(config(workshop.seeds)))


def test_examples_are_seeds_and_accepted_rows(workshop):
    server = workshop.serve(three_new)
    workshop.generate(rows=30, examples=8, at_once=1)
    seeds, made = {row["instruction"] for row in SEEDS}, {row["instruction"] for row in lines(workshop.out)}
    shown = [
        {json.loads(line)["instruction"] for line in body["messages"][1]["content"].splitlines() if line[:1] == "{"}
        for body in server.bodies
    ]
    assert len(shown[0] & seeds) == 8, "nothing is accepted yet"
    assert [len(each & seeds) for each in shown[1:]] == [6] * (len(shown) - 1)
    assert [len(each & made) for each in shown[1:]] == [2] * (len(shown) - 1)
    assert len({frozenset(each) for each in shown}) == len(shown), "every request shows others"


def test_near_duplicates_of_seeds_and_of_each_other_are_refused_and_kept_aside(workshop):
    near_seed = SEEDS[3] | {"instruction": SEEDS[3]["instruction"] + " lately"}
    near_new = task(0) | {"instruction": task(0)["instruction"] + " again"}
    proposed = [near_seed, task(0), near_new, task(1) | {"output": ""}, task(2)]
    workshop.serve(lambda body, number: "\n".join(map(json.dumps, proposed)) + "\n{broken")
    made = workshop.generate(rows=2)
    assert [row["instruction"] for row in lines(workshop.out)] == [task(0)["instruction"], task(2)["instruction"]]
    assert made.refused == {
        "near-duplicate of a seed": 1,
        "near-duplicate of an accepted row": 1,
        "empty": 1,
        "not JSON": 1,
    }
    assert [each.get("task", {}).get("instruction") for each in workshop.refused] == [
        near_seed["instruction"], near_new["instruction"], task(1)["instruction"], None,
    ]  # fmt: skip
    assert workshop.refused[3]["text"] == "{broken"
    assert SEEDS[3]["instruction"] in workshop.refused[0]["reason"]


def test_half_a_character_costs_its_task_only(workshop):
    broken = json.dumps(task(500) | {"output": "It went up \ud83d"})
    workshop.serve(lambda body, number: f"{broken}\n{three_new(body, number)}")
    made = workshop.generate(rows=3)
    assert (made.rows, made.refused) == (3, {"a value that is no text": 1})
    assert workshop.refused[0]["text"] == broken
    assert workshop.generate(rows=6).rows == 6, "the journal is read again"


def test_inputs_tell_tasks_of_one_instruction_apart(tmp_path):
    rows = [{"text": f"{row['instruction']}.", "label": "up"} for row in SEEDS]
    asked = "Which way does it point, up or down?"
    pool = Pool(Seeds(config(write(tmp_path / "rows.jsonl", rows), instruction=asked), tmp_path), 0.7)
    assert pool.resembled(Task(asked, task(5)["instruction"], "up")) == ""
    assert "near-duplicate of a seed" in pool.resembled(Task(asked, rows[4]["text"] + ".", "up"))


def test_only_training_rows_are_shown_and_all_are_compared_with(tmp_path):
    seeds = config(write(tmp_path / "seeds.jsonl", SEEDS), split={"test": 0.4, "validation": 0.2, "by": "random"})
    pool = Pool(Seeds(seeds, tmp_path), 0.7)
    shown = {each.instruction for number in range(40) for each in pool.examples(4, Random(number))}
    assert len(shown) == 5
    assert all(pool.resembled(Task(**row)) for row in SEEDS)


def test_a_budget_of_requests_counts_failed_ones(workshop):
    server = workshop.serve(lambda body, number: (500, {}, "oops") if number % 2 else three_new(body, number))
    made = workshop.generate(rows=1000, budget=Budget(requests=7), at_once=1)
    assert len(server.bodies) == made.requests == 7
    assert made.ended == "the budget of 7 requests"
    assert made.rows == len(lines(workshop.out)) == 12
    assert sum(event["kind"] == "failed" for event in workshop.journal) == 3


def test_a_budget_of_tokens_is_kept(workshop):
    workshop.serve(three_new)
    made = workshop.generate(rows=1000, budget=Budget(tokens=6000), max_tokens=200)
    assert made.ended == "the budget of 6000 tokens"
    assert 3000 < made.prompt_tokens + made.completion_tokens <= 6000


def test_a_budget_of_money_is_kept(workshop):
    workshop.serve(three_new)
    budget = Budget(money=0.01, prompt_price=2.0, completion_price=8.0)
    made = workshop.generate(rows=1000, budget=budget, max_tokens=200)
    assert made.ended == "the budget of 0.01"
    assert 0.004 < made.cost <= 0.01
    assert made.cost == pytest.approx((2 * made.prompt_tokens + 8 * made.completion_tokens) / 1e6, abs=1e-6)


def test_a_model_that_repeats_itself_comes_to_an_end(workshop):
    server = workshop.serve(lambda body, number: three_new(body, 0))
    made = workshop.generate(at_once=1)
    assert made.rows == 3
    assert len(server.bodies) == 11
    assert made.ended == "10 answers in a row brought nothing new"


def test_requests_are_under_way_together(workshop):
    both = Event()

    def answer(body, number):
        if number == 0:
            assert both.wait(5), "the second one comes before the first one is answered"
        both.set()
        return three_new(body, number)

    workshop.serve(answer)
    assert workshop.generate(rows=6, at_once=2).rows == 6


def test_a_second_call_goes_on_and_asks_for_no_more_than_is_missing(workshop):
    server = workshop.serve(three_new)
    first = workshop.generate(rows=6)
    before = workshop.out.read_bytes()
    assert workshop.generate(rows=6).requests == first.requests == len(server.bodies)
    assert workshop.out.read_bytes() == before
    assert workshop.generate(rows=9).rows == 9
    assert workshop.out.read_bytes().startswith(before)


def test_an_endpoint_that_fails_leaves_what_was_answered(workshop):
    workshop.serve(lambda body, number: three_new(body, number) if number < 2 else (503, {}, "overloaded"))
    with pytest.raises(LuthierError, match="did not answer in 3 tries"):
        workshop.generate(at_once=1)
    assert len(lines(workshop.out)) == 6
    workshop.server.answer = three_new
    made = workshop.generate()
    assert made.rows == 12
    assert len({row["instruction"] for row in lines(workshop.out)}) == 12


def test_what_is_under_way_at_an_interrupt_is_kept(workshop):
    both = Event()

    def answer(body, number):
        if number:
            both.set()
        assert both.wait(30), "the second one is under way when the first one is answered"
        return three_new(body, number)

    server = workshop.serve(answer)

    def interrupt(phase, done, total):
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="stopped with 3 rows") as stopped:
        workshop.generate(rows=30, progress=interrupt)
    assert stopped.value.hint == "the same command goes on"
    answered = sum(event["kind"] == "answered" for event in workshop.journal)
    assert answered == len(server.bodies) > 1, "those under way were waited for"
    made = workshop.generate(rows=3 * answered)
    assert (made.rows, made.requests, made.lost) == (3 * answered, answered, 0)


def test_files_of_others_are_left_alone(workshop):
    workshop.serve(three_new)
    workshop.out.parent.mkdir()
    workshop.out.write_text("mine")
    with pytest.raises(ConfigError, match="no generation wrote it"):
        workshop.generate()
    workshop.out.unlink()
    workshop.generate(rows=3)
    with pytest.raises(ConfigError, match=r"similarity is 0\.7, now it is 0\.6"):
        workshop.generate(similarity=0.6)
    write(workshop.seeds, SEEDS[:-1])
    with pytest.raises(ConfigError, match="another generation: its seeds"):
        workshop.generate()
    assert len(lines(workshop.out)) == 3


def test_seeds_that_are_no_tasks(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("A note.\n")
    with pytest.raises(DataError, match="no row to show"):
        Seeds(config(path), tmp_path)


def test_killed_at_any_instant_it_goes_on_and_counts_every_request_once(workshop):
    def slowly(body, number):
        time.sleep(0.02)
        return three_new(body, number)

    server = workshop.serve(slowly)
    script = f"""
        from pathlib import Path
        from luthier.config import RunConfig
        from luthier.endpoint import Endpoint
        from luthier.data.generation import Budget, Wishes, generate
        data = {{"train": {str(workshop.seeds)!r}, "clean": [], "split": {{"test": 0, "validation": 0}}}}
        config = RunConfig.model_validate({{"model": {{"base": "none"}}, "data": data}})
        endpoint = Endpoint({server.url!r}, "m", tries=3, pause=0.001)
        wishes = Wishes(100000, per_request=3, examples=4, at_once=3)
        generate(config, endpoint, Path({str(workshop.out)!r}), wishes, Budget(), lambda *_: None)
    """
    running = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], env=os.environ | {"no_proxy": "*"})
    for _ in range(2000):
        if len(server.bodies) >= 12 or running.poll() is not None:
            break
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    time.sleep(0.1)  # requests on their way arrive
    sent = len(server.bodies)
    assert sent >= 12

    made = workshop.generate(rows=60, budget=Budget(requests=sent + 30))
    asked = [event["request"] for event in workshop.journal if event["kind"] == "asked"]
    answered = [event["request"] for event in workshop.journal if event["kind"] == "answered"]
    assert asked == list(range(made.requests))
    assert sorted(set(answered)) == sorted(answered)
    assert made.lost == len(asked) - len(answered) <= 3
    assert len(server.bodies) <= made.requests <= len(server.bodies) + 3
    rows = [row["instruction"] for row in lines(workshop.out)]
    assert len(set(rows)) == len(rows) == made.rows >= 60
    assert made.rows + sum(made.refused.values()) == 3 * len(answered)
