"""How others run what was published: a title and lines for a shell for each program that opens it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sansi.base.errors import SansiError
from sansi.deploy.packages.facts import ModelFacts
from sansi.deploy.packages.launch import launch_for
from sansi.deploy.publish.contents import Contents
from sansi.deploy.publish.origin import Origin
from sansi.model.formats.gguf.choice import label_of

FETCHED: dict[str, str] = {
    "huggingface": "hf download {name} --local-dir {folder}",
    "modelscope": "modelscope download {name} --local_dir {folder}",
    "kaggle": "kaggle models instances versions download {name}/1 --path {folder} --untar",
}
"""How a hub's client fetches a model."""
_DIRECT = ("huggingface", "modelscope")


@dataclass(frozen=True)
class Run:
    """One program."""

    title: str
    lines: str


def runs_of(contents: Contents, origin: Origin, hub: str, name: str) -> list[Run]:
    """Sansi first, then the servers that open the format. name: on the hub."""
    return [*_sansi(contents, origin, hub, name), *_others(contents, origin, hub, name)]


def _sansi(contents: Contents, origin: Origin, hub: str, name: str) -> Iterator[Run]:
    files = contents.named(".gguf")
    kind = f":{label_of(files[0].path.name)}" if origin.library == "gguf" and len(files) > 1 else ""
    if origin.library == "peft":
        base = origin.base_model or "BASE"
        yield Run("Sansi", f"{_fetch(hub, name)}\nsansi serve {base} --adapter {_short(name)}={_short(name)}")
    elif hub in _DIRECT:
        where = "" if hub == "huggingface" else f" --hub {hub}"
        yield Run("Sansi", f"sansi serve {name}{kind}{where}")
    else:
        yield Run("Sansi", f"{_fetch(hub, name)}\nsansi serve {_short(name)}")


def _others(contents: Contents, origin: Origin, hub: str, name: str) -> Iterator[Run]:
    if origin.config is None or origin.quantisation == "sansi":
        return
    if origin.library == "gguf":
        yield from _of_gguf(contents, origin, hub, name)
        return
    direct = hub == "huggingface"
    facts = ModelFacts(_short(name), name if direct else f"./{_short(name)}", origin.config,
                       quantisation=origin.quantisation)  # fmt: skip
    for title, runtime in (("vLLM", "vllm"), ("SGLang", "sglang"), ("MLX", "mlx-server")):
        if origin.quantisation == "mlx" and runtime != "mlx-server":
            continue
        try:
            lines = str(launch_for(runtime, facts)).rstrip()
        except SansiError:  # it does not open this format
            continue
        yield Run(title, lines if direct else f"{_fetch(hub, name)}\n{lines}")


def _of_gguf(contents: Contents, origin: Origin, hub: str, name: str) -> Iterator[Run]:
    file = contents.named(".gguf")[0]
    kind = label_of(file.path.name)
    assert origin.config is not None
    facts = ModelFacts(_short(name), f"{_short(name)}/{file.name}", origin.config, quantisation="gguf")
    yield Run("llama.cpp", f"{_fetch(hub, name)}\n{str(launch_for('llama-server', facts)).rstrip()}")
    hosts = {"huggingface": "hf.co", "modelscope": "modelscope.cn"}
    if hub in hosts:
        yield Run("Ollama", f"ollama run {hosts[hub]}/{name}:{kind}")


def _fetch(hub: str, name: str) -> str:
    return FETCHED[hub].format(name=name, folder=_short(name))


def _short(name: str) -> str:
    parts = name.split("/")
    return parts[1] if len(parts) > 1 else name
