"""A server of streamed chat completions that computes nothing: what is left is the load generator's own speed.

python canned_server.py EVENTS: prints its port, then answers every request with that many canned events of one token,
each written by itself.
"""

import asyncio
import json
import sys

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"


def event(delta, finish=None, **more):
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    envelope = {"id": "chatcmpl-" + "0" * 32, "object": "chat.completion.chunk", "created": 1, "model": "canned"}
    return chunk("data: " + json.dumps({**envelope, "choices": [choice], **more}) + "\n\n")


def chunk(text):
    return f"{len(text.encode()):x}\r\n{text}\r\n".encode()


async def answer(reader, writer, events):
    head = await reader.readuntil(b"\r\n\r\n")
    size = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(size)
    writer.write(HEAD + event({"role": "assistant", "content": ""}))
    token = event({"content": " word"})
    for _ in range(events):
        writer.write(token)
        await asyncio.sleep(0)  # the other connections' turn
    writer.write(event({}, "length") + chunk("data: [DONE]\n\n") + b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def main():
    events = int(sys.argv[1])
    server = await asyncio.start_server(lambda r, w: answer(r, w, events), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
