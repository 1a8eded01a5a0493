// A server and a client that asks it, inside TLS.
const fs = require('fs');
const https = require('https');
const [role, port, certificate, key] = process.argv.slice(2);

if (role === 'serve') {
  const options = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) };
  https.createServer(options, (request, response) => {
    request.resume().on('end', () => {
      response.writeHead(request.url === '/missing' ? 404 : 200);
      response.write('first\n');
      setImmediate(() => response.end('second\n'));
    });
  }).listen(Number(port), '127.0.0.1');
} else {
  // One connection at a time: of several that one thread opens at once it can't always be told
  // which session belongs to which, before they have been used.
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
  const ask = (method, path, body) => new Promise((resolve, reject) => {
    const options = { agent, port: Number(port), host: '127.0.0.1', method, path };
    const request = https.request(options, (response) => response.resume().on('end', resolve));
    request.on('error', reject).end(body);
  });
  const all = async () => {
    const asked = [];
    for (let i = 0; i < 200; i += 1) asked.push(ask('GET', `/items/${i}`));
    for (let i = 0; i < 20; i += 1) asked.push(ask('POST', '/items/7', 'x'.repeat(20000)));
    for (let i = 0; i < 10; i += 1) asked.push(ask('GET', '/missing'));
    await Promise.all(asked);
    agent.destroy();
  };
  setTimeout(all, 2000);
}
