// A script as it runs under plain `node plain-script.cjs`: nothing in it knows of an Emperor.
const http = require("node:http");

const server = http.createServer((request, response) => {
  response.end(`plain script, process ${process.pid}, asked for ${request.url}\n`);
});

if (require.main === module) {
  server.listen(3000, () => console.log("plain script: listening on", server.address()));
}
