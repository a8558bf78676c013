// The app of the vassal's benchmark: the same listener under the runtime, plain node, node:cluster and PM2.
export default function hello(_request, response) {
  response.setHeader("content-type", "text/plain");
  response.end("Hello, world\n");
}
