import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server as TcpServer } from 'node:net';

export interface Proxy extends AsyncDisposable {
  /** `127.0.0.1:3128`. */
  address: string;
  /** The requested targets, as `host:port`. */
  asked: string[];
}

/** An HTTP proxy that opens a tunnel to this machine for every host, or answers with a status. */
export async function startHttpProxy({ status = 200, login = '' } = {}): Promise<Proxy> {
  const asked: string[] = [];
  const server = createServer().on('connect', (request, socket) => {
    asked.push(request.url!);
    socket.on('error', () => undefined);
    const given = request.headers['proxy-authorization'] ?? '';
    const wanted = login && `Basic ${Buffer.from(login).toString('base64')}`;
    if (status !== 200 || given !== wanted) {
      return void socket.end(`HTTP/1.1 ${status === 200 ? 407 : status} No\r\ncontent-length: 0\r\n\r\n`);
    }
    const to = connect(Number(request.url!.split(':').at(-1)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      socket.pipe(to).pipe(socket);
    });
    to.on('error', () => socket.destroy());
  });
  return await listening(server, asked);
}

/** A SOCKS5 proxy (RFC 1928) without login for names and IPv4 addresses, all of which lead to this machine. */
export async function startSocksProxy(): Promise<Proxy> {
  const asked: string[] = [];
  const server = createTcpServer(async (socket) => {
    socket.on('error', () => undefined);
    await once(socket, 'data');
    socket.write(Buffer.from([5, 0]));
    const [request] = (await once(socket, 'data')) as [Buffer];
    const name = request[3] === 3;
    const host = name ? request.subarray(5, 5 + request[4]!).toString() : request.subarray(4, 8).join('.');
    const port = request.readUInt16BE(request.length - 2);
    asked.push(`${host}:${port}`);
    const to = connect(port, '127.0.0.1', () => {
      socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]));
      socket.pipe(to).pipe(socket);
    });
    to.on('error', () => socket.destroy());
  });
  return await listening(server, asked);
}

async function listening(server: Server | TcpServer, asked: string[]): Promise<Proxy> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.close();
    },
  };
}
