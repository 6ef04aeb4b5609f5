from trainer.bench import bench


def test_every_stage_is_timed_and_flat_is_the_exact_answer() -> None:
    rows = {row.stage: row for row in bench(vectors=12_000, dim=32, indexes=["SQfp16"], runs=3)}
    assert rows["top-200: flat"].recall == 1.0
    assert (rows["top-200: SQfp16"].recall or 0) > 0.98
    assert all(row.milliseconds > 0 for row in rows.values())
    assert "propose: from 200 hits" in rows
