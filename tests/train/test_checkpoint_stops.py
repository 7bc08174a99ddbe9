"""A training checkpoint stops in transformers as it does here: it carries the stop ids of its codec."""

import json

from sansi.base.runs import RunFolder
from sansi.data import SampleDataset
from sansi.model import ModelBundle, load
from sansi.text import Codec
from sansi.train.loop import TrainConfig, Trainer
from sansi.train.objective import NextToken

NANO = "checkpoints/nano"


def test_a_checkpoint_stops_in_transformers(tmp_path):
    import transformers

    codec = Codec.from_pretrained(NANO)
    chat = [{"role": "user", "content": "2 + 3 ="}, {"role": "assistant", "content": "5"}]
    samples = [codec.training_sample(chat, enable_thinking=False)] * 4
    run, config = RunFolder(tmp_path), TrainConfig(steps=1, learning_rate=1e-7, compile=False)
    codec.save(tmp_path / "codec")
    bundle = ModelBundle.from_folder(tmp_path / "codec")
    Trainer(load(NANO, "cpu"), SampleDataset(samples, 64, 2), NextToken(), config, run, bundle).train()
    folder = run.checkpoint(1)
    said = json.loads((folder / "generation_config.json").read_text())
    assert said == codec.generation_config
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    prompt = [{"role": "user", "content": "What is 12 + 7?"}]
    ids = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    new = model.generate(**ids, max_new_tokens=200, do_sample=False)[0][ids["input_ids"].shape[1] :]
    assert len(new) < 200 and new[-1] in codec.stop_ids
    ids_of_folder = json.loads((folder / "config.json").read_text())
    assert (tuple(ids_of_folder["eos_token_id"]), ids_of_folder["pad_token_id"]) == (codec.stop_ids, codec.stop_ids[1])
