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


def test_torchs_own_objects_numbers_and_nothing_are_names_too():
    assert resolve_device(CPU) == resolve_device("cpu") == CPU
    assert resolve_device(None) == resolve_device("auto")
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert resolve_dtype(dtype, CPU) == resolve_dtype(str(dtype), CPU) == dtype
    assert resolve_dtype(None, CPU) == torch.float32 and resolve_dtype(None, CUDA) == torch.bfloat16


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU answers")
def test_a_number_is_a_gpus():
    with pytest.raises(SansiError, match=r'device "cuda:0" was asked for, but torch does not see it'):
        resolve_device(0)


@pytest.mark.parametrize("device", [-1, True, 1.5, ["cpu"], b"cpu", {}, torch.device("meta"), "meta"])
def test_what_is_no_device_is_said_so(device):
    with pytest.raises(SansiError, match="device") as caught:
        resolve_device(device)
    assert caught.value.param == "device"


@pytest.mark.parametrize("dtype", [torch.int8, torch.float64, torch.complex64, torch.float8_e4m3fn, 32, float, [1]])
def test_what_no_model_computes_in_is_said_so(dtype):
    with pytest.raises(SansiError, match="dtype") as caught:
        resolve_dtype(dtype, CPU)
    assert caught.value.param == "dtype"
