"""OpenAI's own package as a client: python openai_client.py PROGRAM."""

import base64
import subprocess
import sys
import urllib.request

import openai

server = subprocess.Popen(
    [sys.argv[1], "serve", "--port", "0", "--api-key", "secret", "--max-queue", "12"], stdout=subprocess.PIPE, text=True
)
try:
    base = server.stdout.readline().strip()
    client = openai.OpenAI(base_url=f"{base}/v1", api_key="secret", max_retries=0)

    models = client.models.list()
    assert len(models.data) == 1 and models.data[0].object == "model", models
    assert client.models.retrieve(models.data[0].id) == models.data[0]

    reply = client.images.generate(
        prompt="a man with glasses", model=models.data[0].id, n=2, size="auto", quality="low", user="me",
        extra_body={"seed": 3, "steps": 2, "guidance_scale": 1},
    )
    assert len(reply.data) == 2 and reply.created > 0 and reply.usage.total_tokens > 0, reply
    assert reply.output_format == "png" and reply.background == "opaque" and reply.size, reply
    assert base64.b64decode(reply.data[1].b64_json).startswith(b"\x89PNG")
    again = client.images.generate(prompt="a man with glasses", extra_body={"seed": 4, "num_inference_steps": 2, "guidance_scale": 1})
    assert base64.b64decode(again.data[0].b64_json).startswith(b"\x89PNG")

    url = client.images.generate(prompt="a hat", response_format="url", extra_body={"steps": 1}).data[0].url
    file = urllib.request.Request(url, headers={"Authorization": "Bearer secret"})
    assert urllib.request.urlopen(file).read().startswith(b"\x89PNG"), url

    stream = client.images.generate(
        prompt="a woman", stream=True, partial_images=2, output_format="webp", extra_body={"steps": 16, "seed": 1}
    )
    events = list(stream)
    assert events[-1].type == "image_generation.completed" and events[-1].usage.output_tokens > 0, events[-1].type
    assert base64.b64decode(events[-1].b64_json).startswith(b"RIFF")
    partial = events[:-1]
    assert [event.partial_image_index for event in partial] == list(range(len(partial))), partial
    assert all(event.size and event.quality and event.created_at for event in events)

    def fails(kind, **body):
        try:
            client.images.generate(**{"prompt": "a", **body})
        except kind as error:
            return error
        raise AssertionError(f"{body} was accepted")

    error = fails(openai.BadRequestError, size="1024x1024")
    assert error.param == "size" and error.code == "invalid_value" and error.type == "invalid_request_error", error
    assert fails(openai.UnprocessableEntityError, n=11).param == "n"
    assert fails(openai.NotFoundError, model="gpt-image-1").code == "model_not_found"
    long = {"prompt": "a", "n": 10, "extra_body": {"steps": 128}}
    held = client.images.generate(stream=True, **long)
    error = fails(openai.RateLimitError, **long)
    assert int(error.response.headers["retry-after"]) >= 1, error
    held.close()
    wrong = openai.OpenAI(base_url=f"{base}/v1", api_key="wrong", max_retries=0)
    try:
        wrong.models.list()
        raise AssertionError("a wrong key was accepted")
    except openai.AuthenticationError:
        pass
    print(f"openai {openai.__version__}: all as expected")
finally:
    server.terminate()
    assert server.wait(70) == 0, server.returncode
