// Shows what nginx passed on. `request.uwsgi` is there only when the request came by uwsgi_pass.
export default function app(request, response) {
  const client = request.uwsgi?.REMOTE_ADDR ?? request.headers["x-real-ip"];
  const way = request.uwsgi === undefined ? "proxy_pass" : "uwsgi_pass";
  response.end(
    `${way}: ${request.method} ${request.url} for ${request.headers.host} from ${client}\n`,
  );
}
