"""The table of devices."""

import pytest

from luthier.errors import ConfigError
from luthier.training.devices import DEVICES, device_names, find_device


def test_the_devices_people_ask_for_are_there():
    wanted = "rtx4090 rtx3090 rtx4060-8 a100-40 a100-80 h100 l4 t4 m3-max m2 cpu-8 cpu-16"
    assert [find_device(name).name for name in wanted.split()] == wanted.split()


@pytest.mark.parametrize("device", [*DEVICES.values(), find_device("cpu-16"), find_device("cpu-16-bf16")])
def test_figures_are_of_the_right_size(device):
    assert 8 <= device.memory_gb <= 200
    assert 50 <= device.bandwidth_gb_s <= 10_000
    assert "float32" in device.tflops
    assert device.tflops["float32"] == min(device.tflops.values())
    assert max(device.tflops.values()) < 3000
    assert device.source
    assert device.dtype[0] in device.tflops
    # a GPU multiplies at least 20 numbers for each byte it reads, and none 1000: wrong units would show
    assert device.kind == "cpu" or 20 < 1e3 * max(device.tflops.values()) / device.bandwidth_gb_s < 1000


def test_number_types():
    assert find_device("rtx4090").dtype[0] == "bfloat16"
    assert find_device("t4").dtype == (
        "float16",
        "this device has no bfloat16; float16 with a scaled loss is its fast type",
    )
    assert find_device("m3-max").dtype[0] == "float32"
    assert find_device("cpu-4").dtype == ("float32", "this device has no bfloat16")
    assert find_device("cpu-4-bf16").dtype[0] == "bfloat16"


def test_a_processor_grows_with_its_cores():
    small, large = find_device("cpu-4"), find_device("cpu-16")
    assert large.memory_gb == 4 * small.memory_gb
    assert large.tflops["float32"] == pytest.approx(4 * small.tflops["float32"])


@pytest.mark.parametrize(("wrong", "near"), [("rtx409", "rtx4090"), ("RTX4090", "rtx4090"), ("cpu8", "cpu-8")])
def test_an_unknown_name_gets_the_nearest(wrong, near):
    with pytest.raises(ConfigError, match=f"did you mean '{near}'") as error:
        find_device(wrong)
    assert all(name in str(error.value) for name in device_names())


@pytest.mark.parametrize("wrong", ["help", "cpu-0", "cpu-", "cpu-4-fp8"])
def test_a_name_that_is_like_no_other(wrong):
    with pytest.raises(ConfigError, match="nothing is known of a device"):
        find_device(wrong)
