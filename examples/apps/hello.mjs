// The smallest application of a vassal: a request listener as default export.
let requests = 0;

export default function hello(request, response) {
  requests += 1;
  response.setHeader("content-type", "text/plain; charset=utf-8");
  response.end(
    `${process.env.GREETING ?? "Hi"} from process ${process.pid}: ${request.method} ${request.url}, request number ${requests}\n`,
  );
}
