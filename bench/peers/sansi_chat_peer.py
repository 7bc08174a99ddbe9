"""What `sansi serve` runs, without HTTP: the same requests, in this process.

options: way ("engine": prompts are ids that were rendered before the clock starts, answers are ids; "chat": messages
in, text out), threads, and those of ChatModel.from_pretrained.
A case: "bodies" (chat-completions requests) and "concurrency"; whoever has an answer asks the next question.
"""

import asyncio
import itertools
import time

import torch
from sansi.chat import ChatModel, ChatResult
from sansi.serve.api.openai_chat import parse_chat_request
from wire import Contender, serve


class SansiChat(Contender):
    def load(self, model, options):
        torch.set_num_threads(options.pop("threads", 2))
        self.way = options.pop("way")
        self.chat = ChatModel.from_pretrained(model, **options)
        return {"torch": torch.__version__, "plan": str(self.chat.engine.plan), "model": self.chat.name}

    def run(self, case):
        asked = [parse_chat_request({"model": self.chat.name, **body}) for body in case["bodies"]]
        if self.way == "engine":
            jobs = [self.chat._job(one.messages, one.options) for one in asked]
            asks = [lambda job=job: self._engine(job) for job in jobs]
        else:
            asks = [lambda one=one: self._chat(one) for one in asked]
        return asyncio.run(self._all(asks, case["concurrency"]))

    async def _all(self, asks, concurrency):
        answers, order = [None] * len(asks), itertools.count()

        async def client():
            while (index := next(order)) < len(asks):
                answers[index] = await asks[index]()

        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(concurrency)))
        return {"answers": answers, "seconds": time.perf_counter() - start}

    async def _engine(self, job):
        times, start = [], time.perf_counter()
        async for delta in self.chat.engine.stream(job.ids, job.params):
            if delta.ids:
                times.append(time.perf_counter() - start)
            if delta.completion is not None:
                return _answer(times, delta.completion.usage)

    async def _chat(self, one):
        times, start = [], time.perf_counter()
        async for item in self.chat.stream(one.messages, one.options):
            if isinstance(item, ChatResult):
                return _answer(times, item.usage)
            times.append(time.perf_counter() - start)


def _answer(times, usage):
    return {
        "first": times[0],
        "last": times[-1],
        "tokens": usage.completion_tokens,
        "prompt_tokens": usage.prompt_tokens,
        "error": None,
    }


if __name__ == "__main__":
    serve(SansiChat())
