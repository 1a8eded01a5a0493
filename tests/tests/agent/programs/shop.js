// A server with chunked answers, and a client with a keep-alive agent that asks it.
const http = require('http');
const [role, port] = [process.argv[2], Number(process.argv[3])];

if (role === 'serve') {
  http.createServer((request, response) => {
    if (request.url === '/missing') {
      response.writeHead(404).end();
    } else if (request.url === '/none') {
      response.writeHead(204).end();
    } else if (request.url.startsWith('/cached')) {
      response.writeHead(304).end();
    } else {
      // No Content-Length: chunked, in several pieces.
      request.resume().on('end', () => {
        response.writeHead(request.method === 'POST' ? 201 : 200);
        response.write('first\n');
        setImmediate(() => response.end('HTTP/1.1 500 not an answer\r\n\r\n'));
      });
    }
  }).listen(port, '127.0.0.1');
} else {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const ask = (method, path, body) => new Promise((resolve, reject) => {
    const options = { agent, port, host: '127.0.0.1', method, path };
    const request = http.request(options, (response) => response.resume().on('end', resolve));
    request.on('error', reject).end(body);
  });
  const all = async () => {
    const asked = [];
    for (let i = 0; i < 300; i += 1) asked.push(ask('GET', `/items/${i}`));
    for (let i = 0; i < 40; i += 1) asked.push(ask('POST', '/items', 'x'.repeat(20000)));
    for (let i = 0; i < 20; i += 1) asked.push(ask('HEAD', `/items/${i}`));
    for (let i = 0; i < 10; i += 1) asked.push(ask('GET', '/missing'));
    for (let i = 0; i < 10; i += 1) asked.push(ask('DELETE', '/none'));
    for (let i = 0; i < 10; i += 1) asked.push(ask('GET', '/cached/5'));
    await Promise.all(asked);
    agent.destroy();
  };
  all();
}
