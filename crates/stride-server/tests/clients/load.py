"""Sends requests to a server, and prints throughput, waiting times and refusals; README.md has the commands."""

import argparse
import asyncio
import json
import random
import time
from urllib.parse import urlparse


async def generate(host, port, key, steps, seed, guidance):
    """Status and seconds of one request, on a connection of its own."""
    start = time.perf_counter()
    body = {"prompt": "a man with glasses", "steps": steps, "seed": seed}
    if guidance is not None:
        body["guidance_scale"] = guidance
    body = json.dumps(body).encode()
    head = f"POST /v1/images/generations HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
    if key:
        head += f"Authorization: Bearer {key}\r\n"
    try:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        reply = await reader.read()
        writer.close()
        status = int(reply.split(b" ", 2)[1])
    except (OSError, IndexError, ValueError):
        status = 0
    return status, time.perf_counter() - start


def percentile(times, share):
    times = sorted(times)
    return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


async def run(arguments):
    place = urlparse(arguments.url)
    rng = random.Random(arguments.seed)
    done = []
    start = time.perf_counter()
    end = start + arguments.seconds

    async def one(steps):
        status, seconds = await generate(
            place.hostname, place.port or 80, arguments.api_key, steps, rng.randrange(1 << 32), arguments.guidance
        )
        done.append((steps, status, seconds))
        return status

    async def client():
        while time.perf_counter() < end:
            if await one(rng.choice(arguments.steps)) != 200:
                await asyncio.sleep(0.05)

    if arguments.rate:
        tasks = []
        arrival = start
        while (arrival := arrival + rng.expovariate(arguments.rate)) < end:
            await asyncio.sleep(max(0, arrival - time.perf_counter()))
            tasks.append(asyncio.create_task(one(rng.choice(arguments.steps))))
        await asyncio.gather(*tasks)
    else:
        await asyncio.gather(*(client() for _ in range(arguments.clients)))
    seconds = time.perf_counter() - start

    report = {"seconds": round(seconds, 2), "requests": len(done), "steps": {}}
    for status in sorted({status for _, status, _ in done}):
        report[f"status_{status}"] = sum(found == status for _, found, _ in done)
    report["images_per_second"] = round(report.get("status_200", 0) / seconds, 2)
    for steps in sorted(set(arguments.steps)):
        times = [1e3 * seconds for found, status, seconds in done if found == steps and status == 200]
        report["steps"][steps] = {
            "answered": len(times),
            **{f"p{share}_ms": round(percentile(times, share / 100), 1) for share in (50, 90, 99)},
            "most_ms": round(max(times, default=float("nan")), 1),
        }
    print(json.dumps(report))


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("url", help="of the server, such as http://127.0.0.1:7860")
parser.add_argument("--clients", type=int, default=1, help="clients that each wait for their answer before they ask again")
parser.add_argument("--rate", type=float, help="requests a second, at random times, whether answered or not; instead of --clients")
parser.add_argument("--steps", type=lambda text: [int(part) for part in text.split(",")], default=[4], help="step counts, one of which each request has")
parser.add_argument("--guidance", type=float, help="guidance scale; the model's if absent")
parser.add_argument("--seconds", type=float, default=30)
parser.add_argument("--seed", type=int, default=0, help="of arrivals, steps and noise")
parser.add_argument("--api-key")
asyncio.run(run(parser.parse_args()))
