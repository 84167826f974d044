"""What a report shows of goroutines: the first groups in full, the others in a line, all counted."""

from corebox.debugger.goroutines import GoFrame, GoroutineGroup, Goroutines
from corebox.report import goroutines

PARK = GoFrame("runtime.gopark", "/go/proc.go", 363)
RECEIVE = GoFrame("runtime.chanrecv1", "/go/chan.go", 442)
WORK = GoFrame("main.work", "/shop/main.go", 7)
FAILED = GoroutineGroup((18,), 1, "running", None, 2, "no money", (WORK,), True, WORK)


def waiting(first: int, count: int) -> GoroutineGroup:
    numbers = tuple(range(first, first + min(count, 64)))
    return GoroutineGroup(numbers, count, "waiting", "chan receive", None, None, (PARK, RECEIVE, WORK), False, None)


def known(*groups: GoroutineGroup, omitted: int = 0) -> Goroutines:
    return Goroutines("go1.22.1", sum(each.total for each in groups) + omitted, False, groups, omitted)


def test_groups_are_shown_with_their_stacks() -> None:
    assert list(goroutines.lines(known(FAILED, waiting(1, 3000)))) == [
        "goroutine 18 [running], thread 2",
        "  panic: no money",
        "  main.work at /shop/main.go:7",
        "  created by main.work at /shop/main.go:7",
        "3,000 goroutines (1, 2, 3, 4, 5, 6, 7, 8 …) [waiting: chan receive]",
        "  in Go's runtime: runtime.gopark, runtime.chanrecv1",
        "  main.work at /shop/main.go:7",
        "  the stack cannot be followed further",
    ]


def test_most_groups_have_a_line_and_the_rest_are_counted() -> None:
    shown = list(goroutines.lines(known(*(waiting(each, 1) for each in range(1, 101)), omitted=5)))
    assert shown.count("goroutine 11 [waiting: chan receive] in main.work") == 1
    assert "goroutine 60 [waiting: chan receive] in main.work" in shown
    assert shown[-1] == "45 more goroutines not shown; corebox shell, then: corebox goroutines"


def test_how_many_and_what_they_do() -> None:
    assert goroutines.heading(known(FAILED)) == "1 goroutine of go1.22.1"
    assert goroutines.heading(known(FAILED)._replace(by_shape=True)).endswith(", found by the shape of their list")
    assert goroutines.own_function(waiting(1, 1)) == "main.work"
    assert goroutines.own_function(FAILED._replace(frames=(PARK,))) == "runtime.gopark"
    assert goroutines.own_function(FAILED._replace(frames=())) == "no frame"
