import torch

from ganforge.data.order import Groups, Order, WindowOrder


def groups(sizes, window):
    numbers = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return Groups(numbers, window)


def test_each_epoch_is_a_permutation():
    order = WindowOrder(groups([7, 1, 20, 4, 9], 10), seed=3)
    epochs = [order.indices(range(41 * e, 41 * (e + 1))).tolist() for e in range(3)]
    assert all(sorted(epoch) == list(range(41)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_window_of_all_images_is_the_usual_order():
    positions = range(5, 95, 2)
    usual = Order(50, 9).indices(positions)
    assert torch.equal(WindowOrder(groups([20, 30], 50), 9).indices(positions), usual)


def test_positions_alone_decide():
    """Any process that starts anywhere reads what one process reads there."""
    whole = WindowOrder(groups([30] * 20, 90), 1).indices(range(1500))
    for start, step in ((0, 1), (601, 1), (1234, 2), (77, 3)):
        positions = range(start, 1500, step)
        assert torch.equal(
            WindowOrder(groups([30] * 20, 90), 1).indices(positions), whole[start::step]
        )


def test_few_groups_are_read_at_a_time_and_equally_many_throughout():
    """The groups that start within one window are mixed: 4 windows of 100 of 40 groups of 100."""
    order = WindowOrder(groups([100] * 40, 400), 5)
    numbers = order.groups.numbers[order.indices(range(4000))]
    for start in range(0, 4000, 100):
        counts = numbers[start : start + 100].bincount(minlength=40)
        assert 4 <= int((counts > 0).sum()) <= 6
        assert int(counts.max()) < 55  # 25 are expected of each of 4
    # Over the whole epoch, a group is read within one window, except across its seam.
    spans = [(numbers == group).nonzero() for group in range(40)]
    assert sum(int(span.max() - span.min()) <= 440 for span in spans) >= 34


def test_the_next_groups_are_announced_in_order():
    announced = []
    order = WindowOrder(groups([100] * 10, 200), 5, announced.append)
    numbers = order.groups.numbers[order.indices(range(1000))]
    announced.clear()
    order = WindowOrder(groups([100] * 10, 200), 5, announced.append)
    for start in range(0, 1000, 10):
        order.indices(range(start, start + 10))
        left = numbers[start + 9 : start + 110].tolist()
        assert {*left} <= {*announced[-1]}
        assert (
            announced[-1][0] == numbers[start // 10 * 10 + 9] or len(announced) <= start // 10 + 1
        )
    assert 100 >= len(announced) > 50
