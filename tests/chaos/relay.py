"""A network that takes its time: passes TCP connections on, each piece after a delay.

usage: relay.py LISTEN_HOST:PORT TARGET_HOST:PORT SECONDS
"""
import asyncio
import sys


def split(address):
    host, port = address.rsplit(":", 1)
    return host, int(port)


async def pump(reader, writer, seconds):
    """Order is kept: a piece is due when it came plus the delay, and they come in order."""
    loop = asyncio.get_running_loop()
    pieces = asyncio.Queue()

    async def deliver():
        while (piece := await pieces.get()) is not None:
            due, data = piece
            await asyncio.sleep(max(0, due - loop.time()))
            writer.write(data)
            await writer.drain()
        writer.close()

    delivery = asyncio.create_task(deliver())
    try:
        while data := await reader.read(1 << 16):
            pieces.put_nowait((loop.time() + seconds, data))
    except ConnectionError:
        pass  # as the end of the stream
    pieces.put_nowait(None)
    await asyncio.gather(delivery, return_exceptions=True)


async def main(listen, target, seconds):
    async def serve(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(*split(target))
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, far_writer, seconds), pump(far_reader, writer, seconds))

    server = await asyncio.start_server(serve, *split(listen))
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3])))
