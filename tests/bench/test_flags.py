"""Steps of `tagger flag` are timed, and do what they are timed for."""

from bench.flags import measure, section
from bench.throughput.servers import Servers
from shared.db.follow import BATCH


def test_each_kind_of_step_is_timed_once_and_flags_the_copies(bench_servers: Servers) -> None:
    with bench_servers.fresh() as urls:
        steps = measure(urls, 2000, 1500, seed=0)
    assert [step.listings for step in steps] == [BATCH] * 7
    assert all(step.seconds > 0 for step in steps)
    # A photo that 1,500 have is nobody's; its variants are one another's.
    own, copied, near, common, variants, crowded, deleted = (step.reused for step in steps)
    assert (own, copied, near, common) == (0, BATCH, 2 * BATCH, 2 * BATCH)
    assert variants == crowded == 3 * BATCH - 1
    assert deleted == 2 * BATCH - 1
    assert len(section(steps).rows) == 7
