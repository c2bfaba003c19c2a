// The smallest server of Node's manual, with the port that most hosts give.
const http = require('node:http');

http.createServer((request, response) => response.end(`node ${request.method} ${request.url}`))
  .listen(process.env.PORT, '127.0.0.1');
