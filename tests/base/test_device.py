import pytest
import torch
from sansi.base import SansiError
from sansi.base.device import resolve_device, resolve_dtype

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_tests_run_on_one_thread():
    assert torch.get_num_threads() == 1


def test_auto_is_cuda_where_there_is_one():
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert resolve_device("cpu") == CPU


@pytest.mark.parametrize("device", ["gpu", "", "cuda:99", "xla"])
def test_a_device_that_is_not_there_is_named(device):
    with pytest.raises(SansiError, match=f'device "{device}"') as caught:
        resolve_device(device)
    assert caught.value.param == "device"


@pytest.mark.parametrize(
    ("dtype", "device", "resolved"),
    [
        ("auto", CPU, torch.float32),
        ("auto", CUDA, torch.bfloat16),
        ("float16", CPU, torch.float16),
        ("bfloat16", CPU, torch.bfloat16),
    ],
)
def test_dtypes(dtype, device, resolved):
    assert resolve_dtype(dtype, device) == resolved


@pytest.mark.parametrize("dtype", ["bf16", "int8", "load"])
def test_an_unknown_dtype_is_named(dtype):
    with pytest.raises(SansiError, match=f'unknown dtype "{dtype}"') as caught:
        resolve_dtype(dtype, CPU)
    assert caught.value.param == "dtype"
