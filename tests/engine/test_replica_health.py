from engine.replica_health import EJECT_AFTER, OPEN_AFTER, Health, ReplicaHealth, by_preference


def failed(replica: ReplicaHealth, times: int = EJECT_AFTER) -> ReplicaHealth:
    for _ in range(times):
        replica.failed("slow")
    return replica


def timed_out(replica: ReplicaHealth, seconds: float = 3.0) -> ReplicaHealth:
    for _ in range(OPEN_AFTER):
        replica.timed_out(seconds)
    return replica


def test_the_replica_with_the_fewest_outstanding_calls_comes_first_and_equals_in_turn() -> None:
    replicas = [ReplicaHealth(0.0, outstanding=n) for n in (2, 0, 0)]
    assert by_preference(replicas, 0, 1.0) == [1, 2, 0]
    assert by_preference(replicas, 2, 1.0) == [2, 1, 0]


def test_failures_in_a_row_eject_a_replica_until_it_succeeds() -> None:
    replicas = [failed(ReplicaHealth(0.0)), ReplicaHealth(0.0, outstanding=9)]
    assert by_preference(replicas, 0, 1.0) == [1, 0]
    replicas[0].succeeded(2.0)
    assert by_preference(replicas, 0, 2.0) == [0, 1]


def test_a_success_resets_the_failures() -> None:
    replica = failed(ReplicaHealth(0.0), EJECT_AFTER - 1)
    replica.succeeded(1.0)
    assert failed(replica, EJECT_AFTER - 1).state(2.0) == Health.HEALTHY


def test_after_a_good_probe_one_failure_ejects_again() -> None:
    replica = failed(ReplicaHealth(0.0))
    replica.probed("", 1.0)
    assert replica.state(1.0) == Health.HEALTHY
    assert failed(replica, 1).state(1.0) == Health.EJECTED


def test_a_fault_that_a_probe_found_ejects_until_a_probe_finds_none() -> None:
    replica = ReplicaHealth(0.0)
    replica.probed("serves shard-00001", 1.0)
    replica.succeeded(2.0)
    assert replica.state(2.0) == Health.EJECTED
    replica.probed("", 3.0)
    assert replica.state(3.0) == Health.HEALTHY


def test_time_outs_open_the_circuit_and_a_probe_half_opens_it_for_one_call() -> None:
    replica = timed_out(ReplicaHealth(0.0))
    assert replica.state(6.0) == Health.OPEN
    assert by_preference([replica], 0, 6.0) == []
    replica.probed("", 7.0)
    assert replica.state(7.0) == Health.HEALTHY
    replica.outstanding = 1
    assert replica.state(7.0) == Health.OPEN
    replica.timed_out(3.0)
    replica.outstanding = 0
    assert replica.state(10.0) == Health.OPEN
    replica.probed("", 11.0)
    replica.succeeded(11.1)
    replica.outstanding = 5
    assert replica.state(11.2) == Health.HEALTHY


def test_short_deadlines_and_a_short_overload_open_no_circuit() -> None:
    assert timed_out(ReplicaHealth(0.0), seconds=0.01).state(9.0) == Health.HEALTHY
    busy = timed_out(ReplicaHealth(0.0))
    busy.succeeded(4.0)
    assert timed_out(busy).state(4.5) != Health.OPEN


def test_a_missed_probe_ejects_and_opens_the_circuit_only_where_a_call_timed_out_too() -> None:
    replica = ReplicaHealth(0.0)
    for now in (2.0, 3.0, 4.0):
        replica.missed("did not answer", now)
        assert replica.state(now) == Health.EJECTED
    replica.timed_out(3.0)
    assert replica.state(5.0) == Health.OPEN
    replica.probed("", 6.0)
    assert (replica.state(6.0), replica.half_open) == (Health.HEALTHY, True)
    replica.succeeded(6.5)
    for hour in (1, 2, 3):  # one missed now and then
        replica.missed("did not answer", 3600.0 * hour)
        replica.probed("", 3600.0 * hour + 1)
        assert replica.state(3600.0 * hour + 1) == Health.HEALTHY


def test_an_outlier_is_asked_after_its_like() -> None:
    replicas = [ReplicaHealth(0.0), ReplicaHealth(0.0, outstanding=3), failed(ReplicaHealth(0.0))]
    assert by_preference(replicas, 0, 1.0, slow={0}) == [1, 0, 2]
