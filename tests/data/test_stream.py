"""Training streams: errors of loader processes."""

import pytest
from torch.utils.data import Dataset

from ganforge.data.files.encoded import UnreachableError
from ganforge.data.order import Deal, Progress
from ganforge.data.stream import TrainingStream
from ganforge.errors import DataError


class Failing(Dataset):
    def __init__(self, error):
        self.error = error

    def __getitem__(self, positions):
        try:
            raise OSError("a cause")
        except OSError as cause:
            raise self.error from cause


@pytest.mark.parametrize("kind", [DataError, UnreachableError])
def test_errors_of_workers_are_those_without_workers(kind, monkeypatch):
    message = "s3://b/a.tar cannot be read: ClientError: no such DataError: key"
    failing = Failing(kind(message))
    stream = TrainingStream(failing, Deal(4, lambda: Progress(4, 1, lambda _: 1)), workers=1)
    monkeypatch.setattr(stream, "_workers_with_room", lambda: 1)
    with pytest.raises(kind) as caught:
        next(iter(stream))
    assert type(caught.value) is kind
    assert str(caught.value) == message
