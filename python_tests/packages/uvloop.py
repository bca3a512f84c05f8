import asyncio
import sys

import extensions
import uvloop


async def echo(reader, writer):
    writer.write((await reader.readline()).upper())
    await writer.drain()
    writer.close()


async def main():
    print(type(asyncio.get_running_loop()).__module__)
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"text\n")
    print(await reader.read())
    writer.close()
    server.close()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "import uvloop; print(uvloop.__version__)", stdout=-1
    )
    print(await child.communicate(), child.returncode)
    print(await asyncio.get_running_loop().run_in_executor(None, pow, 2, 10))


uvloop.run(main())
extensions.show(uvloop.loop)
